"""A changed script on a base of 4 GB, as a file for a device that has the base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.bases import OCI, push_large
from bench.measure import Run, interleave, row, run
from bench.result import Figure, Result, Table, Target
from bench.setting import Setting
from tests.e2e.support.bases import PYTORCH
from tests.e2e.support.registries import docker_registry

ABOUT = """\
The image of a script on a base of 11 layers lies in a registry, its build in `dist/`. `imgctl
bundle --holds base` writes the archive for devices that have the base. The peers know nothing of
devices: each writes the whole image, which is what their users carry."""

TAG = "1.0.0-l4t-r35.2.1"
BUNDLE = "imgctl bundle --holds base"
LARGEST = 30_000  # bytes; four seconds at 64 kbit/s


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    total = 200_000_000 if setting.quick else 4_000_000_000
    setting.say(f"an image on a base of {total / 1e9:g} GB")
    with docker_registry(setting.work / "source") as registry:
        push_large(registry.host, PYTORCH, total, 11, OCI)
        build = [setting.imgctl, "build", "mnist", "--l4t", "r35.2.1", "--engine", "direct",
                 "--base-mirror", registry.host]  # fmt: skip
        run(build, cwd=setting.work)
        place = f"{registry.host}/algorithms"
        run([setting.imgctl, "push", "mnist", "--no-manifests", "--registry", place],
            cwd=setting.work)  # fmt: skip
        image = f"{place}/mnist:{TAG}"
        commands = {
            BUNDLE: [setting.imgctl, "bundle", "mnist", "--holds", "base", "-o", "FILE.tar"],
            "crane pull": ["crane", "pull", "--insecure", image, "FILE.tar"],
            "skopeo copy": ["skopeo", "copy", "--quiet", "--src-tls-verify=false",
                            "--override-arch", "arm64", f"docker://{image}",
                            "oci-archive:FILE.tar"],
        }  # fmt: skip
        candidates = {tool: _written(setting, command) for tool, command in commands.items()}
        runs = interleave(candidates, 2 if setting.quick else 3)
    rows = tuple(
        replace(
            made := row(tool, [done for done, _ in runs[tool]]),
            figures={**made.figures, "archive": Figure.of("B", [size for _, size in runs[tool]])},
        )
        for tool in commands
    )
    targets = (
        Target("archive of a changed script", rows[0].figures["archive"].high, LARGEST, "B"),
    )  # fmt: skip
    table = Table(f"On a base of {total / 1e9:g} GB, 11 layers", rows)
    return Result("deliver", "To a device by file", ABOUT, (table,), targets)


def _written(setting: Setting, command: Sequence[str]) -> Callable[[int], tuple[Run, int]]:
    def once(number: int) -> tuple[Run, int]:
        archive = Path(setting.work, "bundle.tar")
        done = run([word.replace("FILE.tar", str(archive)) for word in command], cwd=setting.work)
        size = archive.stat().st_size
        archive.unlink()
        return done, size

    return once
