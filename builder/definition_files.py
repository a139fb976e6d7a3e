"""The `files` of a definition: what goes where, and what must not.

COPY always links, so a target below a symlink of the base (symlinks.py) is refused, with the real
path named.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path, PurePosixPath
from typing import Any

from builder import symlinks
from builder.definition import FILE_NAME, FileEntry
from registry.errors import BadInput

KEYS = ("source", "target", "mode", "owner")
KERNEL = ("/proc", "/sys", "/dev")
STICKY = ("/tmp", "/var/tmp")  # noqa: S108 - refused as targets
EXPANDED = frozenset("$*?[]\\<>\"'`{}")
MOST_ID = 2**32 - 2
_LINKS = symlinks.ALWAYS | symlinks.MERGED | symlinks.CUDA

_MODE = re.compile(r"0?[0-7]{3,4}")
_OWNER = re.compile(r"(\d{1,10})(?::(\d{1,10}))?", re.ASCII)


def check_files(value: Any, directory: Path, where: str) -> tuple[FileEntry, ...]:
    """Every file that `files` names, folders expanded, sorted by target. Raises BadInput."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadInput(f"`files` in {where} must be a list")
    entries: list[FileEntry] = []
    for number, item in enumerate(value):
        entries.extend(_entries(item, directory, f"`files[{number}]` in {where}"))
    return _settled(entries, where)


def _entries(item: Any, directory: Path, where: str) -> list[FileEntry]:
    if not isinstance(item, dict):
        raise BadInput(f"{where} must be a mapping", "", "write source: and target:")
    unknown = [str(key) for key in item if key not in KEYS]
    if unknown:
        raise BadInput(f"unknown key {unknown[0]!r:.40} in {where}", "", f"keys: {', '.join(KEYS)}")
    for key in ("source", "target"):
        if not isinstance(item.get(key), str) or not item[key]:
            raise BadInput(f"{where} has no `{key}`", "", f"add `{key}: PATH`")
    path = _source(item["source"], directory, where)
    target = _target(item["target"], where)
    mode = _mode(item.get("mode"), where)
    uid, gid = _owner(item.get("owner", "0:0"), where)
    if path.is_dir():
        return _tree(path, directory, target, mode, (uid, gid), where)
    relative = path.relative_to(directory.resolve()).as_posix()
    return [FileEntry(path, relative, target, _bits(path, mode), uid, gid)]


def _tree(
    folder: Path,
    directory: Path,
    target: str,
    mode: int | None,
    owner: tuple[int, int],
    where: str,
) -> list[FileEntry]:
    root = directory.resolve()
    tree = folder.relative_to(root).as_posix()
    if tree == ".":
        raise BadInput(f"{where}: source '.' is the whole definition", "", "name a folder in it")
    found = []
    for path in sorted(folder.rglob("*")):
        real = _real(path, path.relative_to(root).as_posix(), where)
        if not real.is_relative_to(root):
            raise BadInput(f"{where}: {path} is a symlink that leaves the folder", str(real))
        if path.is_symlink() and real.is_dir():
            raise BadInput(f"{where}: {path} is a symlink to a folder", "", "copy the folder")
        if path.is_dir() or (path.name == FILE_NAME and path.parent == root):
            continue
        _check_regular(path, where)
        below = path.relative_to(folder).as_posix()
        relative = path.relative_to(root).as_posix()
        _plain(relative, where)
        place = _target(f"{target}/{below}", where)
        found.append(FileEntry(path, relative, place, _bits(path, mode), *owner, tree, target))
    if not found:
        raise BadInput(f"{where}: the folder {folder.name} is empty")
    return found


def _source(text: str, directory: Path, where: str) -> Path:
    if _unprintable(text):
        raise BadInput(f"{where}: source {text!r:.80} holds a character that cannot be printed")
    if text.startswith("/") or ".." in PurePosixPath(text).parts or "\\" in text:
        raise BadInput(
            f"{where}: source {text!r:.80} must be inside the definition's folder",
            "",
            "give a path below it, without '..'",
        )
    _plain(text, where)
    path = directory.resolve() / text
    real = _real(path, text, where)
    if not real.is_relative_to(directory.resolve()):
        raise BadInput(
            f"{where}: source {text!r:.80} is a symlink that leaves the folder", str(real)
        )
    if real.is_dir():
        if path.is_symlink():
            raise BadInput(f"{where}: source {text!r:.80} is a symlink to a folder")
    else:
        _check_regular(path, where)
    return Path(path)


def _real(path: Path, named: str, where: str) -> Path:
    """What a path leads to; raises BadInput when a symlink leads nowhere or in a circle."""
    try:
        return path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        behind = f"it is a symlink to {path.readlink()}" if path.is_symlink() else str(path)
        hint = "add it to the definition's folder, or name what is there"
        raise BadInput(f"{where}: source {named!r:.80} does not exist", behind, hint) from error
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{where}: source {named!r:.80} cannot be read", str(error)[:120]) from error


def _check_regular(path: Path, where: str) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInput(f"{where}: {path.name} is not a regular file")


def _target(text: str, where: str) -> str:
    if not text.startswith("/"):
        raise BadInput(f"{where}: target {text!r:.80} must be absolute", "", f"write '/{text}'")
    if _unprintable(text):
        raise BadInput(f"{where}: target {text!r:.80} holds a character that cannot be printed")
    parts = text.split("/")[1:]
    if ".." in parts or "." in parts:
        raise BadInput(f"{where}: target {text!r:.80} must not hold '.' or '..'")
    if "" in parts:
        raise BadInput(
            f"{where}: target {text!r:.80} must be the file's full path",
            "it ends with '/' or holds '//'",
            "name the file: /home/script.py",
        )
    if found := symlinks.behind(text, _LINKS):
        link, real = found
        raise BadInput(
            f"{where}: target {text!r:.80} lies under {link}, a symlink in the base",
            "a linked COPY would replace the symlink by a folder and break the image",
            f"write {real}",
        )
    if any(part.startswith(".wh.") for part in parts):
        raise BadInput(
            f"{where}: target {text!r:.80} has a name that begins with '.wh.'",
            "in a layer that stands for a deletion in the base",
            "rename the file",
        )
    for folder in KERNEL:
        if text == folder or text.startswith(f"{folder}/"):
            raise BadInput(f"{where}: target {text!r:.80} lies in {folder}, which the kernel fills")
    for folder in STICKY:
        if text.startswith(f"{folder}/"):
            raise BadInput(
                f"{where}: target {text!r:.80} lies in {folder}",
                f"the layer would carry {folder} too, and take its mode 1777 away",
                "put the file under /opt or /home",
            )
    _plain(text, where)
    return text


def _plain(path: str, where: str) -> None:
    """Refuse what BuildKit expands in the paths of a COPY."""
    found = next((char for char in path if char in EXPANDED), None)
    if found is not None:
        raise BadInput(
            f"{where}: the path {path!r:.80} holds {found!r}",
            "COPY gives it a meaning of its own",
            "rename the file",
        )


def _mode(value: Any, where: str) -> int | None:
    if value is None:
        return None
    # YAML makes a number of 0644, which is then 420 and could be meant as either.
    if not isinstance(value, str) or not _MODE.fullmatch(value):
        raise BadInput(
            f"{where}: mode {value!r:.40} is not octal text", "", 'write it in quotes: "0644"'
        )
    return int(value, 8)


def _bits(path: Path, mode: int | None) -> int:
    """The mode asked for; else what git keeps of a file's own: executable or not."""
    if mode is not None:
        return mode
    return 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644


def _owner(value: Any, where: str) -> tuple[int, int]:
    # YAML makes one number of 33:33, by sixties.
    found = _OWNER.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise BadInput(
            f"{where}: owner {value!r:.40} is not UID:GID as text",
            "names differ between bases",
            'write numbers in quotes: "1000:1000"',
        )
    uid = int(found[1])
    gid = int(found[2]) if found[2] is not None else uid
    if max(uid, gid) > MOST_ID:
        raise BadInput(f"{where}: owner {value!r:.40} is out of range", f"at most {MOST_ID}")
    return uid, gid


def _settled(entries: list[FileEntry], where: str) -> tuple[FileEntry, ...]:
    seen: dict[str, FileEntry] = {}
    sources: dict[str, int] = {}
    for entry in entries:
        if entry.target in seen:
            raise BadInput(f"two files of {where} go to {entry.target}")
        seen[entry.target] = entry
        if sources.setdefault(entry.relative, entry.mode) != entry.mode:
            raise BadInput(f"{entry.relative} in {where} is given two modes")
    for target in seen:
        for parent in PurePosixPath(target).parents:
            if str(parent) in seen:
                raise BadInput(f"{where}: {parent} is a file and the folder of {target}")
    return tuple(seen[target] for target in sorted(seen))


def _unprintable(text: str) -> bool:
    return not text.isprintable() or "\ufffd" in text
