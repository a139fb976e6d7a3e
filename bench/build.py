"""Builds on bases of 0.1, 1 and 4 GB: time, memory, and bytes read from the base's repository."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.access_log import AccessLog, bytes_read
from bench.bases import push_large
from bench.daemon import forget
from bench.measure import Run, interleave, row, run
from bench.result import Figure, Result, Row, Table, Target
from bench.setting import Setting
from tests.e2e.support.bases import PYTORCH
from tests.e2e.support.registries import docker_registry

ABOUT = """\
`imgctl build mnist --l4t r35.2.1 --no-cache`, by both engines, on stand-in bases of 0.1, 1 and
4 GB. `crane append` puts the same file on the same base, straight in the registry. Plain `docker
buildx build --push` takes the Dockerfile that `imgctl render` prints, once, with the base not yet
in the daemon: that is what every base's first build costs. Bytes read are those of the bodies that
the registry's access log shows for the base's repository."""

DIRECT, BUILDX, CRANE, PLAIN = (
    "imgctl build --engine direct",
    "imgctl build --engine buildx",
    "crane append",
    "docker buildx build --push, cold",
)
_REPOSITORY = PYTORCH.partition(":")[0]
_PUBLISHED = f"nvcr.io/{PYTORCH}"


@dataclass(frozen=True)
class Base:
    """A stand-in of a size: the prefix of its repository, bytes, and how many layers."""

    prefix: str
    total: int
    layers: int

    @property
    def title(self) -> str:
        """The size in words."""
        return f"{self.total / 1e9:g} GB"


FULL = (
    Base("small", 100_000_000, 3),
    Base("middle", 1_000_000_000, 8),
    Base("large", 4_000_000_000, 11),
)
QUICK = (Base("small", 10_000_000, 3), Base("large", 200_000_000, 11))


@dataclass(frozen=True)
class Measured:
    """A run, and the bytes it read from the base's repository."""

    run: Run
    read: int


@dataclass(frozen=True)
class Place:
    """The registry's host and its log, and the folder with the context and the layer."""

    host: str
    log: AccessLog
    work: Path
    imgctl: str


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    bases = QUICK if setting.quick else FULL
    folder = setting.work / "registry"
    with docker_registry(folder, access_log=True) as registry:
        place = Place(registry.host, AccessLog(folder / "registry.log"), setting.work,
                      setting.imgctl)  # fmt: skip
        for base in bases:
            setting.say(f"a base of {base.title}")
            push_large(registry.host, f"{base.prefix}/{PYTORCH}", base.total, base.layers)
        _context(place)
        candidates = {
            f"{name} {base.prefix}": _measured(place, base, make)
            for base in bases
            for name, make in {DIRECT: _direct, BUILDX: _buildx, CRANE: _crane}.items()
        }
        setting.say("imgctl build and crane append, in turn")
        runs = interleave(candidates, 3 if setting.quick else 11)
        for base in bases:
            setting.say(f"docker buildx build on {base.title}")
            runs[f"{PLAIN} {base.prefix}"] = [_measured(place, base, _plain)(0)]
    tables = tuple(_table(base, runs) for base in bases)
    return Result("build", "Build", ABOUT, tables, _targets(bases, tables))


def _table(base: Base, runs: Mapping[str, list[Measured]]) -> Table:
    names = (DIRECT, BUILDX, CRANE, PLAIN)
    rows = tuple(_row(name, runs[f"{name} {base.prefix}"]) for name in names)
    return Table(f"On a base of {base.title}, {base.layers} layers", rows)


def _targets(bases: tuple[Base, ...], tables: tuple[Table, ...]) -> tuple[Target, ...]:
    rows = {(item.name, base.prefix): item.figures
            for base, table in zip(bases, tables, strict=True) for item in table.rows}  # fmt: skip
    large = bases[-1]
    targets = [
        Target(f"direct build on {large.title}", rows[DIRECT, large.prefix]["wall"].median, 0.4,
               "s"),
        Target(f"grafted buildx build on {large.title}",
               rows[BUILDX, large.prefix]["wall"].median, 3, "s"),
    ]  # fmt: skip
    for name in (DIRECT, BUILDX):
        of = [rows[name, base.prefix] for base in bases]
        read = max(figures["read of the base"].high for figures in of)
        memory = max(figures["peak memory"].high for figures in of)
        targets += [
            Target(f"{name}: read of the base", read, 20_000, "B"),
            Target(f"{name}: peak memory, any base", memory, 100_000_000, "B"),
            Target(f"{name}: fastest run over sizes of base, off their mean",
                   _unevenness([figures["wall"].low for figures in of]), 10, "%"),
            Target(f"{name}: memory over sizes of base, off their mean",
                   _unevenness([figures["peak memory"].median for figures in of]), 10, "%"),
        ]  # fmt: skip
    return tuple(targets)


def _unevenness(values: list[float]) -> float:
    """How far the farthest value is from the mean, in per cent of it.

    Of times, give the fastest runs: other work on the machine makes runs slower, never faster.
    """
    mean = sum(values) / len(values)
    return 100 * max(abs(value - mean) for value in values) / mean


def _row(name: str, measured: list[Measured]) -> Row:
    read = Figure.of("B", (item.read for item in measured))
    timed = row(name, [item.run for item in measured])
    return Row(name, {**timed.figures, "read of the base": read})


def _measured(
    place: Place, base: Base, make: Callable[[Place, Base, int], Run]
) -> Callable[[int], Measured]:
    def once(number: int) -> Measured:
        place.log.take()
        done = make(place, base, number)
        return Measured(done, bytes_read(place.log.take(), f"{base.prefix}/{_REPOSITORY}"))

    return once


def _context(place: Place) -> None:
    """A folder with mnist's Dockerfile and script, and the layer crane is given."""
    dockerfile = subprocess.run(
        [place.imgctl, "render", "mnist", "--l4t", "r35.2.1"],
        cwd=place.work, capture_output=True, check=True,
    ).stdout  # fmt: skip
    script = Path(__file__).parent.parent / "images" / "mnist" / "pytorch-mnist.py"
    context = place.work / "context"
    context.mkdir()
    (context / "Dockerfile").write_bytes(dockerfile)
    (context / script.name).write_bytes(script.read_bytes())
    with tarfile.open(place.work / "layer.tar", "w") as tar:
        tar.add(script, f"home/{script.name}")


def _direct(place: Place, base: Base, number: int) -> Run:
    return _imgctl(place, base, "direct")


def _buildx(place: Place, base: Base, number: int) -> Run:
    return _imgctl(place, base, "buildx")


def _imgctl(place: Place, base: Base, engine: str) -> Run:
    command = [place.imgctl, "build", "mnist", "--l4t", "r35.2.1", "--engine", engine,
               "--base-mirror", f"{place.host}/{base.prefix}", "--no-cache"]  # fmt: skip
    return run(command, cwd=place.work)


def _crane(place: Place, base: Base, number: int) -> Run:
    command = ["crane", "append", "--base", f"{place.host}/{base.prefix}/{PYTORCH}",
               "--new_layer", "layer.tar",
               "--new_tag", f"{place.host}/crane/{base.prefix}-{number}:1"]  # fmt: skip
    return run(command, cwd=place.work)


def _plain(place: Place, base: Base, number: int) -> Run:
    mirrored = f"{place.host}/{base.prefix}/{PYTORCH}"
    name = f"{place.host}/plain/{base.prefix}:1"
    command = ["docker", "buildx", "build", "--network=host", "--platform=linux/arm64",
               "--provenance=false", f"--build-context={_PUBLISHED}=docker-image://{mirrored}",
               "--push", f"--tag={name}", "context"]  # fmt: skip
    try:
        return run(command, cwd=place.work, timeout=600)
    finally:
        forget(name, place.host)
