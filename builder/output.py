"""dist/<image>/<tag>/: written aside, put in place in one step, and recognised when it is there.

An interruption at any point leaves the old result or the new one. Folders of runs that were
killed are swept away by the next run; those of runs still going on are locked, and stay.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.record import BuildRecord
from registry.errors import BadInput, ImgctlError
from registry.layout import LayoutStore
from registry.oci import Descriptor

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# Blobs up to this many bytes are hashed to see whether they are intact; of larger ones the size
# must do, since an answer is wanted at once.
_HASHED = 8 << 20
# What the system says of a folder that was not well chosen.
_NOT_THERE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.ENOENT)
_TRIES = 5  # interruptions that cleaning up outlasts


@dataclass(frozen=True)
class Staging:
    """A build in the making: the layout it becomes, and a folder for what it needs on the way."""

    layout: Path
    scratch: Path


def folder_of(dist: Path, image: str, tag: str) -> Path:
    """Where a build lies: `dist/mnist/1.0.0-l4t-r35.2.1`."""
    return dist / image / tag


@contextmanager
def staging(dist: Path, image: str, tag: str) -> Iterator[Staging]:
    """A folder beside the result's place, gone afterwards whatever happened.

    Raises ImgctlError when dist/ cannot be written, BadInput when something else than a build is
    in the result's place.
    """
    parent = dist / image
    with explained(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _check_place(folder_of(dist, image, tag))
        prefix = f".{tag}."
        try:
            root, lock = _claim(parent, prefix)
        except KeyboardInterrupt:
            _sweep(parent, prefix)
            raise
        try:
            (root / "scratch").mkdir()
            yield Staging(root / "layout", root / "scratch")
        finally:
            _remove(root)
            os.close(lock)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the system says to those who write in a folder into an ImgctlError."""
    try:
        yield
    except OSError as error:
        raise _unwritable(folder, error) from error


def publish(made: Staging, target: Path) -> None:
    """Put a finished layout in its place, whole; what was there before is gone then."""
    made.layout.chmod(0o755)
    try:
        made.layout.replace(target)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if not _exchange(made.layout, target):
        aside = made.scratch / "old"
        target.replace(aside)
        try:
            made.layout.replace(target)
        except BaseException:
            aside.replace(target)
            raise


def finished(dist: Path, image: str, tag: str, identity: str) -> BuildRecord | None:
    """The record of a build made from this very plan, if it is there and intact."""
    folder = folder_of(dist, image, tag)
    try:
        record = BuildRecord.load(folder)
        if record.plan != identity or not _intact(folder, record):
            return None
    except (ImgctlError, OSError, KeyError, TypeError):
        # Whatever is wrong with it: building again is the remedy.
        return None
    return record


def _intact(folder: Path, record: BuildRecord) -> bool:
    store = LayoutStore(folder)
    listed = store.manifest_descriptor(str(record.value["tag"]))
    if listed is None or listed.digest != record.digest:
        return False
    manifest = store.manifest(record.digest)
    if not _same(store, manifest.config):
        return False
    if not all(_same(store, blob) for blob in record.layers(ours=True)):
        return False
    return record.sparse or all(_same(store, blob) for blob in record.layers(ours=False))


def _same(store: LayoutStore, blob: Descriptor) -> bool:
    path = store.blob_path(blob.digest)
    if not path.is_file() or path.stat().st_size != blob.size:
        return False
    if blob.size > _HASHED:
        return True
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest() == blob.digest


def _check_place(target: Path) -> None:
    """Raise BadInput where the result cannot be put by a rename."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise BadInput(
            f"{target} is in the way of the result",
            "it is a link" if target.is_symlink() else "it is a file",
            "remove it, or choose another place with --dist DIR",
        )


def _claim(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and a lock on it that nobody can come before."""
    guard = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        _sweep(parent, prefix)
        root = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = os.open(root, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return root, lock
    finally:
        os.close(guard)


def _sweep(parent: Path, prefix: str) -> None:
    """Remove what killed runs left; a run that goes on holds a lock on its folder."""
    for path in parent.glob(f"{prefix}*"):
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(handle)


def _remove(root: Path) -> None:
    """Remove a folder and all in it, even when a second Ctrl-C comes meanwhile."""
    interrupted = False
    for _ in range(_TRIES):
        try:
            shutil.rmtree(root, ignore_errors=True)
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step (Linux renameat2); False where the system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    arguments = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return bool(call(*arguments) == 0)


def _unwritable(parent: Path, error: OSError) -> ImgctlError:
    why = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ImgctlError(
            f"there is no space left for the build in {parent}",
            why,
            "free some, or choose another place with --dist DIR",
        )
    hint = "choose a folder you may write to with --dist DIR"
    if error.errno in _NOT_THERE:
        return BadInput(f"cannot write to {parent}", why, hint)
    place = f"{error.filename}: " if error.filename else ""
    return ImgctlError(f"cannot write to {parent}", f"{place}{why}", hint)
