"""Where a release's code is from: asked of git, so that provenance can say it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput, ImgctlError, Refused

_SECONDS = 30


@dataclass(frozen=True)
class Source:
    """A state of a git repository.

    revision: the commit's full hash. url: of `origin`, without credentials; empty without one.
    branch: empty on a detached HEAD. changed: paths that differ from the commit, or are untracked.
    kept: whether a branch or a tag holds the commit, so that it can be found again. date: of the
    commit, seconds since 1970.
    """

    revision: str
    url: str
    branch: str
    changed: tuple[str, ...]
    date: int
    kept: bool = True

    @property
    def dirty(self) -> bool:
        """Whether what is in the folder is not what the commit says."""
        return bool(self.changed)


def read_source(
    folder: Path, environment: Mapping[str, str], made: Path | None = None
) -> Source | None:
    """The state of the repository a folder is in; None when it is in none.

    made: a folder of what we make ourselves, builds and records: that makes no tree dirty. Raises
    BadInput when there is no git or no commit yet.
    """
    questions = ("--is-inside-work-tree", "--is-shallow-repository", "--show-toplevel")
    answers = _git(folder, environment, "rev-parse", *questions, absent="").split("\n", 2)
    if answers[0] != "true":
        return None
    shallow, top = answers[1] == "true", Path(answers[2])
    revision, _, date = _git(
        folder, environment, "log", "-1", "--no-show-signature", "--format=%H %ct", absent=""
    ).partition(" ")
    if not revision:
        raise BadInput(f"the git repository of {folder} has no commit", "", "commit first")
    branch = _git(folder, environment, "symbolic-ref", "--quiet", "--short", "HEAD", absent="")
    held = ("for-each-ref", "--count=1", "--contains=HEAD", "--format=%(refname)")
    return Source(
        revision=revision,
        url=without_credentials(
            _git(folder, environment, "remote", "get-url", "origin", absent="")
        ),
        branch=branch,
        changed=_changed(top, environment, made),
        date=int(date),
        # A shallow clone has the one commit it was asked for, and need not have a name for it.
        kept=bool(branch or shallow or _git(folder, environment, *held)),
    )


def _changed(top: Path, environment: Mapping[str, str], made: Path | None) -> tuple[str, ...]:
    """Paths in the whole tree that no commit holds: templates, settings and scripts beside the
    image's own folder decide what is built, too. A repository within the tree is none of it."""
    status = _git(top, environment, "status", "--porcelain=v1", "-z", "--no-renames", "-uall")
    entries = (entry for entry in status.split("\0") if entry)
    paths = (item[3:] for item in entries if not (item.startswith("?? ") and item.endswith("/")))
    ours = made.resolve() if made else None
    return tuple(
        path for path in paths if ours is None or not (top / path).resolve().is_relative_to(ours)
    )


def check_source(source: Source | None, folder: Path, *, allow_dirty: bool) -> None:
    """Raise Refused when a release could not be traced to a commit, unless that is allowed."""
    if allow_dirty:
        return
    hint = "commit first, or release it all the same with --allow-dirty"
    if source is None:
        raise Refused(f"{folder} is in no git repository", "a release names its commit", hint)
    if source.dirty:
        more = f" and {len(source.changed) - 3} more" if len(source.changed) > 3 else ""
        why = f"not in commit {source.revision[:12]}: {', '.join(source.changed[:3])}{more}"
        raise Refused("the git tree is dirty", why, hint)
    if not source.kept:
        raise Refused(
            f"no branch and no tag holds commit {source.revision[:12]}",
            "HEAD is detached; git throws such a commit away, and nobody could look at it later",
            "git switch -c BRANCH, or git tag; or release it all the same with --allow-dirty",
        )


def without_credentials(url: str) -> str:
    """A remote's URL without user and password: it goes into labels that anyone can read."""
    return re.sub(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", r"\1", url)


def _git(
    folder: Path, environment: Mapping[str, str], *arguments: str, absent: str | None = None
) -> str:
    """What git prints; `absent` when it fails and that is no error."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**environment, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
            check=False,
        )
    except FileNotFoundError as error:
        raise BadInput("there is no git", "a release names its commit", "install git") from error
    except subprocess.TimeoutExpired as error:
        raise ImgctlError(f"git {arguments[0]} did not answer in {_SECONDS} s") from error
    if done.returncode == 0:
        return done.stdout.strip("\n")
    if "dubious ownership" in done.stderr:
        hint = f"git config --global --add safe.directory {folder.absolute()}"
        raise BadInput(f"git does not trust {folder}", "it belongs to another user", hint)
    if absent is not None:
        return absent
    raise ImgctlError(f"git {arguments[0]} failed", done.stderr.strip()[:200])
