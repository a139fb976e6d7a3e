"""`imgctl diff`: what changed between two images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.output import print_json

if TYPE_CHECKING:
    from release.diff import Change, Difference


@click.command(name="diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--platform", default="linux/arm64", show_default=True, help="Which platform.")
@registry_options
@format_option
def command(
    before: str, after: str, platform: str, registry: RegistryFlags, output_format: str
) -> None:
    """Show what changed from image A to image B: base, packages, files, settings, size.

    A and B are references, HOST/REPOSITORY:TAG or @sha256:…; layers both have are not read.
    """
    from registry.client import RegistryClient
    from registry.oci import Platform
    from registry.reference import Reference
    from release.diff import compare
    from release.remote import read_image

    names = [Reference.parse(before), Reference.parse(after)]
    wanted = Platform.parse(platform)
    with RegistryClient(registry.options(names[0].host)) as client:
        stores = [client.repository(name.host, name.repository) for name in names]
        images = [read_image(*pair, wanted) for pair in zip(stores, names, strict=True)]
        found = compare(images[0], stores[0], images[1], stores[1])
    if output_format == "json":
        print_json(found.to_json())
    else:
        _print(found)


def _print(found: Difference) -> None:
    from imgctl.progress import size

    if found.same:
        click.echo(f"the same image: {found.before.manifest.digest}")
        return
    for mark, image in (("-", found.before), ("+", found.after)):
        click.echo(f"{mark} {image.reference}  {image.manifest.digest}  {size(image.size)}")
    for change in found.changes:
        click.echo(_line(change))
    for layer in found.unread:
        click.echo(f"? layer {layer.digest}  {size(layer.size)}, too large to look into")


def _line(change: Change) -> str:
    from registry.text import visible

    # One line each, whatever names an image holds: a terminal must not obey them.
    name = visible(change.name, lines=False)
    before, after = (visible(text or "", lines=False) for text in (change.before, change.after))
    if change.before is None:
        return f"+ {change.what} {name}  {after}"
    if change.after is None:
        return f"- {change.what} {name}  {before}"
    return f"~ {change.what} {name}  {before} -> {after}"
