"""A complete image of 4 GB, from its OCI layout into an empty registry."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.bases import OCI, push_large
from bench.measure import Run, interleave, row, run
from bench.result import Result, Table, Target
from bench.setting import Setting
from tests.e2e.support.bases import PYTORCH
from tests.e2e.support.registries import docker_registry

ABOUT = """\
The folder that `imgctl build mnist --l4t r35.2.1 --full` leaves on a base of 11 layers is an OCI
layout that every tool reads. Each pushes it into a registry of its own that holds nothing."""

TAG = "1.0.0-l4t-r35.2.1"
IMGCTL, CRANE, ORAS, SKOPEO = "imgctl push", "crane push", "oras cp", "skopeo copy"


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    total = 200_000_000 if setting.quick else 4_000_000_000
    setting.say(f"a layout of {total / 1e9:g} GB")
    layout = _layout(setting, total)
    name = "HOST/algorithms/mnist"
    commands = {
        IMGCTL: [setting.imgctl, "push", "mnist", "--no-manifests",
                 "--registry", "HOST/algorithms"],
        CRANE: ["crane", "push", str(layout), f"{name}:{TAG}"],
        ORAS: ["oras", "cp", "--no-tty", "--from-oci-layout", f"{layout}:{TAG}",
               "--to-plain-http", f"{name}:{TAG}"],
        SKOPEO: ["skopeo", "copy", "--quiet", "--dest-tls-verify=false",
                 f"oci:{layout}:{TAG}", f"docker://{name}:{TAG}"],
    }  # fmt: skip
    candidates = {tool: _into_empty(setting, command) for tool, command in commands.items()}
    runs = interleave(candidates, 2 if setting.quick else 5)
    rows = tuple(row(tool, runs[tool]) for tool in commands)
    walls = {item.name: item.figures["wall"].median for item in rows}
    memory = rows[0].figures["peak memory"].high
    fastest = min(wall for tool, wall in walls.items() if tool != IMGCTL)
    targets = (
        Target(f"{total / 1e9:g} GB layout pushed, against the fastest peer", walls[IMGCTL],
               fastest, "s"),
        Target("peak memory of that push", memory, 80_000_000, "B"),
    )  # fmt: skip
    table = Table(f"{total / 1e9:g} GB in 12 layers", rows)
    return Result("bulk", "A whole image into an empty registry", ABOUT, (table,), targets)


def _layout(setting: Setting, total: int) -> Path:
    """Build the layout; the registry its base came from is gone afterwards."""
    source = setting.work / "source"
    with docker_registry(source) as registry:
        # skopeo reads no layouts with Docker's media types.
        push_large(registry.host, PYTORCH, total, 11, OCI)
        build = [setting.imgctl, "build", "mnist", "--l4t", "r35.2.1", "--engine", "direct",
                 "--base-mirror", registry.host, "--full"]  # fmt: skip
        run(build, cwd=setting.work)
    shutil.rmtree(source)
    return setting.work / "dist" / "mnist" / TAG


def _into_empty(setting: Setting, command: Sequence[str]) -> Callable[[int], Run]:
    def once(number: int) -> Run:
        with (
            tempfile.TemporaryDirectory(dir=setting.work) as folder,
            docker_registry(Path(folder)) as registry,
        ):
            filled = [word.replace("HOST", registry.host) for word in command]
            done = run(filled, cwd=setting.work)
            setting.say(f"{filled[0].rpartition('/')[2]} took {done.seconds:.1f} s")
            return done

    return once
