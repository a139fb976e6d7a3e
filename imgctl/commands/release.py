"""`imgctl release`: from a commit to a signed, tagged image that nobody can move."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl import __version__
from imgctl.build_options import build_arguments, build_options, buildx_options
from imgctl.options import RegistryFlags, base_tag_option, format_option, registry_options
from imgctl.signing_options import KeyFlags, builder_id, key_options
from registry.errors import BadInput, ImgctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from semver import Version

    from builder.definition import ImageDefinition
    from builder.dist import Build
    from builder.matrix import L4TRelease, Matrix
    from builder.planning import Workshop
    from registry.client import RegistryClient
    from registry.progress import Progress
    from release.procedure import Action, Job
    from release.record import ReleaseRecord
    from release.seal import Sealer
    from release.source import Source


@click.command(name="release")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--l4t", "releases", metavar="RELEASE", multiple=True,
              help="r35.2.1, …; several times for several.")  # fmt: skip
@click.option("--bump", type=click.Choice(["major", "minor", "patch", "pre"]),
              help="Raise the last released version.")  # fmt: skip
@click.option("--version", metavar="V", help="This version.  [default: image.yaml's]")
@click.option("--default-l4t", metavar="RELEASE",
              help="1.4, 1, latest follow its line.  [default: the line they follow now, else that "
              "of the first --l4t]")  # fmt: skip
@click.option("--backport", is_flag=True, help="A version below the last one is meant.")
@click.option("--allow-dirty", is_flag=True, help="Release what no commit holds.")
@click.option("--base", "family", metavar="FAMILY", help="Base family.")
@base_tag_option
@build_options
@click.option("--harbor", metavar="HOST", help="The Harbor to release to.")
@click.option("--registry", "plain", metavar="HOST[/PATH]", help="Or any other registry.")
@click.option("--project", metavar="NAME", help="[default: algorithms on Harbor, else none]")
@click.option("--create-project", is_flag=True, help="Harbor: make the project if it is missing.")
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where builds and records are.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print every step and request; change nothing.")
@key_options
@registry_options
@format_option
def command(
    images: tuple[str, ...],
    keys: KeyFlags,
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> int:
    """Build, push, sign, attest and tag IMAGE, and write its manifests and notes.

    VERSION-l4t-RELEASE names the build for ever; VERSION, MAJOR.MINOR, MAJOR and latest follow the
    newest release. The tags come last: until then nothing is released. Interrupted, the same
    command goes on where it stopped.
    """
    from builder.definition import find
    from builder.matrix import Matrix
    from imgctl.catalogue import image_roots
    from imgctl.output import print_json
    from imgctl.progress import progress as shown
    from imgctl.push_options import place_of
    from registry.client import RegistryClient

    matrix = Matrix.load()
    if not given["releases"]:
        raise BadInput("for which L4T release?", "", "add --l4t r35.2.1; `imgctl l4t` lists them")
    releases = list(
        {(item := matrix.release(text)).name: item for text in given["releases"]}.values()
    )
    definitions = [find(name, image_roots()) for name in dict.fromkeys(images)]
    place = place_of(given)
    seal = _sealer(keys)
    results: list[Any] = []
    with (
        ExitStack() as held,
        shown() as progress,
        RegistryClient(registry.options(place.host), progress) as client,
    ):
        runs = [
            _Run(matrix, definition, releases, given, registry, client, progress, seal)
            for definition in definitions
        ]
        # All are looked at before the first is released.
        for run in runs:
            run.prepare(held)
        for run in runs:
            result = run.dry() if given["dry_run"] else _resumable(run.release)
            results.append(result)
            if output_format != "json":
                _print(result)
    if output_format == "json":
        values = [
            [action.to_json() for action in item] if isinstance(item, list) else item.to_json()
            for item in results
        ]
        print_json(values[0] if len(values) == 1 else values)
    return 0


def _sealer(keys: KeyFlags) -> Sealer | None:
    """What signs, when a key is given. Asks for its password now, not at the end."""
    if not keys.key and not keys.command:
        return None
    from builder.statements import Maker
    from release.seal import Sealer

    return Sealer(keys.signer(), Maker(__version__, builder_id()), keys.forms)


def _resumable(release: Callable[[], ReleaseRecord]) -> ReleaseRecord:
    """Say how it goes on, where the registry went away meanwhile."""
    from registry.errors import Unreachable

    try:
        return release()
    except Unreachable as error:
        error.hint = error.hint or "the same command again goes on where it stopped"
        raise


class _Run:
    """One image's release, from the command line's values to the calls."""

    def __init__(
        self,
        matrix: Matrix,
        definition: ImageDefinition,
        releases: list[L4TRelease],
        given: dict[str, Any],
        registry: RegistryFlags,
        client: RegistryClient,
        progress: Progress,
        seal: Sealer | None,
    ) -> None:
        self.matrix = matrix
        self.definition = definition
        self.releases = releases
        self.given = given
        self.registry = registry
        self.client = client
        self.progress = progress
        self.seal = seal

    def prepare(self, held: ExitStack) -> None:
        """Look at everything that can be refused before anything is built.

        held: keeps the right to release the image until it is closed.
        """
        from release.procedure import check
        from release.record import only_one

        self.source = self._source()
        if not self.given["dry_run"]:
            held.enter_context(only_one(self.given["dist"], self.definition.name))
        self.job = self._job()
        self.tags = check(self.job)

    def release(self) -> ReleaseRecord:
        """Release; raises whatever stops it."""
        from release.notes import write_notes
        from release.procedure import finish, release, start_record

        job = self.job
        builds = self._builds(job, self.given["dist"])
        record = release(job, builds, start_record(job, self._revision()))
        path = write_notes(job, record, builds)
        return finish(job, record.with_outcome("notes", job.l4t[0], {"file": str(path)}))

    def dry(self) -> list[Action]:
        """What release() would do. Builds go to a folder that is gone afterwards."""
        import tempfile

        from release.procedure import dry_run

        self.given = {**self.given, "cache_to": ()}
        with tempfile.TemporaryDirectory(prefix="imgctl-") as folder:
            return dry_run(self.job, self._builds(self.job, Path(folder)), self.tags)

    def _source(self) -> Source | None:
        from release.source import check_source, read_source

        folder = self.definition.directory
        source = read_source(folder, dict(os.environ), self.given["dist"])
        check_source(source, folder, allow_dirty=self.given["allow_dirty"])
        return source

    def _revision(self) -> str:
        return self.source.revision if self.source else ""

    def _job(self) -> Job:
        from datetime import UTC, datetime

        from imgctl.push_options import work_of
        from imgctl.settings import section
        from release.procedure import Job, tags_of
        from release.record import record_path
        from release.tags import TagScheme, parse_version

        scheme = TagScheme.parse(section("tags"))
        first = parse_version(self.definition.version)
        # The version, the line and the path of the record hang on what is released already.
        job = Job(
            image=self.definition.name,
            version=first,
            l4t=tuple(release.name for release in self.releases),
            default_line=(),
            scheme=scheme,
            work=work_of(self.given, self.registry, self.client, self.progress),
            path=Path(),
            now=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            seal=self.seal,
            backport=self.given["backport"],
            bump=self.given["bump"] or "",
        )
        tags = tags_of(job.view)
        version = self._version(job, tags)
        path = record_path(self.given["dist"], job.image, str(version))
        return replace(job, version=version, default_line=self._line(job, tags), path=path)

    def _line(self, job: Job, tags: list[str]) -> tuple[str, ...]:
        """The L4T releases whose builds the readable tags follow: as the options say, else those
        they follow now, else those of the first --l4t."""
        from release.listing import followed

        default = self.given["default_l4t"]
        name = (
            self.matrix.release(default).name if default else followed(job.view, job.scheme, tags)
        )
        name = name or self.releases[0].name
        known = self.matrix.known(name.removeprefix("r"))
        if known is None:
            return (name,)
        return tuple(item.name for item in self.matrix.releases if item.major == known.major)

    def _version(self, job: Job, tags: list[str]) -> Version:
        from semver import Version

        from release.procedure import new_record
        from release.record import interrupted
        from release.tags import next_version, parse_version

        given, bump = self.given["version"], self.given["bump"]
        if given is not None and bump:
            raise BadInput("give --version or --bump, not both")
        if given is not None:
            return parse_version(given)
        if not bump:
            return job.version
        released = [found[0] for tag in tags if (found := job.scheme.parse_fixed(tag))]
        begun = interrupted(self.given["dist"], new_record(job, self._revision()))
        if begun is not None and all(item <= Version.parse(begun) for item in released):
            return Version.parse(begun)
        return next_version(released, bump, job.version)

    def _builds(self, job: Job, dist: Path) -> dict[str, Build]:
        from builder.build import build_all
        from builder.dist import Build
        from builder.request import Request
        from release.procedure import check_plan

        definition = replace(self.definition, version=str(job.version))
        workshop = self._workshop(dist)
        base = (self.given["family"], self.given["variant"])
        requests = [Request(definition, item, *base) for item in self.releases]
        for request in requests:
            # Before a build takes the place of the one that was released.
            check_plan(job, request.release.name, workshop.plan(request).identity)
        builds = {}
        for outcome in build_all(workshop, requests):
            if outcome.error is not None or outcome.folder is None:
                raise outcome.error or ImgctlError(f"{outcome.request.name} was not built")
            builds[outcome.request.release.name] = Build.load(outcome.folder)
        return builds

    def _workshop(self, dist: Path) -> Workshop:
        from builder.mirror import Mirror
        from builder.plan import Choices
        from builder.planning import Settings, Workshop
        from imgctl.catalogue import template_roots
        from registry.oci import Platform

        source, mirror, target = self.source, self.given["base_mirror"], self.given["target_l4t"]
        settings = Settings(
            dist=dist,
            choices=Choices(
                platform=Platform(),
                build_args=build_arguments(self.given),
                source=source.url if source else "",
                revision=source.revision if source and not source.dirty else "",
                created=self.given["source_date_epoch"],
            ),
            engine=self.given["engine"],
            buildx=buildx_options(self.given),
            mirror=Mirror.parse(mirror) if mirror else None,
            target=self.matrix.release(target) if target else None,
            wheel_mirror=self.given["wheel_mirror"],
        )
        return Workshop(self.matrix, self.client, template_roots(), settings, self.progress)


def _print(result: ReleaseRecord | list[Action]) -> None:
    if isinstance(result, list):
        for action in result:
            click.echo(f"{action.l4t}  {action.step:<9} {action.what}")
            for request in action.requests:
                click.echo(f"{'':{len(action.l4t)}}  {'':<9} {request}")
        return
    for l4t in result.releases:
        fixed, *others = (result.outcome("tag", l4t) or {})["tags"]
        digest = (result.outcome("push", l4t) or {})["digest"]
        click.echo(f"{result.repository}:{fixed}@{digest}")
        click.echo(f"  also {', '.join(others)}" if others else "  no other tags", err=True)
