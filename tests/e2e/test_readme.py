"""Every command of the README, typed in order as a reader would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from tests.e2e.support.console import commands
from tests.e2e.support.registries import RunningRegistry

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
HARBOR, NVIDIA = "local-harbor.com", "nvcr.io"
# What CI itself is made of; `make demo` is run here.
IN_CI = ("make test", "make e2e")
SLOW = 300  # seconds


@pytest.fixture
def harbor() -> Iterator[RunningHarbor]:
    """The Harbor double, with the projects that a reader's Harbor has."""
    with harbor_double(HarborDouble(), projects=("nvcr", "production")) as running:
        yield running


@pytest.mark.timeout(2 * SLOW)
def test_every_command_works(
    tmp_path: Path, harbor: RunningHarbor, base_image: RunningRegistry, engine: str
) -> None:
    """The reader's Harbor is the double, NVIDIA's registry a real one with stand-in bases."""
    names = {HARBOR: harbor.host, f"{NVIDIA}/nvidia": f"{base_image.host}/nvidia"}
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DOCKER_CONFIG": str(tmp_path / ".docker"),
        "IMGCTL_BASE_MIRROR": base_image.host,
        "IMGCTL_FROM": base_image.host,
        "IMGCTL_USERNAME": harbor.username,
        "IMGCTL_PASSWORD": harbor.password,
        **dict.fromkeys(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"], "A Reader"),
        **dict.fromkeys(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"], "reader@example.com"),
    }
    folder, checkout = tmp_path / "here", tmp_path / "checkout"
    folder.mkdir()
    _check_out(checkout)
    for command in commands(README):
        if command in IN_CI:
            assert command in (ROOT / ".ci/run").read_text()
            continue
        text = command
        for name, place in names.items():
            text = text.replace(name, place)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=checkout if command.startswith("make ") else folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SLOW,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"


def _check_out(folder: Path) -> None:
    """A checkout without anything that was made in it: what `make` finds on a new machine."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    for name in filter(None, done.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def test_every_file_it_names_is_there() -> None:
    names = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_command_has_its_line() -> None:
    text = README.read_text()
    files = (ROOT / "imgctl/commands").glob("[a-z]*.py")
    missing = [path.stem for path in files if f"`{path.stem.replace('_', '-')}`" not in text]
    assert missing == []


def test_every_dependency_earns_its_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=~!\[ ]", item)[0] for item in project["dependencies"]]
    table = README.read_text().partition("### Dependencies")[2].partition("###")[0]
    assert [name for name in names if name not in table] == []
