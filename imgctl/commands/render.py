"""`imgctl render`: the Dockerfile an image is built from."""

from __future__ import annotations

import click

from imgctl.options import base_tag_option, format_option


@click.command(name="render")
@click.argument("image")
@click.option("--l4t", metavar="RELEASE", required=True, help="r35.2.1, 35.2.1, jetpack-5.1, …")
@click.option("--base", "family", metavar="FAMILY", help="Base family.  [default: the first fit]")
@base_tag_option
@click.option("--target-l4t", metavar="RELEASE", help="What the device runs, if something else.")
@click.option("--wheel-mirror", metavar="URL", help="Take wheels from here: URL/<file name>.")
@format_option
def command(
    image: str,
    l4t: str,
    family: str | None,
    variant: str | None,
    target_l4t: str | None,
    wheel_mirror: str | None,
    output_format: str,
) -> None:
    """Print the Dockerfile that builds IMAGE for an L4T release."""
    from builder import recipe as recipes
    from builder.definition import find
    from builder.dockerfile import render
    from builder.matrix import Matrix
    from builder.request import Request, resolve_base
    from imgctl.catalogue import image_roots, template_roots
    from imgctl.output import print_json

    definition = find(image, image_roots())
    matrix = Matrix.load()
    release = matrix.release(l4t)
    if note := matrix.chosen(l4t):
        click.echo(f"note: {note}", err=True)
    target = matrix.release(target_l4t) if target_l4t else None
    base = resolve_base(matrix, Request(definition, release, family, variant), target)
    recipe = recipes.find(matrix, release, definition.framework, base)
    if wheel_mirror:
        recipe = recipe.with_mirror(wheel_mirror)
    about_base = f"{base.tag}: {base.note}" if base.note else ""
    notes = [line for line in (base.reason, about_base, *recipe.notes) if line]
    for line in notes:
        click.echo(f"note: {line}", err=True)
    dockerfile = render(definition, release, base, recipe, template_roots())
    if output_format == "json":
        found = {"image": definition.name, "version": definition.version, "l4t": release.name}
        print_json({**found, "base": str(base.reference), "dockerfile": dockerfile, "notes": notes})
    else:
        click.echo(dockerfile, nl=False)
