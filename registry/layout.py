"""An OCI image layout directory as a store of manifests and blobs.

Spec: OCI image-spec v1.1, image-layout.md. A layout may be *sparse*: its manifests describe
blobs that it does not hold, and whoever reads it must know where else those are.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.blobs import (
    Chunk,
    OpenChunks,
    check_limit,
    check_size,
    missing_blob,
    unread,
    verified,
)
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


class LayoutStore:
    """A layout directory; safe for several threads and processes at once.

    Blobs and index.json are written aside and renamed, so a reader never sees half of either.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing layout; raises BadInput when the directory is not one."""
        self.path = path
        self._unfinished: set[Path] = set()
        _check_layout_file(path)

    @classmethod
    def create(cls, path: Path) -> LayoutStore:
        """Open the layout at path, making an empty one first where there is none."""
        (path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        if not (path / INDEX_FILE).exists():
            _write_file(path / INDEX_FILE, index_json(()))
        if not (path / LAYOUT_FILE).exists():
            _write_file(path / LAYOUT_FILE, LAYOUT_VERSION)
        return cls(path)

    def __str__(self) -> str:
        return f"oci:{self.path}"

    def discard_unfinished(self) -> None:
        """Remove blobs that are half written, for when those who write them have been given up."""
        for aside in tuple(self._unfinished):
            aside.unlink(missing_ok=True)

    def blob_path(self, digest: str) -> Path:
        """Where the blob of this digest is or would be."""
        algorithm, _, encoded = digest.partition(":")
        return self.path / "blobs" / algorithm / encoded

    def manifest(self, reference: str) -> Document:
        """The manifest or index of a tag or digest, checked against its digest and size.

        Raises NotFound, and CorruptContent when the bytes are not what their name says.
        """
        descriptor = self.manifest_descriptor(reference)
        if descriptor is None:
            raise NotFound(f"{self} holds no {reference}", offered(self.tags()))
        with read_from(f"{self}, {reference}"):
            return Document.parse(self.blob_bytes(descriptor), descriptor.media_type)

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        """The descriptor of a tag or digest, None when the layout does not hold it."""
        entry = find_entry(self.entries(), reference)
        if entry is None and is_digest(reference) and self.blob_exists(reference):
            # Not listed in index.json: a child of an index, whose type its own bytes tell.
            size = self.blob_path(reference).stat().st_size
            return Document.parse(self.blob_bytes(Descriptor("", reference, size))).descriptor
        return entry

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        """Store a manifest; the blobs it names may be absent (sparse).

        reference: the tag or digest index.json lists it by; a tag that pointed elsewhere moves.
        None stores without listing (a child of an index), except that a manifest with a subject
        is always listed, since nothing else leads to it.
        """
        self._store(document.descriptor, (document.raw,))
        if reference is None and document.subject is None:
            return
        tag = None if reference is None or is_digest(reference) else reference
        with _locked(self.path):
            entries = with_entry(self.entries(), entry_for(document, tag), tag)
            _write_file(self.path / INDEX_FILE, index_json(entries))

    def blob_exists(self, digest: str) -> bool:
        """Whether the blob's file is there; its content is checked when it is read."""
        return self.blob_path(digest).is_file()

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """A blob's bytes in chunks; raises NotFound, or CorruptContent before the last chunk."""
        with self.open_unchecked(descriptor) as chunks:
            yield verified(chunks, descriptor, str(self))

    @contextmanager
    def open_unchecked(self, descriptor: Descriptor) -> Iterator[Iterator[Chunk]]:
        """A blob that nobody has read: its size is looked at and its digest not.

        For a receiver that hashes what it gets. Raises NotFound, and CorruptContent for a file of
        another size.
        """
        path = self.blob_path(descriptor.digest)
        try:
            stream = path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise missing_blob(descriptor, str(self)) from error
        with stream:
            check_size(descriptor, os.fstat(stream.fileno()).st_size, str(self))
            yield unread(stream.fileno(), 0, descriptor.size)

    def blob_bytes(self, descriptor: Descriptor, limit: int = 4 << 20) -> bytes:
        """A whole small blob; raises as open_blob does, and CorruptContent above limit bytes."""
        check_limit(descriptor, limit, str(self))
        with self.open_blob(descriptor) as chunks:
            return b"".join(chunks)

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        """Store a blob unless it is there; raises CorruptContent when it is not as described."""
        if self._holds(descriptor):
            return
        with open_chunks() as chunks:
            self._store(descriptor, chunks)

    def tags(self) -> list[str]:
        """Every tag in index.json, sorted."""
        return names(self.entries())

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """The manifests in index.json whose `subject` is this digest."""
        return find_referrers(self.entries(), self.manifest, digest, artifact_type)

    def entries(self) -> tuple[Descriptor, ...]:
        """The descriptors of index.json, in order; raises CorruptContent."""
        try:
            raw = (self.path / INDEX_FILE).read_bytes()
        except FileNotFoundError:
            return ()
        return parse_index(raw, str(self.path / INDEX_FILE))

    def _holds(self, descriptor: Descriptor) -> bool:
        path = self.blob_path(descriptor.digest)
        return path.is_file() and path.stat().st_size == descriptor.size

    def _store(self, descriptor: Descriptor, chunks: Iterable[Chunk]) -> None:
        path = self.blob_path(descriptor.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = verified(chunks, descriptor, "what was to be stored")
        _write_file(path, content, self._unfinished)


def _check_layout_file(path: Path) -> None:
    try:
        raw = (path / LAYOUT_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(f"{path} is not an OCI layout", f"it has no file {LAYOUT_FILE}") from error
    check_layout_version(raw, str(path / LAYOUT_FILE))


def _write_file(
    path: Path, content: bytes | Iterable[bytes], unfinished: set[Path] | None = None
) -> None:
    """Write aside and rename; nothing is left when the content cannot be had.

    unfinished: holds the file's path while it is written.
    """
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    aside = Path(name)
    writing = set() if unfinished is None else unfinished
    writing.add(aside)
    try:
        with os.fdopen(handle, "wb") as stream:
            for chunk in (content,) if isinstance(content, bytes) else content:
                stream.write(chunk)
        aside.chmod(0o644)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    finally:
        writing.discard(aside)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the layout's index for one read-modify-write, against threads and processes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
