"""`imgctl outdated`: released images whose base has moved on."""

from __future__ import annotations

from typing import Any

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.releases_options import place_options


@click.command(name="outdated")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Has the bases, instead of nvcr.io.")
@click.option("--check", is_flag=True, help="Exit with 3 when there are any.")
@click.option("--platform", default="linux/arm64", show_default=True, help="Which platform.")
@place_options
@registry_options
@format_option
def command(
    images: tuple[str, ...],
    base_mirror: str | None,
    check: bool,
    platform: str,
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> int:
    """List releases of IMAGE (default: every image of the catalogue) whose base has moved on.

    Its tag names another digest now, or its line of L4T (r35) has a newer one. --check is for a
    nightly job that shall act on it.
    """
    from builder.definition import catalogue
    from builder.matrix import Matrix
    from builder.mirror import Mirror
    from imgctl.catalogue import image_roots
    from imgctl.output import print_json
    from imgctl.push_options import place_of
    from imgctl.releases_options import repository_of
    from imgctl.settings import section
    from registry.client import RegistryClient
    from registry.oci import Descriptor, Platform
    from registry.reference import Reference
    from release.listing import list_releases
    from release.outdated import newest, outdated
    from release.remote import read_image
    from release.tags import TagScheme

    matrix, wanted = Matrix.load(), Platform.parse(platform)
    names = images or tuple(item.name for item in catalogue(image_roots()))
    mirror = Mirror.parse(base_mirror) if base_mirror else None
    scheme = TagScheme.parse(section("tags"))
    with RegistryClient(registry.options(place_of(given).host)) as client:

        def look(base: Reference) -> Descriptor | None:
            place = mirror.of(base) if mirror else base
            store = client.repository(place.host, place.repository)
            if store.manifest_descriptor(place.target) is None:
                return None
            return read_image(store, place, wanted).manifest.descriptor

        found = [
            item
            for name in names
            for item in outdated(
                newest(list_releases(repository_of(client, given, name), scheme, wanted)),
                matrix,
                look,
            )
        ]
    if output_format == "json":
        print_json([item.to_json() for item in found])
    else:
        for item in found:
            click.echo(f"{item.release.image.reference}\n  {item.why}\n  {item.hint}")
    if not found:
        click.echo("nothing is outdated", err=True)
    return 3 if found and check else 0
