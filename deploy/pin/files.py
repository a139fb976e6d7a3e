"""Reading the files to pin, and replacing them all or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from registry.errors import BadInput, ImgctlError

_ENDINGS = (".yaml", ".yml")
# How far into a JSON file its objects say what they are.
_HEAD = 4096


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

    JSON files below folders count where they hold API objects. exclude: patterns of names or paths,
    as `templates/*`. Hidden folders are passed over. Raises BadInput for what is not there.
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
    """A file's text; raises BadInput when it cannot be read or is not UTF-8."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"cannot read {path}",
            (error.strerror or str(error)).lower(),
            "leave it out with --exclude, or free the way",
        ) from error
    try:
        return Source(path, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}:{line}: not UTF-8 text", str(error)) from error


def write_all(changes: Sequence[Change]) -> None:
    """Put every change in place, or none.

    All are written aside first, and files that changed meanwhile are noticed. Mode and owner are
    kept, and links are followed. Raises ImgctlError with every original as it was.
    """
    aside: list[tuple[Path, Path]] = []
    kept: list[tuple[Path, Path]] = []
    try:
        for change in changes:
            path = change.path.resolve()
            with _writing(change.path):
                written = _write_aside(path, change)
                aside.append((written, path))
                if change.before is not None:
                    kept.append((_keep(path, written), path))
        for change in changes:
            _check_unchanged(change)
        _replace(aside, kept)
    finally:
        for name, _ in (*aside, *kept):
            name.unlink(missing_ok=True)


def _replace(aside: Sequence[tuple[Path, Path]], kept: Sequence[tuple[Path, Path]]) -> None:
    """Put all in place; when one cannot be, those before it are put back."""
    originals = {path: name for name, path in kept}
    done: list[Path] = []
    try:
        for name, path in aside:
            with _writing(path):
                name.replace(path)
            done.append(path)
    except BaseException:
        for path in done:
            if path in originals:
                originals[path].replace(path)
            else:
                path.unlink(missing_ok=True)
        raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImgctlError(
            f"cannot write {path}",
            (error.strerror or str(error)).lower(),
            "nothing is written; free the way and run the command again",
        ) from error


def _below(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(place) / name for name in sorted(names)]
        found += [path for path in paths if path.name.endswith(_ENDINGS) or _is_object(path)]
    return found


def _is_object(path: Path) -> bool:
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"apiVersion"' in file.read(_HEAD)


def _excluded(path: Path, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch(path.name, pattern)
        or fnmatch(str(path), pattern)
        or fnmatch(str(path), f"*/{pattern}")
        for pattern in patterns
    )


def _write_aside(path: Path, change: Change) -> Path:
    handle, name = tempfile.mkstemp(prefix=".imgctl-", dir=path.parent)
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(change.after.encode("utf-8"))
        if change.before is None:
            written.chmod(0o644)
        else:
            shutil.copymode(path, written)
            owner = path.stat()
            os.chown(written, owner.st_uid, owner.st_gid)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return written


def _keep(path: Path, written: Path) -> Path:
    """A second name for a file as it is, or a copy where file systems have no second names.

    written: what is to take its place, under a name that nobody else uses.
    """
    name = written.with_name(f"{written.name}-before")
    try:
        os.link(path, name)
    except OSError:
        shutil.copy2(path, name)
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
