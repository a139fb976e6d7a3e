"""A wheel's files as entries of a layer, laid out as an installer for the base's Python would.

Spec: packaging.python.org/specifications/binary-distribution-format, recording-installed-packages,
entry-points. Compiled .pyc files are not made: they depend on the Python that runs.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import io
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from builder.layer import Entry
from registry.errors import CorruptContent

_CHUNK = 1 << 20
# What zipfile lets through for an archive that is damaged, encrypted, or of an unknown method.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_INTERPRETER = b"#!/usr/bin/python3"
_SCRIPT = """{interpreter}
import sys
from {module} import {attribute}
sys.exit({call}())
"""


@dataclass(frozen=True)
class Scheme:
    """Where Debian's and Ubuntu's Python keeps what pip installs."""

    python: str

    @property
    def packages(self) -> str:
        """The folder for modules, without the leading slash."""
        return f"usr/local/lib/python{self.python}/dist-packages"

    def folder(self, key: str, name: str) -> str:
        """The folder for a key of a wheel's `.data` folder; raises CorruptContent."""
        folders = {
            "purelib": self.packages,
            "platlib": self.packages,
            "scripts": "usr/local/bin",
            "data": "usr/local",
            "headers": f"usr/local/include/python{self.python}/{name}",
        }
        if key not in folders:
            raise CorruptContent(f"the wheel of {name} has files of unknown kind {key!r}")
        return folders[key]


def wheel_entries(path: Path, scheme: Scheme, folder: Path) -> list[Entry]:
    """The files of a wheel, its scripts and its records. Raises CorruptContent.

    folder: made here, holds the files' content for as long as the entries are of use.
    """
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            return _entries(archive, path, scheme, folder)
    except (*_BROKEN, KeyError, UnicodeDecodeError, configparser.Error) as error:
        raise CorruptContent(f"{path.name} is not a wheel", str(error)[:120]) from error


def _entries(archive: zipfile.ZipFile, path: Path, scheme: Scheme, folder: Path) -> list[Entry]:
    info = _dist_info(archive, path)
    name = info.split("-")[0]
    data = info.removesuffix(".dist-info") + ".data/"
    found: list[Entry] = []
    for number, member in enumerate(archive.infolist()):
        if member.is_dir() or member.filename == f"{info}/RECORD":
            continue
        _check_name(member.filename, path)
        target, script = _place(member.filename, data, name, scheme)
        if script:
            found.append(_script(target, archive.read(member)))
        else:
            found.append(_unpacked(archive, member, folder / str(number), target))
    if f"{info}/entry_points.txt" in archive.namelist():
        text = archive.read(f"{info}/entry_points.txt").decode("utf-8")
        found += _console_scripts(text, path)
    found.append(_file(f"{scheme.packages}/{info}/INSTALLER", b"imgctl\n"))
    return [*found, _record(found, f"{scheme.packages}/{info}/RECORD", scheme)]


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, target: str) -> Entry:
    """A member, its content put into the file `place`."""
    state = hashlib.sha256()
    with archive.open(member) as source, place.open("wb") as out:
        while chunk := source.read(_CHUNK):
            state.update(chunk)
            out.write(chunk)
        size = out.tell()
    mode = 0o755 if (member.external_attr >> 16) & stat.S_IXUSR else 0o644
    return Entry(target, mode, size=size, open=lambda: place.open("rb"), sha256=state.hexdigest())


def _dist_info(archive: zipfile.ZipFile, path: Path) -> str:
    folders = {name.split("/")[0] for name in archive.namelist()}
    found = [name for name in folders if name.endswith(".dist-info")]
    if len(found) != 1:
        raise CorruptContent(f"{path.name} is not a wheel", f"{len(found)} .dist-info folders")
    return found[0]


def _check_name(name: str, path: Path) -> None:
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ".." in parts or "" in parts or "." in parts:
        raise CorruptContent(f"{path.name} holds a file outside its folder", repr(name))


def _place(member: str, data: str, name: str, scheme: Scheme) -> tuple[str, bool]:
    """Where a member goes, and whether it is a script."""
    if not member.startswith(data):
        return f"{scheme.packages}/{member}", False
    key, _, rest = member[len(data) :].partition("/")
    return f"{scheme.folder(key, name)}/{rest}", key == "scripts"


def _script(target: str, content: bytes) -> Entry:
    """A script, its `#!python` line naming the base's interpreter."""
    if content.startswith(b"#!python"):
        content = _INTERPRETER + content[content.index(b"\n") :]
    return _file(target, content, 0o755)


def _console_scripts(text: str, path: Path) -> list[Entry]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    found = []
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            module, _, attribute = value.split("[")[0].strip().partition(":")
            words = [*module.split("."), *attribute.split(".")]
            if not all(word.isidentifier() for word in words) or "/" in name:
                raise CorruptContent(f"{path.name} has an entry point that is none", value[:80])
            content = _SCRIPT.format(
                interpreter=_INTERPRETER.decode(),
                module=module,
                attribute=attribute.split(".")[0],
                call=attribute,
            )
            found.append(_file(f"usr/local/bin/{name}", content.encode(), 0o755))
    return found


def _record(entries: list[Entry], target: str, scheme: Scheme) -> Entry:
    """RECORD: every file with its hash and size, paths relative to the packages' folder."""
    up = "../" * (scheme.packages.count("/") + 1)
    lines = []
    for entry in sorted(entries, key=lambda item: item.path):
        inside = entry.path.startswith(f"{scheme.packages}/")
        shown = entry.path[len(scheme.packages) + 1 :] if inside else up + entry.path
        quoted = f'"{shown}"' if "," in shown else shown
        digest = base64.urlsafe_b64encode(bytes.fromhex(entry.sha256)).rstrip(b"=").decode()
        lines.append(f"{quoted},sha256={digest},{entry.size}\n")
    lines.append(f"{target[len(scheme.packages) + 1 :]},,\n")
    return _file(target, "".join(lines).encode())


def _file(path: str, content: bytes, mode: int = 0o644) -> Entry:
    digest = hashlib.sha256(content).hexdigest()
    return Entry(path, mode, size=len(content), open=lambda: io.BytesIO(content), sha256=digest)
