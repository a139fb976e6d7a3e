"""`imgctl copy`: any image, between registries, layouts and archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, format_option, registry_options

if TYPE_CHECKING:
    from registry.client import RegistryClient
    from registry.copying import Copied
    from registry.location import Location
    from registry.origin import Origin


@click.command(name="copy")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--all-tags", is_flag=True, help="Every tag of SRC, under its own name.")
@click.option("--referrers", is_flag=True, help="Signatures, SBOMs and the like come along.")
@click.option("--platform", metavar="OS/ARCH", default="all", show_default=True,
              help="Only this platform out of an index.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Look at everything, change nothing.")
@registry_options
@format_option
def command(
    source: str,
    target: str,
    all_tags: bool,
    referrers: bool,
    platform: str,
    dry_run: bool,
    registry: RegistryFlags,
    output_format: str,
) -> None:
    """Copy an image from SRC to DST; only blobs that are missing there move.

    Each is HOST/REPOSITORY[:TAG][@DIGEST], oci:DIR[:TAG] or oci-archive:FILE[:TAG]. DST takes the
    tag of SRC unless it names one. --username is for DST, or for SRC if DST is no registry.
    """
    from imgctl.progress import progress as shown
    from registry.client import RegistryClient
    from registry.copying import CopyRequest, copy_images
    from registry.location import Location
    from registry.oci import Platform
    from registry.transfer import CopyOptions

    places = Location.parse(source), Location.parse(target)
    options = CopyOptions(
        platform=None if platform == "all" else Platform.parse(platform),
        concurrency=registry.concurrency,
        referrers=referrers,
        dry_run=dry_run,
    )
    login = places[1].host or places[0].host
    with shown() as progress, RegistryClient(registry.options(login), progress) as client:
        origins = _origins(places[0], places[1], client)
        request = CopyRequest(*places, all_tags, origins, options)
        copied = copy_images(client, request, progress)
        requests = client.requests
    _report(copied, output_format, dry_run, requests)


def _origins(source: Location, target: Location, client: RegistryClient) -> tuple[Origin, ...]:
    """Where the base of a sparse build may be had, if SRC is one of ours in dist/."""
    from builder.dist import Build
    from builder.record import FILE_NAME
    from release.origins import origins

    if source.reference is not None or not (source.path / FILE_NAME).is_file():
        return ()
    return tuple(origins(Build.load(source.path), client, None, target.host or "", ()))


def _report(copied: list[Copied], output_format: str, dry_run: bool, requests: int) -> None:
    from imgctl.output import print_json
    from imgctl.progress import moved

    if output_format == "json":
        values = [item.to_json() | ({"dry_run": True} if dry_run else {}) for item in copied]
        print_json(values[0] if len(values) == 1 else values)
        return
    for item in copied:
        click.echo(item.reference)
        if item.result.unchanged and not item.result.tally.sent:
            click.echo("  already there", err=True)
        else:
            click.echo(f"  {moved(item.result.tally, would=dry_run)}", err=True)
    if requests:
        click.echo(f"{requests} request{'s' * (requests != 1)}", err=True)
