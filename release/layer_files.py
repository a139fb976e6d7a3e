"""What is in a layer: paths with sizes and digests, read as it streams, never unpacked."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase
from typing import IO, cast

from registry.errors import CorruptContent
from registry.oci import Descriptor
from registry.store import Store

_CHUNK = 1 << 20  # bytes
_DIST_INFO = re.compile(r"(?:.*/)?([A-Za-z0-9._-]+)-([A-Za-z0-9.!+_]+)\.dist-info/METADATA")


@dataclass(frozen=True)
class LayerFile:
    """One entry of a layer. size: bytes. sha256: hex, of a file's content; a link's target.

    kind: `file`, `folder`, `symlink`, `hardlink`, `deleted` (a whiteout) or `other`.
    """

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    sha256: str


def read_layer(store: Store, layer: Descriptor) -> list[LayerFile]:
    """Every entry of a gzipped (or plain) tar layer; raises CorruptContent when it is none."""
    try:
        with store.open_blob(layer) as chunks:
            # A stream cannot seek: `r|*` reads it once, from front to end.
            raw = cast("IO[bytes]", _Chunks(chunks))
            with tarfile.open(fileobj=raw, mode="r|*") as tar:
                return [_entry(tar, member) for member in tar]
    except (tarfile.TarError, EOFError) as error:
        raise CorruptContent(f"layer {layer.digest} is no tar", str(error)[:120]) from error


def packages(paths: Iterator[str]) -> dict[str, str]:
    """Python packages by name, with their versions, found in the paths of their metadata."""
    found = (_DIST_INFO.fullmatch(path) for path in paths)
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> LayerFile:
    path = member.name.removeprefix("./").strip("/")
    folder, _, name = path.rpartition("/")
    if name.startswith(".wh."):
        hidden = f"{folder}/{name[4:]}".strip("/")
        return LayerFile(hidden, "deleted", 0, 0, 0, 0, "")
    content, kind = "", "other"
    if member.isdir():
        kind = "folder"
    elif member.issym():
        kind, content = "symlink", member.linkname
    elif member.islnk():
        kind, content = "hardlink", member.linkname
    elif member.isreg():
        kind, content = "file", _sha256(tar, member)
    return LayerFile(path, kind, member.mode, member.uid, member.gid, member.size, content)


def _sha256(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    digest = hashlib.sha256()
    stream = tar.extractfile(member)
    while stream is not None and (chunk := stream.read(_CHUNK)):
        digest.update(chunk)
    return digest.hexdigest()


class _Chunks(RawIOBase):
    """An iterator of chunks as a file that is read from front to end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts, missing = [], size
        while missing != 0:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            part = self._rest if missing < 0 else self._rest[:missing]
            self._rest = self._rest[len(part) :]
            parts.append(part)
            missing -= len(part) if missing > 0 else 0
        return b"".join(parts)
