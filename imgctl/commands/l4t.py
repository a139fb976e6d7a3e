"""`imgctl l4t`: the releases there are, what exists for one, and which one this device runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from imgctl.options import format_option
from imgctl.output import print_json
from registry.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from builder.device import Device
    from builder.matrix import L4TRelease, Matrix
    from builder.overview import FamilyAnswer, FrameworkAnswer, Overview


@click.command(name="l4t")
@click.argument("release", required=False)
@click.option("--detect", is_flag=True, help="Look at this device and show what is for it.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="With --detect: where the device's file system is mounted.  [default: /]",
)
@format_option
def command(release: str | None, detect: bool, root: str | None, output_format: str) -> None:
    """Jetson Linux releases and what exists for them.

    Without RELEASE, the table of all. RELEASE is r35.5.0, 35.5.0, jetpack-5.1.3 or 5.1.3.
    """
    from builder.matrix import Matrix

    if release is not None and detect:
        raise BadInput("give either a release or --detect")
    if root is not None and not detect:
        raise BadInput("--root goes with --detect", "", f"write imgctl l4t --detect --root {root}")
    matrix = Matrix.load()
    if detect:
        _show_device(matrix, root or "/", output_format)
    elif release is not None:
        if chosen := matrix.chosen(release):
            click.echo(chosen, err=True)
        _show_release(matrix, matrix.release(release), output_format)
    elif output_format == "json":
        print_json([{"name": item.name, **asdict(item)} for item in matrix.releases])
    else:
        click.echo(_table(_release_rows(matrix)))


def _show_device(matrix: Matrix, root: str | Path, output_format: str) -> None:
    from pathlib import Path

    from builder.device import detect
    from builder.overview import overview

    device = detect(matrix, Path(root))
    release = matrix.known(device.l4t)
    if output_format == "json":
        known = overview(matrix, release).to_json() if release else None
        print_json({"device": asdict(device), "release": known})
        if release is None:
            matrix.release(device.l4t)
        return
    click.echo("\n".join(_device_lines(matrix, device)))
    # Raises for a release nobody has heard of, with the nearest; the device was shown all the same.
    _show_release(matrix, matrix.release(device.l4t), output_format)


def _device_lines(matrix: Matrix, device: Device) -> list[str]:
    name = matrix.module(device.module).names[0] if device.module else device.model
    return [f"This device: {name or 'unknown module'}, L4T r{device.l4t} (from {device.read_from})"]


def _show_release(matrix: Matrix, release: L4TRelease, output_format: str) -> None:
    from builder.overview import overview

    found = overview(matrix, release)
    if output_format == "json":
        print_json(found.to_json())
    else:
        click.echo("\n".join(_release_lines(matrix, found)))


def _release_rows(matrix: Matrix) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("L4T", "JETPACK", "UBUNTU", "PYTHON", "CUDA", "CUDNN", "TENSORRT", "MODULES")
    ]
    rows += [
        (
            item.name,
            item.jetpack,
            item.ubuntu,
            item.python,
            item.cuda,
            item.cudnn or "?",
            item.tensorrt or "?",
            " ".join(item.modules),
        )
        for item in matrix.releases
    ]
    return rows


def _release_lines(matrix: Matrix, found: Overview) -> list[str]:
    release = found.release
    modules = [matrix.module(name) for name in release.modules]
    lines = [
        f"{release.name}  JetPack {release.jetpack}, Ubuntu {release.ubuntu}, "
        f"Python {release.python}",
        f"  CUDA {release.cuda}, cuDNN {release.cudnn or 'unknown'}, "
        f"TensorRT {release.tensorrt or 'unknown'} (from {found.cuda_comes_from})",
        "  modules: " + ", ".join(f"{item.names[0]} (sm_{item.sm})" for item in modules),
        f"  apt suite: {found.apt_suite or 'none known'}",
        f"  device plugin: {found.device_plugin} or later ({found.device_plugin_why})",
    ]
    if release.note or release.confidence != "high":
        note = f"; {release.note}" if release.note else ""
        lines.append(f"  confidence: {release.confidence}{note}")
    lines += ["", "Base images", *_indented(_family_rows(found.families))]
    lines += ["", "Frameworks for a base without them"]
    lines += [f"  {line}" for item in found.frameworks for line in _framework_lines(item)]
    lines += ["", f"Such a host runs images of: {_ranges(matrix, found.hosts_run)}"]
    lines.append(f"  {found.host_rule}")
    if found.community:
        lines += ["", "On Docker Hub, not NVIDIA's and never chosen"]
        rows = [(item.reference, f"{item.gib} GiB compressed") for item in found.community]
        lines += _indented(rows)
    return lines


def _family_rows(answers: Sequence[FamilyAnswer]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for item in answers:
        rows.append((item.family, item.answer, item.reference or item.why))
        if item.reference and item.why:
            rows.append(("", "", f"  {item.why}"))
        others = [
            tag for tag in item.choices if item.reference and not item.reference.endswith(tag)
        ]
        if others:
            rows.append(("", "", f"  also {', '.join(others)}"))
    return rows


def _framework_lines(item: FrameworkAnswer) -> list[str]:
    if item.version is None:
        return [f"{item.framework}: none; {item.why}"]
    lines = [f"{item.framework} {item.version} ({item.status}) from {item.url}"]
    if item.torchvision:
        lines.append(f"  torchvision {item.torchvision}")
    elif item.why:
        lines.append(f"  {item.why}")
    if item.others:
        lines.append(f"  also {', '.join(item.others)}")
    return lines


def _ranges(matrix: Matrix, names: Sequence[str]) -> str:
    """Consecutive releases as `r35.1.0 to r35.6.4`."""
    known = [item.name for item in matrix.releases]
    groups: list[list[str]] = []
    for name in names:
        if groups and known.index(name) == known.index(groups[-1][-1]) + 1:
            groups[-1].append(name)
        else:
            groups.append([name])
    return ", ".join(
        group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in groups
    )


def _indented(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"  {line}" for line in _table(rows).splitlines()]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
