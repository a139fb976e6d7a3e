"""`imgctl init`: which workflow a new repository calls."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from imgctl import __version__
from imgctl.commands import init
from tests.unit.imgctl.records import Call


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize("variables", [{}, {"GIT_DIR": "/nowhere"}], ids=["plain", "in a hook"])
def test_the_workflow_is_that_of_the_commit_imgctl_runs_from(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "action.yml").write_text("name: x\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert init._own_ref(tmp_path) == commit


def test_an_installed_imgctl_names_its_versions_tag(tmp_path: Path) -> None:
    assert init._own_ref(tmp_path) == f"v{__version__}"


def test_what_is_written_never_follows_a_branch(call: Call, tmp_path: Path) -> None:
    code, _, err = call("init", "detector", "new")
    assert (code, err) == (0, "next: cd new && imgctl build detector\n")
    text = (tmp_path / "new/.github/workflows/release.yml").read_text()
    ref = yaml.safe_load(text)["jobs"]["release"]["uses"].partition("@")[2]
    assert re.fullmatch(rf"[0-9a-f]{{40}}|v{re.escape(__version__)}", ref)
