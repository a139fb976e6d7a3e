"""Sixty-four pushes at once, by eight processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.bases import digest, push_large
from bench.measure import interleave, run
from bench.result import Figure, Result, Row, Table, Target
from bench.scripts import write_image, write_layer
from bench.setting import Setting
from registry.oci import ACCEPT
from tests.e2e.support.bases import PYTORCH
from tests.e2e.support.registries import docker_registry

ABOUT = """\
Eight processes start together; each pushes eight images of its own, on a base that the registry
has. crane's eight processes are shells that call `crane append` for one image after the other.
Afterwards every tag is read from the registry, and its manifest's bytes are hashed: a push counts
as right when they have the digest that was built."""

PROCESSES = 8
IMAGES = 8
IMGCTL, CRANE = "imgctl push, 8 images × 8", "crane append, 8 images × 8"


@dataclass(frozen=True)
class Wave:
    """All pushes at once: seconds until the last ended, and how many had the right digest."""

    seconds: float
    right: int


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    with docker_registry(setting.work / "registry") as registry:
        push_large(registry.host, PYTORCH, 20_000_000, 2)
        setting.say("building")
        with ThreadPoolExecutor(PROCESSES) as pool:
            list(pool.map(lambda process: _prepare(setting, registry.host, process),
                          range(PROCESSES)))  # fmt: skip
        setting.say("pushing")
        candidates = {
            IMGCTL: _imgctl(setting, registry.host),
            CRANE: _crane(setting, registry.host),
        }
        waves = interleave(candidates, 2 if setting.quick else 5)
    rows = tuple(_row(name, waves[name]) for name in candidates)
    wrong = PROCESSES * IMAGES - min(wave.right for wave in waves[IMGCTL])
    targets = (Target("pushes of 64 at once that went wrong", wrong, 0, ""),)
    return Result("many", "Sixty-four pushes at once", ABOUT, (Table("64 pushes", rows),), targets)


def _name(process: int, image: int) -> str:
    return f"job-{process}-{image}"


def _folder(setting: Setting, process: int) -> Path:
    return setting.work / f"process-{process}"


def _prepare(setting: Setting, host: str, process: int) -> None:
    folder = _folder(setting, process)
    names = [_name(process, image) for image in range(IMAGES)]
    for name in names:
        write_image(folder, name, "1.0.0")
        write_layer(folder / f"{name}.tar", name, "1.0.0")
    command = [setting.imgctl, "build", *names, "--l4t", "r35.2.1", "--engine", "direct",
               "--base-mirror", host]  # fmt: skip
    run(command, cwd=folder)


def _together(setting: Setting, command: Callable[[int], list[str]]) -> float:
    """Run a command per process, all at once; seconds until the last has ended."""
    began = time.monotonic()
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(lambda process: run(command(process), cwd=_folder(setting, process)),
                      range(PROCESSES)))  # fmt: skip
    return time.monotonic() - began


def _imgctl(setting: Setting, host: str) -> Callable[[int], Wave]:
    def wave(number: int) -> Wave:
        project = f"wave-{number}"
        command = [setting.imgctl, "push", "--no-manifests", "--registry", f"{host}/{project}"]
        seconds = _together(setting, lambda process: command)
        right = 0
        for process in range(PROCESSES):
            for record in _folder(setting, process).glob("dist/*/*/build.json"):
                built = json.loads(record.read_text())
                place = f"{project}/{built['image']}"
                right += _digest_of(host, place, built["tag"]) == built["digest"]
        return Wave(seconds, right)

    return wave


def _crane(setting: Setting, host: str) -> Callable[[int], Wave]:
    def wave(number: int) -> Wave:
        def command(process: int) -> list[str]:
            appends = [
                f"crane append --base {host}/{PYTORCH} --new_layer {name}.tar"
                f" --new_tag {host}/crane-{number}/{name}:1 >{name}.pushed"
                for name in (_name(process, image) for image in range(IMAGES))
            ]
            return ["sh", "-e", "-c", "\n".join(appends)]

        seconds = _together(setting, command)
        right = 0
        for process in range(PROCESSES):
            for image in range(IMAGES):
                name = _name(process, image)
                said = (_folder(setting, process) / f"{name}.pushed").read_text().strip()
                right += said.endswith(_digest_of(host, f"crane-{number}/{name}", "1"))
        return Wave(seconds, right)

    return wave


def _digest_of(host: str, repository: str, tag: str) -> str:
    """The digest of a manifest's bytes as the registry gives them; no digest if it has none."""
    url = f"http://{host}/v2/{repository}/manifests/{tag}"
    answer = httpx.get(url, headers={"Accept": ACCEPT})
    return digest(answer.content) if answer.status_code == 200 else "absent"


def _row(name: str, waves: list[Wave]) -> Row:
    figures = {
        "wall": Figure.of("s", (wave.seconds for wave in waves)),
        "right": Figure.of("", (wave.right for wave in waves)),
    }
    return Row(name, figures)
