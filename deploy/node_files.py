"""Editing a node's configuration file: what was asked, what came out, and how to write it."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from registry.errors import BadInput, ImgctlError

RUNTIME = "nvidia"


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
    """A file's text before and after, and why each change was made."""

    before: str
    after: str
    notes: tuple[str, ...] = ()

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


def read_text(path: Path) -> str:
    """A configuration file's text, empty when there is none; BadInput when it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text", str(error)) from error
    except IsADirectoryError as error:
        raise BadInput(f"{path} is a folder", "", "name the file in it") from error


def write_text(path: Path, edit: Edit) -> Path | None:
    """Put edit.after in place of the file in one step; return the backup's path, if one was made.

    Owner and mode are kept. Raises ImgctlError when the file is no longer what the edit started
    from; nothing is written then.
    """
    if read_text(path) != edit.before:
        raise ImgctlError(
            f"{path} was changed by someone else since it was read", "", "run the command again"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = _back_up(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(edit.after.encode())
            file.flush()
            os.fsync(file.fileno())
        if backup is not None:
            shutil.copystat(path, name)
            owner = path.stat()
            os.chown(name, owner.st_uid, owner.st_gid)
        else:
            Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return backup


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
