"""`imgctl base`: the bases that images are built on, in a registry of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgctl.options import RegistryFlags, base_tag_option, format_option, registry_options
from imgctl.uniform import WholeHelpGroup
from imgctl.upstream import upstream_options
from registry.errors import BadInput

if TYPE_CHECKING:
    from builder.matrix import Matrix
    from builder.mirror import Mirror
    from builder.request import Request
    from registry.harbor.steps import Step
    from release.base_sync import Synced, SyncWork, WantedBase

DEFAULT_PROJECT = "nvcr"


@click.group(name="base", cls=WholeHelpGroup)
def command() -> None:
    """Keep the bases that images are built on in a registry of your own."""


@command.command(name="sync")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@click.option("--l4t", "releases", metavar="RELEASE", multiple=True,
              help="r35.2.1, jetpack-5.1, …; several times for several.")  # fmt: skip
@click.option("--base", "family", metavar="FAMILY", help="This base family of those it can have.")
@base_tag_option
@click.option("--harbor", metavar="HOST", help="The Harbor to bring them to.")
@click.option("--registry", "plain", metavar="HOST[/PREFIX]", help="Or any other registry.")
@click.option("--project", "--base-project", "project", metavar="NAME",
              help="[default: nvcr on Harbor, else none]")  # fmt: skip
@click.option("--create-project", is_flag=True, help="Harbor: make the project if it is missing.")
@click.option("--from", "source", metavar="HOST[/PREFIX]",
              help="Read them here, instead of where they were published (nvcr.io).")  # fmt: skip
@click.option("--platform", default="linux/arm64", show_default=True, metavar="OS/ARCH",
              help="Only this platform of each.")  # fmt: skip
@click.option("--all-platforms", is_flag=True, help="Every platform each was published for.")
@click.option(
    "--replicate",
    is_flag=True,
    help="Harbor brings them itself, by a replication policy; nothing passes through here.",
)
@upstream_options
@click.option("--dry-run", is_flag=True, help="Look at everything, change nothing.")
@registry_options
@format_option
def sync(
    images: tuple[str, ...],
    releases: tuple[str, ...],
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> int:
    """Bring the bases that IMAGEs need into your registry, once.

    Without IMAGE, those of the whole catalogue. Layers go from registry to registry and touch no
    disk. Then `--base-mirror`, with the value that is printed, builds from there, and pushes to the
    same host mount every layer of the base.
    """
    from builder.matrix import Matrix
    from builder.mirror import Mirror
    from imgctl.progress import progress as shown
    from imgctl.push_options import place_of, target_of
    from registry.client import RegistryClient
    from registry.oci import Platform
    from registry.transfer import CopyOptions
    from release.base_sync import SyncWork, sync_bases

    if given["replicate"]:
        _check_replicate(given)
    matrix = Matrix.load()
    requests = _requests(matrix, images, releases, (given["family"], given["variant"]))
    wanted = _wanted(matrix, requests, bool(images))
    place = place_of(given, DEFAULT_PROJECT)
    mirror = Mirror(place.host, place.path)
    options = CopyOptions(
        platform=None if given["all_platforms"] else Platform.parse(given["platform"]),
        concurrency=registry.concurrency,
        dry_run=given["dry_run"],
    )
    with shown() as progress, RegistryClient(registry.options(place.host), progress) as client:
        work = SyncWork(
            client,
            mirror,
            target_of(given, client, place, progress),
            Mirror.parse(given["source"]) if given["source"] else None,
            options,
            progress,
        )
        if given["replicate"]:
            results, steps = _replicate(work, given, wanted)
        else:
            results, steps = sync_bases(work, wanted), []
    return _report(results, mirror, output_format, given["dry_run"], steps)


def _check_replicate(given: dict[str, Any]) -> None:
    """Harbor alone replicates, whole, and from where the bases were published."""
    if given["plain"] and not given["harbor"]:
        raise BadInput("--replicate is for Harbor", f"{given['plain']} is given with --registry")
    for flag, name in (("--from", "source"), ("--all-platforms", "all_platforms")):
        if given[name]:
            raise BadInput(f"{flag} does not go with --replicate", "Harbor brings all there is")


def _replicate(
    work: SyncWork, given: dict[str, Any], wanted: list[WantedBase]
) -> tuple[list[Synced], list[Step]]:
    from imgctl.harbor_options import echo_step
    from imgctl.upstream import endpoint
    from registry.harbor.api import HarborApi
    from release.base_replicate import replicate, set_up

    api = HarborApi(work.client, work.place.host)
    for item in wanted[:1]:
        target = work.place.of(item.base.reference)
        work.target.prepare(work.client.repository(target.host, target.repository))
    steps = []
    for step in set_up(work, api, endpoint(given), wanted):
        steps.append(step)
        echo_step(step, dry_run=given["dry_run"], err=True)
    return replicate(work, api, wanted), steps


def _requests(
    matrix: Matrix,
    images: tuple[str, ...],
    releases: tuple[str, ...],
    base: tuple[str | None, str | None],
) -> list[Request]:
    """Every image for every release. base: family and tag asked for."""
    from builder.definition import catalogue, find
    from builder.request import Request
    from imgctl.catalogue import image_roots

    if not releases:
        raise BadInput("for which L4T release?", "", "add --l4t r35.2.1; `imgctl l4t` lists them")
    roots = image_roots()
    definitions = [find(name, roots) for name in images] if images else list(catalogue(roots))
    found = [matrix.release(text) for text in releases]
    return [Request(definition, release, *base) for release in found for definition in definitions]


def _wanted(matrix: Matrix, requests: list[Request], named: bool) -> list[WantedBase]:
    from imgctl.output import print_error
    from release.base_sync import wanted_bases

    wanted, refused = wanted_bases(matrix, requests, skip_refused=not named)
    if not wanted and refused:
        raise refused[0]
    for error in refused:
        print_error(error)
    return wanted


def _report(
    results: list[Synced], mirror: Mirror, output_format: str, dry_run: bool, steps: list[Step]
) -> int:
    """Print how each ended; the exit code. A single failure is raised as it is."""
    from imgctl.output import print_error, print_json
    from imgctl.progress import moved

    failed = [item for item in results if item.error is not None]
    if len(failed) == len(results) == 1 and failed[0].error is not None:
        raise failed[0].error
    name = f"{mirror.host}/{mirror.prefix}".rstrip("/")
    if output_format == "json":
        value: dict[str, Any] = {
            "base_mirror": name, "bases": [item.to_json() for item in results]
        }  # fmt: skip
        if steps:
            value["steps"] = [step.to_json() for step in steps]
        print_json(value | {"dry_run": True} if dry_run else value)
    for item in results:
        if item.error is not None:
            click.echo(f"{item.source}:", err=True)
            print_error(item.error)
        elif output_format == "text":
            click.echo(item.target.with_digest(item.digest) if item.digest else item.target)
            if steps and not item.unchanged:
                says = "Harbor would bring it" if dry_run else "brought by Harbor"
            else:
                says = "already there" if item.unchanged else moved(item.tally, would=dry_run)
            click.echo(f"  {says}; for {', '.join(item.wanted.images)}", err=True)
    if failed:
        done = len(results) - len(failed)
        click.echo(f"imgctl: {done} of {len(results)} brought, {len(failed)} failed", err=True)
    if len(failed) < len(results) and not dry_run:
        click.echo(f"build and push with --base-mirror {name}", err=True)
    codes = {item.error.exit_code for item in failed if item.error is not None}
    return codes.pop() if len(codes) == 1 else int(bool(codes))
