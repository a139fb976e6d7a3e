"""`imgctl images`: what can be built, and for which L4T lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgctl.options import format_option
from imgctl.output import print_json

if TYPE_CHECKING:
    from builder.definition import ImageDefinition
    from builder.matrix import Matrix


@click.command(name="images")
@format_option
def command(output_format: str) -> None:
    """List the images that can be built, with the L4T lines each can be built for."""
    from builder.definition import catalogue
    from builder.matrix import Matrix
    from imgctl.catalogue import image_roots

    matrix = Matrix.load()
    rows = [_row(matrix, item) for item in catalogue(image_roots())]
    if output_format == "json":
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['name']} {row['version']}  {row['description']}")
        for family, lines in row["lines"].items():
            click.echo(f"  {family:<15} {_ranges(lines)}")


def _row(matrix: Matrix, image: ImageDefinition) -> dict[str, Any]:
    return {
        "name": image.name,
        "version": image.version,
        "description": image.description,
        "framework": image.framework,
        "bases": list(image.bases),
        "directory": str(image.directory),
        "lines": {family: _lines(matrix, image, family) for family in image.bases},
    }


def _lines(matrix: Matrix, image: ImageDefinition, family: str) -> list[str]:
    """The L4T lines (`r35.2`) an image can be built for on one family."""
    from builder.bases import resolve
    from builder.recipe import find
    from registry.errors import Refused

    found: dict[str, None] = {}
    for release in matrix.releases:
        name = "r" + ".".join(map(str, release.line))
        if name in found:
            continue
        try:
            base = resolve(matrix, release, family, image.framework)
            find(matrix, release, image.framework, base)
        except Refused:
            continue
        found[name] = None
    return list(found)


def _ranges(lines: list[str]) -> str:
    return ", ".join(lines) if lines else "none"
