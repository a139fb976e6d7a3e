"""Reading the files to pin, and replacing them all or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from registry.errors import BadInput, ImgctlError

_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Source:
    """A file as it was read."""

    path: Path
    text: str


@dataclass(frozen=True)
class Change:
    """A file's text before and after; before is None for a file that was not there."""

    path: Path
    before: str | None
    after: str


def yaml_files(given: Iterable[Path], exclude: Sequence[str] = ()) -> list[Path]:
    """The files named, and the YAML files below the folders named, each once and in order.

    exclude: patterns of names or paths, as `templates/*`. Hidden folders are passed over. Raises
    BadInput for what is not there.
    """
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            found.update((file, None) for file in _below(path))
        elif path.is_file():
            found[path] = None
        else:
            raise BadInput(f"{path} is not there", "", "name files or folders of YAML")
    return [path for path in found if not _excluded(path, exclude)]


def read_source(path: Path) -> Source:
    """A file's text; raises BadInput when it is not UTF-8."""
    raw = path.read_bytes()
    try:
        return Source(path, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}:{line}: not UTF-8 text", str(error)) from error


def write_all(changes: Sequence[Change]) -> None:
    """Put every change in place, or none.

    All are written aside first, and files that changed meanwhile are noticed. Mode and owner are
    kept, and links are followed. Raises ImgctlError or OSError with every original untouched.
    """
    aside: list[tuple[str, Path]] = []
    try:
        for change in changes:
            path = change.path.resolve()
            aside.append((_write_aside(path, change), path))
        for change in changes:
            _check_unchanged(change)
        for name, path in aside:
            Path(name).replace(path)
    finally:
        for name, _ in aside:
            Path(name).unlink(missing_ok=True)


def _below(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place) / name for name in sorted(names) if name.endswith(_ENDINGS)]
    return found


def _excluded(path: Path, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch(path.name, pattern)
        or fnmatch(str(path), pattern)
        or fnmatch(str(path), f"*/{pattern}")
        for pattern in patterns
    )


def _write_aside(path: Path, change: Change) -> str:
    handle, name = tempfile.mkstemp(prefix=".imgctl-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(change.after.encode("utf-8"))
        if change.before is None:
            Path(name).chmod(0o644)
        else:
            shutil.copymode(path, name)
            owner = path.stat()
            os.chown(name, owner.st_uid, owner.st_gid)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return name


def _check_unchanged(change: Change) -> None:
    there = change.path.read_bytes() if change.path.exists() else None
    before = None if change.before is None else change.before.encode("utf-8")
    if there != before:
        raise ImgctlError(
            f"{change.path} was changed by someone else since it was read",
            "nothing is written",
            "run the command again",
        )
