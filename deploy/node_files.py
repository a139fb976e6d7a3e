"""Editing a node's configuration file: what was asked, what came out, and how to write it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from glob import glob
from pathlib import Path

from registry.errors import BadInput, ImgctlError

RUNTIME = "nvidia"
BYTE_ORDER_MARK = "\ufeff"
MOST_BYTES = 8 << 20


@dataclass(frozen=True)
class RuntimeWish:
    """What a node's container runtime should be set to.

    default: make nvidia the default runtime (KubeEdge needs it). sandbox_image: the pause image,
    or empty to leave it. systemd_cgroup: None follows runc's entry. cdi: None leaves the switch.
    containerd_version: config version for a fresh file (2 for containerd 1.x, 3 for 2.x).
    """

    default: bool = True
    sandbox_image: str = ""
    systemd_cgroup: bool | None = None
    cdi: bool | None = None
    binary: str = "/usr/bin/nvidia-container-runtime"
    containerd_version: int = 2


@dataclass(frozen=True)
class Edit:
    """A file's text before and after, why each change was made, and what may undo it."""

    before: str
    after: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is to be written."""
        return self.before != self.after

    def diff(self, name: str) -> str:
        """A unified diff, empty when nothing changes."""
        lines = unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            f"{name} (now)",
            f"{name} (after)",
        )
        return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


@dataclass(frozen=True)
class PlainText:
    """A text without byte order mark and carriage returns, and how to give it back its own."""

    text: str
    mark: str = ""
    newline: str = "\n"

    @classmethod
    def of(cls, text: str) -> PlainText:
        """Take the form off a text; lines that end in different ways stay as they are."""
        mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        text = text.removeprefix(mark)
        if "\r\n" in text and text.count("\r\n") == text.count("\n"):
            return cls(text.replace("\r\n", "\n"), mark, "\r\n")
        return cls(text, mark)

    def restored(self, text: str) -> str:
        """A changed text in the form that this one had."""
        return self.mark + text.replace("\n", self.newline)


def read_text(path: Path) -> str:
    """A configuration file's text, empty when there is none; BadInput when it is not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadInput(f"{path} is no configuration file", f"over {MOST_BYTES >> 20} MiB")
        return data.decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text", str(error)) from error
    except IsADirectoryError as error:
        raise BadInput(f"{path} is a folder", "", "name the file in it") from error
    except PermissionError as error:
        raise ImgctlError(f"{path} may not be read", "no permission", "run it as root") from error


def read_imported(path: Path, patterns: Sequence[str]) -> dict[str, str]:
    """The files that a configuration file imports, by path; those that cannot be read are left out.

    patterns: as in containerd's `imports`, relative to the file's folder where not absolute.
    """
    found = {}
    folder = path.resolve().parent
    for pattern in patterns:
        # Not pathlib's: it takes no absolute pattern.
        for name in sorted(glob(pattern, root_dir=folder)):  # noqa: PTH207
            try:
                found[str(folder / name)] = read_text(folder / name)
            except ImgctlError:
                continue
    return found


def write_text(path: Path, edit: Edit) -> Path | None:
    """Put edit.after in place of the file in one step; return the backup's path, if one was made.

    Owner and mode are kept; of a symbolic link the file it names is written. Raises ImgctlError
    when the file is no longer what the edit started from, or may not be written; nothing is
    written then.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is no file that can be replaced", "", "name a regular file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ImgctlError(
            f"{path} cannot be written", str(error.strerror), "run it as root, or name another file"
        ) from error
    backup = None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(edit.after.encode())
            file.flush()
            os.fsync(file.fileno())
        if read_text(path) != edit.before:
            raise ImgctlError(
                f"{path} was changed by someone else since it was read", "", "run the command again"
            )
        backup = _back_up(path)
        _take_owner_and_mode(Path(name), path)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        if backup is not None:
            backup.unlink(missing_ok=True)
        raise
    return backup


def _take_owner_and_mode(new: Path, old: Path) -> None:
    """Give a file the owner and mode of another, or those of a configuration file."""
    if not old.exists():
        new.chmod(0o644)
        return
    owner = old.stat()
    os.chown(new, owner.st_uid, owner.st_gid)
    new.chmod(stat.S_IMODE(owner.st_mode))


def _back_up(path: Path) -> Path | None:
    if not path.exists():
        return None
    number = 0
    while True:
        suffix = f".bak-{number}" if number else ".bak"
        backup = path.with_name(path.name + suffix)
        if not backup.exists():
            shutil.copy2(path, backup)
            return backup
        number += 1
