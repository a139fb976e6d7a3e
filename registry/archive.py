"""An OCI image layout inside one tar file (`oci-archive:FILE`).

Reading never unpacks: the tar's headers are walked once and blobs are read where they lie.
Writing streams: every blob's size is known beforehand, so each gets its place in the file and
several are written at once. Spec: OCI image-spec v1.1, image-layout.md; POSIX pax tar.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from registry.blobs import (
    Chunk,
    OpenChunks,
    check_limit,
    check_size,
    missing_blob,
    unread,
    verified,
)
from registry.combined import blob_name
from registry.errors import BadInput, NotFound
from registry.layout_index import (
    INDEX_FILE,
    LAYOUT_FILE,
    LAYOUT_VERSION,
    check_layout_version,
    entry_for,
    find_entry,
    find_referrers,
    index_json,
    names,
    offered,
    parse_index,
    with_entry,
)
from registry.oci import Descriptor, Document, read_from
from registry.reference import is_digest

_BLOCK = tarfile.BLOCKSIZE
# No index.json comes near this many bytes; a longer one is cut, and then is not JSON.
_MAX_INDEX = 16 << 20


@dataclass(frozen=True)
class _Member:
    """Where a file's content lies in the archive, in bytes."""

    offset: int
    size: int


class ArchiveStore:
    """An existing archive, read by random access; a context manager, safe for threads."""

    def __init__(self, path: Path) -> None:
        """Walk the archive's headers; raises BadInput when it is not an OCI archive."""
        self.path = path
        self._members = _scan(path)
        version = _content(path, self._members[LAYOUT_FILE])
        check_layout_version(version, f"{LAYOUT_FILE} in {path}")
        index = _content(path, self._members[INDEX_FILE])
        self._entries = parse_index(index, f"{INDEX_FILE} in {path}")
        self._handle = os.open(path, os.O_RDONLY)

    def __enter__(self) -> ArchiveStore:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def __str__(self) -> str:
        return f"oci-archive:{self.path}"

    def manifest(self, reference: str) -> Document:
        """The manifest or index of a tag or digest; raises NotFound, CorruptContent."""
        descriptor = self.manifest_descriptor(reference)
        if descriptor is None:
            raise NotFound(f"{self} holds no {reference}", offered(self.tags()))
        with read_from(f"{self}, {reference}"):
            return Document.parse(self.blob_bytes(descriptor), descriptor.media_type)

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        """The descriptor of a tag or digest, None when the archive does not hold it."""
        entry = find_entry(self._entries, reference)
        if entry is None and is_digest(reference) and self.blob_exists(reference):
            size = self._members[blob_name(reference)].size
            return Document.parse(self.blob_bytes(Descriptor("", reference, size))).descriptor
        return entry

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        """Raises BadInput: an archive is written once, by ArchiveWriter."""
        raise BadInput(f"{self} exists and is not changed", "", "write another file")

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        """Raises BadInput, as put_manifest does."""
        raise BadInput(f"{self} exists and is not changed", "", "write another file")

    def blob_exists(self, digest: str) -> bool:
        """Whether the archive holds a blob of this digest."""
        return blob_name(digest) in self._members

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """A blob's bytes in chunks; raises NotFound, or CorruptContent before the last chunk."""
        with self.open_unchecked(descriptor) as chunks:
            yield verified(chunks, descriptor, str(self))

    @contextmanager
    def open_unchecked(self, descriptor: Descriptor) -> Iterator[Iterator[Chunk]]:
        """A blob that nobody has read, as LayoutStore.open_unchecked has it."""
        member = self._members.get(blob_name(descriptor.digest))
        if member is None:
            raise missing_blob(descriptor, str(self))
        check_size(descriptor, member.size, str(self))
        yield unread(self._handle, member.offset, member.size)

    def blob_bytes(self, descriptor: Descriptor, limit: int = 4 << 20) -> bytes:
        """A whole small blob; raises as open_blob does, and CorruptContent above limit bytes."""
        check_limit(descriptor, limit, str(self))
        with self.open_blob(descriptor) as chunks:
            return b"".join(chunks)

    def tags(self) -> list[str]:
        """Every tag in index.json, sorted."""
        return names(self._entries)

    def entries(self) -> tuple[Descriptor, ...]:
        """The descriptors of index.json, in order."""
        return self._entries

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """The manifests in index.json whose `subject` is this digest."""
        return find_referrers(self._entries, self.manifest, digest, artifact_type)


class ArchiveWriter:
    """A new archive, complete or not there at all: it takes its name when the block ends well.

    A context manager whose methods are those of a Store; safe for threads.
    """

    def __init__(self, path: Path) -> None:
        """Raises BadInput when the file exists: archives are not changed in place."""
        if path.exists():
            raise BadInput(
                f"oci-archive:{path} exists and is not changed",
                "an archive is written in one go",
                "remove it first, or write another file",
            )
        self.path = path
        self._lock = threading.Lock()
        self._places: dict[str, _Member] = {}
        self._written: set[str] = set()
        self._documents: dict[str, Document] = {}
        self._entries: tuple[Descriptor, ...] = ()
        self._end = 0

    def __enter__(self) -> ArchiveWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.path.parent)
        self._aside = Path(name)
        self._add_file(LAYOUT_FILE, LAYOUT_VERSION)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._add_file(INDEX_FILE, index_json(self._entries))
                self._write(b"\0" * (2 * _BLOCK), self._end)
                self._aside.chmod(0o644)
                self._aside.replace(self.path)
        finally:
            os.close(self._handle)
            self._aside.unlink(missing_ok=True)

    def __str__(self) -> str:
        return f"oci-archive:{self.path}"

    def manifest(self, reference: str) -> Document:
        """A manifest put before, by tag or digest; raises NotFound."""
        descriptor = self.manifest_descriptor(reference)
        if descriptor is None:
            raise NotFound(f"{self} holds no {reference}", offered(self.tags()))
        return self._documents[descriptor.digest]

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        """The descriptor of a manifest put before, by tag or digest."""
        if is_digest(reference):
            document = self._documents.get(reference)
            return document.descriptor if document else None
        return find_entry(self._entries, reference)

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        """Store a manifest; listed in index.json as LayoutStore.put_manifest says."""
        with self._lock:
            if document.digest not in self._documents:
                self._add_file(blob_name(document.digest), document.raw)
                self._documents[document.digest] = document
                self._written.add(document.digest)
            if reference is None and document.subject is None:
                return
            tag = None if reference is None or is_digest(reference) else reference
            self._entries = with_entry(self._entries, entry_for(document, tag), tag)

    def blob_exists(self, digest: str) -> bool:
        """Whether the blob has been written completely."""
        return digest in self._written

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Raises NotFound: what is being written is not read back."""
        raise missing_blob(descriptor, f"{self}, which is being written")

    def blob_bytes(self, descriptor: Descriptor, limit: int = 4 << 20) -> bytes:
        """Raises NotFound, as open_blob does."""
        raise missing_blob(descriptor, f"{self}, which is being written")

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        """Write a blob into its place; a second try after a failure writes over the first."""
        with self._lock:
            if descriptor.digest in self._written:
                return
            place = self._places.get(descriptor.digest)
            if place is None:
                place = self._reserve(blob_name(descriptor.digest), descriptor.size)
                self._places[descriptor.digest] = place
        offset = place.offset
        with open_chunks() as chunks:
            for chunk in verified(chunks, descriptor, "what was to be stored"):
                self._write(chunk, offset)
                offset += len(chunk)
        with self._lock:
            self._written.add(descriptor.digest)

    def tags(self) -> list[str]:
        """Every tag put so far, sorted."""
        return names(self._entries)

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """The listed manifests whose `subject` is this digest."""
        return find_referrers(self._entries, self.manifest, digest, artifact_type)

    def _add_file(self, name: str, content: bytes) -> None:
        self._write(content, self._reserve(name, len(content)).offset)

    def _reserve(self, name: str, size: int) -> _Member:
        """Write a member's header at the end and keep room for its content."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        header = info.tobuf(tarfile.PAX_FORMAT)
        self._write(header, self._end)
        place = _Member(self._end + len(header), size)
        padded = -(-size // _BLOCK) * _BLOCK
        self._end = place.offset + padded
        os.ftruncate(self._handle, self._end)
        return place

    def _write(self, content: bytes, offset: int) -> None:
        view = memoryview(content)
        while len(view):
            count = os.pwrite(self._handle, view, offset)
            offset += count
            view = view[count:]


def _scan(path: Path) -> dict[str, _Member]:
    """Name -> place of every file in the archive; raises BadInput unless it is an OCI archive."""
    members: dict[str, _Member] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                if info.isreg():
                    name = info.name.removeprefix("./")
                    members[name] = _Member(info.offset_data, info.size)
    except FileNotFoundError as error:
        raise BadInput(f"there is no archive {path}") from error
    except IsADirectoryError as error:
        raise BadInput(f"{path} is a directory", "", "for a layout write oci:DIR") from error
    except tarfile.TarError as error:
        raise BadInput(
            f"{path} is not a tar archive", str(error), _compressed_hint(path)
        ) from error
    if LAYOUT_FILE not in members or INDEX_FILE not in members:
        old = "it is in the older form of `docker save`" if "manifest.json" in members else ""
        raise BadInput(f"{path} is not an OCI archive", old or f"it has no {INDEX_FILE}")
    return members


def _content(path: Path, member: _Member) -> bytes:
    with path.open("rb") as stream:
        stream.seek(member.offset)
        return stream.read(min(member.size, _MAX_INDEX))


def _compressed_hint(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        magic = stream.read(4)
    known = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\x28\xb5\x2f\xfd": "unzstd"}
    tool = next((name for start, name in known.items() if magic.startswith(start)), "")
    return f"it is compressed: {tool} it first" if tool else ""
