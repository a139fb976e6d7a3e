"""Layers whose bytes depend on their content only: the same files give the same digest anywhere.

A layer is a POSIX tar, entries sorted by path, owners by number, every time the same, compressed
by zlib at a fixed level with an empty gzip header. Specs: OCI image-spec v1.1, layer.md; RFC 1952.

A layer that is put on a base nobody has opened must carry the folders above its files, because
engines differ in what they do when those are missing; `with_folders` decides their owners and
modes so that a folder of the base keeps what it has there.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from registry.errors import BadInput
from registry.oci import DOCKER_LAYER_GZIP, OCI_LAYER_GZIP, Descriptor

Kind = Literal["file", "folder", "symlink", "hardlink", "char", "block", "fifo"]

_CHUNK = 1 << 20
_LEVEL = 6
# Magic, deflate, no flags, no time, no extra flags, unknown system.
_GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))
_TYPES = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}
# Folders of every Linux base that are not 0755.
_FOLDER_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}
# Folders that belong to the system wherever they exist (Filesystem Hierarchy Standard 3.0).
_SYSTEM_TOP = frozenset(
    ["bin", "boot", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc"]
) | {"root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"}
_SYSTEM_DEEP = ("usr", "usr/local", "var", "etc")


@dataclass(frozen=True)
class Entry:
    """One path of a layer.

    path: without a leading or trailing slash. mode: permission bits. size: bytes of a file.
    link: target of a symlink or hardlink. open: the content of a file, from its start.
    pax: extended attributes as pax records (`SCHILY.xattr.…`).
    sha256: hex digest the content must have; empty when nobody said. mtime: seconds since 1970,
    for write_layer_as_is. device: major and minor number of a char or block device.
    """

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    kind: Kind = "file"
    size: int = 0
    link: str = ""
    open: Callable[[], AbstractContextManager[BinaryIO]] | None = None
    pax: Mapping[str, str] = field(default_factory=dict, hash=False)
    sha256: str = ""
    mtime: int = 0
    device: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Layer:
    """A finished layer: the compressed file, and what names it.

    digest: of the compressed bytes. diff_id: of the tar inside. size: compressed, in bytes.
    """

    path: Path
    digest: str
    diff_id: str
    size: int

    def descriptor(self, *, docker: bool) -> Descriptor:
        """The layer's descriptor in Docker's or OCI's family of media types."""
        return Descriptor(DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP, self.digest, self.size)

    @contextmanager
    def open_chunks(self) -> Iterator[Iterator[bytes]]:
        """The compressed bytes, as a store's push_blob wants them."""
        with self.path.open("rb") as stream:
            yield iter(lambda: stream.read(_CHUNK), b"")


def write_layer(entries: Iterable[Entry], path: Path, created: int) -> Layer:
    """Write the layer of these entries to path; memory does not grow with their size.

    created: the time every entry gets, in seconds since 1970. Where two entries share a path the
    later one counts, and folders above the files are added. Raises BadInput when a file is not
    what its entry says.
    """
    return _write((replace(entry, mtime=created) for entry in with_folders(entries)), path)


def write_layer_as_is(entries: Iterable[Entry], path: Path, latest: int) -> Layer:
    """Write a layer with the entries in their own order, folders as they are given.

    Only times later than `latest` (seconds since 1970) change: they become `latest`.
    """
    return _write((replace(entry, mtime=min(entry.mtime, latest)) for entry in entries), path)


def _write(entries: Iterable[Entry], path: Path) -> Layer:
    with path.open("wb") as stream:
        out = _GzipHasher(stream)
        for entry in entries:
            _write_entry(out, entry)
        out.write(bytes(2 * tarfile.BLOCKSIZE))
        out.close()
    return Layer(path, f"sha256:{out.digest}", f"sha256:{out.diff_id}", out.size)


def with_folders(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order they are written: sorted, with every folder above them.

    A folder's own mode and owner are not taken from the entries: a layer says the same whether
    an engine recorded its folders or not. System folders are root's with their usual mode; any
    other folder has mode 0755, and the owner of the files below it when they agree on one.
    """
    entries = tuple(entries)
    files = {entry.path: entry for entry in entries if entry.kind != "folder"}
    empty = {entry.path: entry for entry in entries if entry.kind == "folder"}
    owners: dict[str, set[tuple[int, int]]] = {}
    for entry in (*files.values(), *empty.values()):
        for folder in _folders_above(entry.path):
            if folder in files:
                raise BadInput(
                    f"/{entry.path} cannot be in the image", f"/{folder} is a file, not a folder"
                )
            if entry.kind != "folder":
                owners.setdefault(folder, set()).add((entry.uid, entry.gid))
            owners.setdefault(folder, set())
    for path, entry in empty.items():
        owners.setdefault(path, set())
        if not owners[path]:
            owners[path].add((entry.uid, entry.gid))
    folders = [_folder(path, found) for path, found in owners.items() if path not in files]
    # Sorted by components, so that a folder comes right before what it holds; a hardlink has
    # to come after the file it points at.
    ordered = sorted([*folders, *files.values()], key=lambda entry: entry.path.split("/"))
    return [item for item in ordered if item.kind != "hardlink"] + [
        item for item in ordered if item.kind == "hardlink"
    ]


def file_entry(
    source: Path, target: str, mode: int, uid: int, gid: int, size: int, sha256: str = ""
) -> Entry:
    """A file on this machine as an entry; target is its absolute path in the image."""
    return Entry(
        path=target.strip("/"),
        mode=mode,
        uid=uid,
        gid=gid,
        size=size,
        open=lambda: _open_source(source),
        sha256=sha256,
    )


def _open_source(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except (FileNotFoundError, PermissionError) as error:
        raise unreadable(source, error) from error


def unreadable(source: Path, error: OSError) -> BadInput:
    """The error for a file that was there when the plan was made and cannot be read now."""
    gone = isinstance(error, FileNotFoundError)
    return BadInput(
        f"the file {source} is gone" if gone else f"the file {source} cannot be read",
        "it was there when the plan was made" if gone else (error.strerror or str(error)).lower(),
    )


def is_system_folder(path: str) -> bool:
    """Whether the folder (no slashes around) is one that bases bring themselves."""
    head = path.rpartition("/")[0]
    return path in _SYSTEM_TOP if not head else head in _SYSTEM_DEEP or path in _FOLDER_MODES


def _folder(path: str, owners: set[tuple[int, int]]) -> Entry:
    uid, gid = next(iter(owners)) if len(owners) == 1 and not is_system_folder(path) else (0, 0)
    return Entry(path, _FOLDER_MODES.get(path, 0o755), uid, gid, "folder")


def _folders_above(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents if str(parent) != "."]


def _write_entry(out: _GzipHasher, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path + "/" if entry.kind == "folder" else entry.path)
    info.type = _TYPES[entry.kind]
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.mtime = entry.mtime
    info.devmajor, info.devminor = entry.device
    info.linkname = entry.link
    info.size = entry.size if entry.kind == "file" else 0
    info.pax_headers = dict(sorted(entry.pax.items()))
    out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    if entry.kind != "file" or entry.open is None:
        return
    content = hashlib.sha256()
    left = entry.size
    with entry.open() as stream:
        while chunk := stream.read(_CHUNK):
            left -= len(chunk)
            content.update(chunk)
            if left < 0:
                break
            out.write(chunk)
    if left or (entry.sha256 and content.hexdigest() != entry.sha256):
        raise BadInput(
            f"the file for /{entry.path} changed while the image was built",
            "its content is not what the plan was made from",
            "run the same command again",
        )
    out.write(bytes(-entry.size % tarfile.BLOCKSIZE))


class _GzipHasher:
    """A gzip stream that hashes what goes in and what comes out.

    gzip.GzipFile would do, but what it puts into the header is a matter of Python's version.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._tar = hashlib.sha256()
        self._blob = hashlib.sha256()
        self._crc = 0
        self._length = 0
        self.size = 0
        self._emit(_GZIP_HEADER)

    def write(self, data: bytes) -> None:
        self._tar.update(data)
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        self._emit(self._deflate.compress(data))

    def close(self) -> None:
        self._emit(self._deflate.flush())
        self._emit(self._crc.to_bytes(4, "little"))
        self._emit((self._length & 0xFFFFFFFF).to_bytes(4, "little"))

    def _emit(self, data: bytes) -> None:
        self._blob.update(data)
        self._stream.write(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        return self._blob.hexdigest()

    @property
    def diff_id(self) -> str:
        return self._tar.hexdigest()
