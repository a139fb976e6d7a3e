"""Releases of one changed script on a large base, signed and with SBOMs; and promotion."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.bases import push_large
from bench.measure import Run, interleave, run
from bench.result import Figure, Result, Row, Table, Target
from bench.scripts import write_image
from bench.setting import Setting
from tests.e2e.support.bases import PYTORCH
from tests.e2e.support.registries import docker_registry

ABOUT = """\
`imgctl release` of a script of 18 kB on a base of 4 GB in a repository of the same registry: built,
sent by digest, signed with an encrypted key, provenance and SBOMs in SPDX and CycloneDX attached in
both of cosign's forms, tagged, read back, manifests and notes written. Each run is the next version
of the script. `imgctl promote` then takes what was built without a signature to another project of
the registry: every blob is one request there, a mount. With a signature all that is attached goes
along and is checked twice."""

DIRECT, BUILDX = "imgctl release --engine direct", "imgctl release --engine buildx"
FEW = "imgctl promote, 3 layers"
MANY = "imgctl promote, 12 layers"
SIGNED = "imgctl promote, 12 layers, signed, checked before and after"
_PASSWORD = {"IMGCTL_KEY_PASSWORD": "bench"}


@dataclass(frozen=True)
class Place:
    """The registry's host, the folder with images and keys, and the program."""

    host: str
    work: Path
    imgctl: str

    def imgctl_run(self, *arguments: str) -> Run:
        """Run imgctl in the folder."""
        return run([self.imgctl, *arguments], cwd=self.work, env=_PASSWORD)


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    size = 200_000_000 if setting.quick else 4_000_000_000
    with docker_registry(setting.work / "registry") as registry:
        place = Place(registry.host, setting.work, setting.imgctl)
        setting.say(f"a base of {size / 1e9:g} GB")
        push_large(registry.host, PYTORCH, size, 11)
        push_large(registry.host, f"few/{PYTORCH}", 10_000_000, 2)
        place.imgctl_run("sign", "--generate-key", "signing")
        setting.say("releases by both engines, in turn")
        candidates = {DIRECT: _release(place, "direct"), BUILDX: _release(place, "buildx")}
        runs = interleave(candidates, 3 if setting.quick else 9)
        setting.say("promotions")
        _plain(place, "few", "few")
        _plain(place, "many", "")
        promotions = {
            FEW: [_promote(place, "plain/few", number) for number in range(3)],
            MANY: [_promote(place, "plain/many", number) for number in range(3)],
            SIGNED: [_promote(place, "team/direct", number, signed=True) for number in range(3)],
        }
    rows = tuple(
        Row(name, {"wall": Figure.of("s", (item.seconds for item in runs[name])),
                   "peak memory": Figure.of("B", (item.peak_rss for item in runs[name]))})
        for name in candidates
    )  # fmt: skip
    tables = (
        Table(f"A release on a base of {size / 1e9:g} GB", rows),
        Table("Promotion within the registry", tuple(map(_row, promotions, promotions.values()))),
    )
    return Result("release", "Releases", ABOUT, tables, _targets(rows, tables[1].rows))


def _targets(rows: tuple[Row, ...], promotions: tuple[Row, ...]) -> tuple[Target, ...]:
    direct, buildx = (row.figures["wall"].median for row in rows)
    few, many = (row.figures for row in promotions[:2])
    return (
        Target("signed release with the direct engine", direct, 1.2, "s"),
        Target("signed release with buildx", buildx, 3, "s"),
        Target("requests of a promotion within a registry, 3 layers", few["requests"].high, 15, ""),
        Target(
            "requests of a promotion within a registry, 12 layers", many["requests"].high, 15, ""
        ),
        Target("bytes of blobs that a promotion sent", many["sent"].high, 0, "B"),
    )


def _release(place: Place, engine: str) -> Callable[[int], Run]:
    def once(number: int) -> Run:
        version = f"1.{number}.0"
        write_image(place.work, engine, version)
        return place.imgctl_run(
            "release", engine, "--l4t", "r35.2.1", "--engine", engine, "--base-mirror", place.host,
            "--registry", f"{place.host}/team", "--key", "signing.key", "--allow-dirty",
        )  # fmt: skip

    return once


@dataclass(frozen=True)
class Promotion:
    """One promotion: how it ran, the requests it took, bytes of blobs it sent."""

    run: Run
    requests: int
    sent: int


def _plain(place: Place, name: str, prefix: str) -> None:
    """Build and push an image that nobody signed, on a base in one of the registry's prefixes."""
    write_image(place.work, name, "1.0.0")
    mirror = f"{place.host}/{prefix}".rstrip("/")
    place.imgctl_run("build", name, "--l4t", "r35.2.1", "--engine", "direct",
                     "--base-mirror", mirror)  # fmt: skip
    place.imgctl_run("push", name, "--registry", f"{place.host}/plain")


def _promote(place: Place, name: str, number: int, *, signed: bool = False) -> Promotion:
    key = ["--key", "signing.pub"] if signed else []
    done = place.imgctl_run(
        "promote", f"{place.host}/{name}:1.0.0-l4t-r35.2.1",
        "--to", f"{place.host}/production-{number}", "--format", "json", *key,
    )  # fmt: skip
    value = json.loads(done.output[done.output.index("{") :])
    return Promotion(done, int(value["requests"]), int(value["bytes"]["sent"]))


def _row(name: str, promotions: list[Promotion]) -> Row:
    return Row(
        name,
        {
            "wall": Figure.of("s", (item.run.seconds for item in promotions)),
            "requests": Figure.of("", (item.requests for item in promotions)),
            "sent": Figure.of("B", (item.sent for item in promotions)),
        },
    )
