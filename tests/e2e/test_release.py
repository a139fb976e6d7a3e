"""A team's own repository: released twice, rolled back, moved onto a newer base."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl, Result
from tests.e2e.support import bases
from tests.e2e.support.registries import RunningRegistry

BASE = f"mirror/{bases.PYTORCH}"


@dataclass(frozen=True)
class Team:
    """A repository of images as `imgctl init` makes it, under git, and where it releases to."""

    imgctl: Imgctl
    folder: Path
    host: str

    def run(self, *arguments: str) -> Result:
        env = {"IMGCTL_BASE_MIRROR": f"{self.host}/mirror", "IMGCTL_REGISTRY": f"{self.host}/team"}
        return self.imgctl(*arguments, cwd=self.folder, env=env)

    def commit(self, message: str) -> str:
        git(self.folder, "add", ".")
        git(self.folder, "commit", "-qm", message)
        return git(self.folder, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    identity: Mapping[str, str] = {
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com",
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True, text=True, check=True, timeout=30, env={**os.environ, **identity},
    )  # fmt: skip
    return done.stdout.strip()


def small_layer(path: Path, content: bytes) -> Path:
    """A gzipped layer of one file."""
    with (
        gzip.GzipFile(path, "wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        member = tarfile.TarInfo("etc/base-release")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def team(imgctl: Imgctl, tmp_path: Path, empty_registry: RunningRegistry) -> Team:
    bases.push_base(empty_registry.host, BASE, [small_layer(tmp_path / "base", b"one")])
    folder = tmp_path / "repository"
    imgctl("init", "detector", str(folder)).check()
    # Where it goes comes from the environment here, and one place must not contradict the other.
    settings = folder / "imgctl.yaml"
    settings.write_text(settings.read_text().replace("harbor: local-harbor.com\n", ""))
    settings.write_text(settings.read_text().replace("project: algorithms\n", ""))
    git(folder, "init", "-q", "-b", "main")
    found = Team(imgctl, folder, empty_registry.host)
    found.commit("first")
    return found


def test_from_an_empty_folder_to_releases_and_back(team: Team, tmp_path: Path, crane: str) -> None:
    planned = team.run("release", "detector", "--dry-run").check()
    assert "PUT /v2/team/detector/manifests/0.1.0-l4t-r35.2.1" in planned.stdout
    assert json.loads(team.run("history", "detector", "--format", "json").check().stdout) == []

    first = json.loads(team.run("release", "detector", "--format", "json").check().stdout)
    assert first["steps"]["tag"]["r35.2.1"]["tags"] == [
        "0.1.0-l4t-r35.2.1", "0.1.0", "0.1", "0", "latest",
    ]  # fmt: skip
    witness = subprocess.run(
        [crane, "validate", "--remote", f"{team.host}/team/detector:latest"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert witness.returncode == 0, witness.stderr

    script = team.folder / "images/detector/run.py"
    script.write_text(script.read_text() + "# changed\n")
    dirty = team.run("release", "detector", "--bump", "minor")
    assert (dirty.code, dirty.stdout) == (3, "")
    assert "dirty" in dirty.stderr
    revision = team.commit("second")
    same = team.run("release", "detector")
    assert same.code == 3
    assert "released with other content" in same.stderr
    team.run("release", "detector", "--bump", "minor").check()
    notes = (team.folder / "dist/detector/0.2.0.notes.md").read_text()
    assert revision in notes
    assert "opt/detector/run.py" in notes

    history = json.loads(team.run("history", "detector", "--format", "json").check().stdout)
    assert [item["version"] for item in history] == ["0.2.0", "0.1.0"]
    assert history[0]["revision"] == revision
    assert "latest" in history[0]["tags"]

    team.run("rollback", "detector", "--to", "0.1.0").check()
    history = json.loads(team.run("history", "detector", "--format", "json").check().stdout)
    assert "latest" in history[1]["tags"]
    pod = team.folder / "dist/detector/0.1.0-l4t-r35.2.1/pod.yaml"
    assert history[1]["digest"] in pod.read_text()
    back = tmp_path / "back"
    team.run("rollback", "detector", "--to", "0.2.0", "--l4t", "r35.2.1", "-o", str(back)).check()
    assert history[0]["digest"] in (back / "pod.yaml").read_text()


def test_a_base_that_is_published_anew_is_noticed_and_taken_without_a_build(
    team: Team, tmp_path: Path
) -> None:
    team.run("release", "detector").check()
    assert team.run("outdated", "detector").check().stdout == ""
    bases.push_base(team.host, BASE, [small_layer(tmp_path / "base", b"two")])
    found = team.run("outdated", "detector", "--format", "json")
    (item,) = json.loads(found.check().stdout)
    assert item["version"] == "0.1.0"
    assert team.run("outdated", "detector", "--check").code == 3

    name = f"{team.host}/team/detector"
    team.run("rebase", "detector", "--l4t", "r35.2.1").check()
    team.run("push", "detector:0.1.1-l4t-r35.2.1").check()
    pair = f"{name}:0.1.0-l4t-r35.2.1", f"{name}:0.1.1-l4t-r35.2.1"
    changes = json.loads(team.run("diff", *pair, "--format", "json").check().stdout)["changes"]
    names = {(change["what"], change["name"]) for change in changes if change["what"] != "label"}
    assert names == {("base", "digest"), ("file", "etc/base-release")}
    assert team.run("outdated", "detector").check().stdout == ""
    same = team.run("rebase", f"{name}:0.1.1-l4t-r35.2.1", "--format", "json").check()
    assert json.loads(same.stdout)["unchanged"] is True
    other = team.run("rebase", f"{name}:0.1.1-l4t-r35.2.1", "--l4t", "r35.1.0")
    assert other.code == 3


def test_a_bumped_release_that_was_interrupted_goes_on_with_its_version(team: Team) -> None:
    team.run("release", "detector", "--bump", "minor").check()
    path = team.folder / "dist/detector/0.1.0.release.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "finished": ""}))
    team.run("release", "detector", "--bump", "minor").check()
    history = json.loads(team.run("history", "detector", "--format", "json").check().stdout)
    assert [item["version"] for item in history] == ["0.1.0"]


def test_a_version_below_the_last_and_no_git_are_refused(team: Team, tmp_path: Path) -> None:
    team.run("release", "detector", "--version", "1.0.0").check()
    older = team.run("release", "detector", "--version", "0.9.0")
    assert older.code == 3
    assert "1.0.1 or above" in older.stderr
    wrong = team.run("release", "detector", "--version", "one")
    assert wrong.code == 2
    (team.folder / ".git").rename(tmp_path / "git")
    gone = team.run("release", "detector", "--version", "1.1.0")
    assert gone.code == 3
    assert "git repository" in gone.stderr


def test_a_release_is_built_with_the_options_of_build(team: Team, crane: str) -> None:
    refused = team.run("release", "detector", "--target-l4t", "r36.4.3")
    assert refused.code == 3
    assert "does not run on" in refused.stderr
    wrong = team.run("release", "detector", "--build-arg", "1=2")
    assert wrong.code == 2
    team.run("release", "detector", "--source-date-epoch", "1700000000").check()
    done = subprocess.run(
        [crane, "config", f"{team.host}/team/detector:0.1.0"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["created"] == "2023-11-14T22:13:20Z"
