"""`imgctl history`: the releases of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.releases_options import place_options

if TYPE_CHECKING:
    from release.listing import Released


@click.command(name="history")
@click.argument("image")
@click.option("--l4t", metavar="RELEASE", help="Only for this release.")
@click.option("--platform", default="linux/arm64", show_default=True, help="Which platform.")
@place_options
@registry_options
@format_option
def command(
    image: str,
    l4t: str | None,
    platform: str,
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> None:
    """Show what was released of IMAGE: versions, digests, sizes, bases, readable tags."""
    from builder.matrix import Matrix
    from imgctl.output import print_json
    from imgctl.push_options import place_of
    from imgctl.releases_options import repository_of
    from imgctl.settings import section
    from registry.client import RegistryClient
    from registry.oci import Platform
    from release.listing import list_releases
    from release.tags import TagScheme

    name = Matrix.load().release(l4t).name if l4t else None
    with RegistryClient(registry.options(place_of(given).host)) as client:
        repository = repository_of(client, given, image)
        scheme = TagScheme.parse(section("tags"))
        found = list_releases(repository, scheme, Platform.parse(platform), name)
    if output_format == "json":
        print_json([item.to_json() for item in found])
        return
    if not found:
        click.echo(f"nothing of {repository} is released", err=True)
    for item in found:
        _print(item)


def _print(item: Released) -> None:
    from imgctl.progress import size
    from registry.text import visible
    from release.remote import BASE_NAME

    readable = f"  ({', '.join(item.tags)})" if item.tags else ""
    signed = "signed" if item.signed else "not signed"
    click.echo(f"{item.tag}  {item.digest}{readable}")
    base = visible(item.image.labels.get(BASE_NAME, "unknown"), lines=False)
    click.echo(f"  {size(item.image.size)}, on {base}, {signed}")
