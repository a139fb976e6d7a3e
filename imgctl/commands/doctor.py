"""`imgctl doctor`: whether this machine can build and push, and what to do where it cannot."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.output import print_json
from registry.errors import BadInput

if TYPE_CHECKING:
    from builder.bases import BaseImage
    from builder.doctor.check import Check
    from builder.matrix import Matrix

_PATIENCE = 10.0  # seconds for a registry's answer
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command(name="doctor")
@click.argument("image", required=False)
@click.option("--l4t", metavar="RELEASE", help="The release IMAGE shall be built for.")
@click.option("--base", "family", metavar="FAMILY", help="Base family; see `imgctl l4t RELEASE`.")
@click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Takes the place of nvcr.io.")
@click.option("--builder", default="", metavar="NAME", help="buildx: this builder.")
@click.option("--harbor", default="", metavar="HOST", help="Where images shall be pushed.")
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where results go.")  # fmt: skip
@registry_options
@format_option
def command(
    image: str | None,
    l4t: str | None,
    family: str | None,
    base_mirror: str | None,
    builder: str,
    harbor: str,
    dist: Path,
    registry: RegistryFlags,
    output_format: str,
) -> int:
    """Check what building and pushing need on this machine.

    With IMAGE and --l4t, or --base and --l4t, room and registry are checked for that very base,
    and what the image does not need is no failure. Exit code 0 when all that is needed works.
    """
    from builder.doctor.examine import Question, examine
    from builder.matrix import Matrix
    from builder.mirror import Mirror
    from registry.client import RegistryClient
    from registry.reference import check_host
    from registry.retry import RetryPolicy

    matrix = Matrix.load()
    base, engine_for = _subject(matrix, image, l4t, family)
    question = Question(
        environment=dict(os.environ),
        machine=platform.machine(),
        dist=dist,
        base=base,
        engine_for=engine_for,
        mirror=Mirror.parse(base_mirror) if base_mirror else None,
        builder=builder,
        harbor=check_host(harbor) if harbor else "",
    )
    checks = []
    # A doctor says what is so now, and soon.
    options = replace(
        registry.options(harbor or question.base_host),
        timeout=_PATIENCE,
        retry=RetryPolicy(attempts=2),
    )
    with RegistryClient(options) as client:
        for check in examine(question, client):
            checks.append(check)
            if output_format == "text":
                _show(check)
    works = all(check.state != "failed" for check in checks)
    if output_format == "json":
        print_json({"ok": works, "checks": [check.to_json() for check in checks]})
    return 0 if works else 1


def _subject(
    matrix: Matrix, image: str | None, l4t: str | None, family: str | None
) -> tuple[BaseImage | None, str | None]:
    """The base that is asked about, and why building on it needs buildx (see Question)."""
    from builder import bases
    from builder.definition import find
    from builder.dockerfile import render
    from builder.instructions import final_stage, parse
    from builder.recipe import find as find_recipe
    from builder.request import Request, resolve_base
    from builder.stage import needs_buildx
    from imgctl.catalogue import image_roots, template_roots

    if image is None and family is None and l4t is None:
        return None, "any image"
    if l4t is None:
        raise BadInput("for which L4T release?", "", "add --l4t r35.2.1; `imgctl l4t` lists them")
    release = matrix.release(l4t)
    if image is None:
        if family is None:
            raise BadInput("which image or base?", "--l4t alone names none", "add IMAGE or --base")
        return bases.resolve(matrix, release, family), "any image"
    definition = find(image, image_roots())
    base = resolve_base(matrix, Request(definition, release, family), None)
    recipe = find_recipe(matrix, release, definition.framework, base)
    # Python packages alone need no buildx: the direct engine lays them on as wheels.
    text = render(definition, release, base, recipe, template_roots(), pip=False)
    return base, needs_buildx(final_stage(parse(text)))


def _show(check: Check) -> None:
    state = click.style(f"{check.state:<8}", fg=_COLOURS[check.state])
    click.echo(f"{state} {check.name:<12} {check.says}")
    for number, remedy in enumerate(check.remedies):
        click.echo(f"{'':<21} {' or' if number else 'fix'}: {remedy}")
