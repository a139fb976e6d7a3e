"""`imgctl release`: from a commit to a signed, tagged image that nobody can move."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl import __version__
from imgctl.options import RegistryFlags, base_tag_option, format_option, registry_options
from imgctl.signing_options import KeyFlags, builder_id, key_options
from registry.errors import BadInput, ImgctlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.definition import ImageDefinition
    from builder.dist import Build
    from builder.matrix import L4TRelease, Matrix
    from builder.planning import Workshop
    from registry.client import RegistryClient
    from registry.progress import Progress
    from release.procedure import Action, Job, Seal
    from release.record import ReleaseRecord
    from release.source import Source


@click.command(name="release")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--l4t", "releases", metavar="RELEASE", multiple=True,
              help="r35.2.1, …; several times for several.")  # fmt: skip
@click.option("--bump", type=click.Choice(["major", "minor", "patch", "pre"]),
              help="Raise the last released version.")  # fmt: skip
@click.option("--version", metavar="V", help="This version.  [default: image.yaml's]")
@click.option("--default-l4t", metavar="RELEASE",
              help="1.4, 1, latest follow its line.  [default: the first --l4t]")  # fmt: skip
@click.option("--backport", is_flag=True, help="A version below the last one is meant.")
@click.option("--allow-dirty", is_flag=True, help="Release what no commit holds.")
@click.option("--base", "family", metavar="FAMILY", help="Base family.")
@base_tag_option
@click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Takes the place of nvcr.io.")
@click.option("--engine", type=click.Choice(["auto", "buildx", "direct"]), default="auto",
              show_default=True, help="As in `imgctl build`.")  # fmt: skip
@click.option("--builder", default="", metavar="NAME", help="buildx: this builder.")
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
    from imgctl.progress import progress as shown
    from imgctl.push_options import place_of
    from registry.client import RegistryClient

    matrix = Matrix.load()
    if not given["releases"]:
        raise BadInput("for which L4T release?", "", "add --l4t r35.2.1; `imgctl l4t` lists them")
    releases = [matrix.release(text) for text in dict.fromkeys(given["releases"])]
    definitions = [find(name, image_roots()) for name in images]
    place = place_of(given)
    seal = _sealer(keys)
    results = []
    with shown() as progress, RegistryClient(registry.options(place.host), progress) as client:
        for definition in definitions:
            run = _Run(matrix, definition, releases, given, registry, client, progress, seal)
            results.append(run.dry() if given["dry_run"] else run.release())
    return _print(results, output_format)


def _sealer(keys: KeyFlags) -> Seal | None:
    """What signs, when a key is given. Asks for its password now, not at the end."""
    if not keys.key:
        return None
    from builder.statements import Maker
    from release.seal import Sealer

    return Sealer(keys.signer(), Maker(__version__, builder_id()), keys.forms)


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
        seal: Seal | None,
    ) -> None:
        self.matrix = matrix
        self.definition = definition
        self.releases = releases
        self.given = given
        self.registry = registry
        self.client = client
        self.progress = progress
        self.seal = seal

    def release(self) -> ReleaseRecord:
        """Release; raises whatever stops it."""
        from release.procedure import check, release, start_record
        from release.record import only_one

        source = self._source()
        dist: Path = self.given["dist"]
        with only_one(dist, self.definition.name):
            job = self._job()
            tags = check(job)
            builds = self._builds(job, dist, source)
            record = start_record(job, source.revision if source else "")
            record = release(job, builds, tags, record)
            self._write_notes(job, record, builds, tags)
        return record

    def dry(self) -> list[Action]:
        """What release() would do. Builds go to a folder that is gone afterwards."""
        import tempfile

        from release.procedure import check, dry_run

        source = self._source()
        job = self._job()
        tags = check(job)
        with tempfile.TemporaryDirectory(prefix="imgctl-") as folder:
            return dry_run(job, self._builds(job, Path(folder), source), tags)

    def _source(self) -> Source | None:
        from release.source import check_source, read_source

        folder = self.definition.directory
        source = read_source(folder, dict(os.environ))
        check_source(source, folder, allow_dirty=self.given["allow_dirty"])
        return source

    def _job(self) -> Job:
        from datetime import UTC, datetime

        from imgctl.push_options import work_of
        from imgctl.settings import section
        from release.procedure import Job
        from release.record import record_path
        from release.tags import TagScheme

        scheme = TagScheme.parse(section("tags"))
        default = self.given["default_l4t"]
        first = self.matrix.release(default) if default else self.releases[0]
        line = tuple(item.name for item in self.matrix.releases if item.line == first.line)
        work = work_of(self.given, self.registry, self.client, self.progress)
        job = Job(
            image=self.definition.name,
            version=self._placeholder(),
            l4t=tuple(release.name for release in self.releases),
            default_line=line,
            scheme=scheme,
            work=work,
            path=Path(),
            now=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            seal=self.seal,
            backport=self.given["backport"],
        )
        job = replace(job, version=self._version(job))
        path = record_path(self.given["dist"], job.image, str(job.version))
        return replace(job, path=path)

    def _placeholder(self) -> Any:
        from release.tags import parse_version

        return parse_version(self.definition.version)

    def _version(self, job: Job) -> Any:
        from registry.errors import NotFound
        from release.tags import next_version, parse_version

        if self.given["version"] and self.given["bump"]:
            raise BadInput("give --version or --bump, not both")
        if self.given["version"]:
            return parse_version(self.given["version"])
        if not self.given["bump"]:
            return parse_version(self.definition.version)
        try:
            tags = job.repository.tags()
        except NotFound:
            tags = []
        released = [item for l4t in job.l4t for item in job.scheme.versions(tags, l4t)]
        return next_version(released, self.given["bump"])

    def _builds(self, job: Job, dist: Path, source: Source | None) -> dict[str, Build]:
        from builder.build import build_all
        from builder.dist import Build
        from builder.request import Request
        from release.procedure import check_plan

        definition = replace(self.definition, version=str(job.version))
        workshop = self._workshop(dist, source)
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

    def _workshop(self, dist: Path, source: Source | None) -> Workshop:
        from builder.engines.buildx import BuildxOptions
        from builder.mirror import Mirror
        from builder.plan import Choices
        from builder.planning import Settings, Workshop
        from imgctl.catalogue import template_roots
        from registry.oci import Platform

        mirror = self.given["base_mirror"]
        settings = Settings(
            dist=dist,
            choices=Choices(
                platform=Platform(),
                source=source.url if source else "",
                revision=source.revision if source and not source.dirty else "",
            ),
            engine=self.given["engine"],
            buildx=BuildxOptions(dict(os.environ), self.given["builder"]),
            mirror=Mirror.parse(mirror) if mirror else None,
        )
        return Workshop(self.matrix, self.client, template_roots(), settings, self.progress)

    def _write_notes(
        self, job: Job, record: ReleaseRecord, builds: Mapping[str, Build], tags: list[str]
    ) -> None:
        from registry.files import replace_text
        from registry.oci import Platform
        from registry.reference import Reference
        from release.diff import compare
        from release.notes import Since, notes
        from release.remote import read_image

        since = {}
        for l4t in builds:
            earlier = [item for item in job.scheme.versions(tags, l4t) if item < job.version]
            if not earlier:
                continue
            names = [
                Reference.parse(f"{record.repository}:{job.scheme.fixed_tag(version, l4t)}")
                for version in (earlier[-1], job.version)
            ]
            one, two = (read_image(job.repository, name, Platform()) for name in names)
            found = compare(one, job.repository, two, job.repository)
            changes = [item for item in found.changes if item.what != "label"]
            since[l4t] = Since(str(earlier[-1]), changes)
        text = notes(record, builds, since, signed=job.seal is not None)
        replace_text(job.path.with_name(f"{job.version}.notes.md"), text)


def _print(results: list[Any], output_format: str) -> int:
    from imgctl.output import print_json

    if output_format == "json":
        values = [
            [action.to_json() for action in item] if isinstance(item, list) else item.to_json()
            for item in results
        ]
        print_json(values[0] if len(values) == 1 else values)
        return 0
    for item in results:
        if isinstance(item, list):
            for action in item:
                click.echo(f"{action.l4t}  {action.step:<9} {action.what}")
                for request in action.requests:
                    click.echo(f"{'':{len(action.l4t)}}  {'':<9} {request}")
            continue
        for l4t in item.releases:
            tags = item.outcome("tag", l4t)["tags"]
            digest = item.outcome("push", l4t)["digest"]
            click.echo(f"{item.repository}:{tags[0]}@{digest}")
            click.echo(f"  also {', '.join(tags[1:])}" if tags[1:] else "  no other tags", err=True)
    return 0
