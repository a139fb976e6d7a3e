"""The commit a release is made from, read from real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from registry.errors import BadInput, Refused
from release.source import check_source, read_source, without_credentials

ENVIRONMENT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True, text=True, check=True, env=ENVIRONMENT, timeout=30,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_clean_commit_is_named_with_branch_origin_and_date(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://bob:secret@git.example.com/team/images")
    source = read_source(repository, ENVIRONMENT)
    assert source is not None
    assert source.revision == git(repository, "rev-parse", "HEAD")
    assert (source.branch, source.url) == ("main", "https://git.example.com/team/images")
    assert source.date == 1767323045
    check_source(source, repository, allow_dirty=False)


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    source = read_source(repository, ENVIRONMENT)
    assert source is not None
    assert source.branch == ""


def test_changed_and_new_files_make_it_dirty(repository: Path) -> None:
    (repository / "file").write_text("2")
    (repository / "new").write_text("3")
    source = read_source(repository, ENVIRONMENT)
    assert source is not None
    assert sorted(source.changed) == ["file", "new"]
    with pytest.raises(Refused, match="dirty"):
        check_source(source, repository, allow_dirty=False)
    check_source(source, repository, allow_dirty=True)


def test_a_change_anywhere_in_the_tree_makes_it_dirty_but_for_our_own_builds(
    repository: Path,
) -> None:
    (repository / "images").mkdir()
    (repository / "dist/mnist").mkdir(parents=True)
    (repository / "dist/mnist/1.0.0.release.json").write_text("{}")
    source = read_source(repository / "images", ENVIRONMENT, repository / "dist")
    assert source is not None
    assert not source.dirty
    git(repository, "init", "-q", "another")  # as a workflow checks its tools out
    (repository / "another/file").write_text("1")
    git(repository / "another", "add", ".")
    git(repository / "another", "commit", "-qm", "first")
    (repository / "imgctl.yaml").write_text("3")
    source = read_source(repository / "images", ENVIRONMENT, repository / "dist")
    assert source is not None
    assert source.changed == ("imgctl.yaml",)


def test_a_commit_that_nothing_holds_is_refused(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    on_a_branch = read_source(repository, ENVIRONMENT)
    assert on_a_branch is not None
    check_source(on_a_branch, repository, allow_dirty=False)
    git(repository, "commit", "-qm", "lost", "--allow-empty")
    lost = read_source(repository, ENVIRONMENT)
    with pytest.raises(Refused, match="no branch and no tag holds commit"):
        check_source(lost, repository, allow_dirty=False)
    check_source(lost, repository, allow_dirty=True)
    git(repository, "tag", "v1.0.0")
    tagged = read_source(repository, ENVIRONMENT)
    check_source(tagged, repository, allow_dirty=False)


def test_no_repository_is_refused(tmp_path: Path) -> None:
    assert read_source(tmp_path, ENVIRONMENT) is None
    with pytest.raises(Refused, match="no git repository"):
        check_source(None, tmp_path, allow_dirty=False)


def test_no_commit_and_no_git_are_bad_input(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(BadInput, match="no commit"):
        read_source(tmp_path, ENVIRONMENT)
    with pytest.raises(BadInput, match="no git"):
        read_source(tmp_path, {**ENVIRONMENT, "PATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bob:pw@host/x.git", "https://host/x.git"),
        ("https://token@host/x", "https://host/x"),
        ("git@host:team/x.git", "git@host:team/x.git"),
        ("ssh://git@host/x", "ssh://host/x"),
        ("/srv/git/x", "/srv/git/x"),
        ("", ""),
    ],
)
def test_no_credentials_in_urls(url: str, expected: str) -> None:
    assert without_credentials(url) == expected
