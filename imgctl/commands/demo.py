"""`imgctl demo`: the whole pipeline on an embedded registry, with nothing but this program."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import format_option
from imgctl.output import print_json
from registry.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgctl.demo import Step

_INTRODUCTION = """\
{image} for L4T {l4t}, from its definition to the manifests that run it, in this one process.
The registry lives in this process's memory. The base is a STAND-IN with NVIDIA's name and a few
megabytes of noise instead of gigabytes of software: the image is complete, and cannot run.
"""


@click.command(name="demo")
@click.argument("image", default="mnist")
@click.option("--l4t", metavar="RELEASE", default="r35.2.1", show_default=True,
              help="r35.2.1, jetpack-5.1, …")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIR",
              help="Keep what it made in this new folder.")  # fmt: skip
@format_option
def command(image: str, l4t: str, keep: Path | None, output_format: str) -> None:
    """Show the whole pipeline at work: no network, no Docker, no root.

    IMAGE (mnist unless given) becomes a Dockerfile, an arm64 image, an artifact in a registry, and
    the manifests that run it. Nothing is left behind but what --keep asks for.
    """
    began = time.perf_counter()
    from tempfile import TemporaryDirectory

    from builder.definition import find
    from builder.matrix import Matrix
    from builder.request import Request
    from imgctl.catalogue import image_roots, template_roots
    from imgctl.demo import demonstrate

    if keep is not None and keep.exists():
        raise BadInput(f"{keep} is there already", "--keep makes the folder", "name a new one")
    matrix = Matrix.load()
    request = Request(find(image, image_roots()), matrix.release(l4t))
    show = _show if output_format == "text" else _say_nothing
    place = None if keep is None else _parent(keep)
    with TemporaryDirectory(prefix=".imgctl-demo-", dir=place) as scratch:
        folder = Path(scratch) / "kept"
        folder.mkdir()
        if output_format == "text":
            names = {"image": request.definition.name, "l4t": request.release.name}
            click.echo(_INTRODUCTION.format(**names))
        steps, pushed = demonstrate(
            matrix, request, template_roots(), folder, show, full=keep is not None
        )
        if keep is not None:
            folder.replace(keep)
    seconds = time.perf_counter() - began
    if output_format == "json":
        print_json(
            {
                "image": request.definition.name,
                "l4t": request.release.name,
                "stand_in": True,
                "steps": [step.to_json() for step in steps],
                "push": pushed.to_json(),
                "seconds": round(seconds, 3),
                "kept": str(keep) if keep else None,
            }
        )
    else:
        _print_table(steps, keep, seconds)


def _parent(keep: Path) -> Path:
    """The folder that holds keep; raises BadInput when nothing can be written there."""
    try:
        keep.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {keep}", error.strerror or str(error)) from error
    return keep.parent


def _show(step: Step) -> None:
    """A step as it ends: its name, what it says, what it made."""
    first, *notes = step.says.splitlines()
    click.echo(f"{click.style(f'{step.name:<11}', bold=True)} {first}")
    for line in notes:
        click.echo(f"{'':<11} note: {line}")
    for line in step.detail.splitlines():
        click.echo(f"  | {line}".rstrip())
    if step.detail:
        click.echo()


def _say_nothing(step: Step) -> None:
    """Nothing: the JSON comes at the end, whole."""


def _print_table(steps: Sequence[Step], keep: Path | None, seconds: float) -> None:
    from imgctl.progress import size

    click.echo(f"\n{'step':<11} {'time':>9} {'received':>9} {'sent':>9} {'requests':>9}")
    for step in steps:
        click.echo(
            f"{step.name:<11} {step.seconds * 1000:6.0f} ms "
            f"{size(step.received):>9} {size(step.sent):>9} {step.requests:>9}"
        )
    click.echo(f"{'all':<11} {seconds * 1000:6.0f} ms  with the program's start")
    click.echo(f"kept in {keep}" if keep else "nothing was left behind; --keep DIR keeps it all")
