"""A repository whose contents are read once: what a digest names stays what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from registry.blobs import OpenChunks, check_limit
from registry.errors import NotFound
from registry.oci import Descriptor, Document
from registry.origin import RemoteStore, put_referrers
from registry.reference import is_digest
from registry.referrers import fallback_tag

_LARGEST = 4 << 20  # bytes of a blob that is kept
_BESIDE = "sha256-"  # signatures and lists of referrers are tagged so


@runtime_checkable
class _ListsByTag(Protocol):
    @property
    def lists_by_tag(self) -> bool: ...


@dataclass(frozen=True)
class Contents:
    """Manifests and small blobs by their digests, wherever they were read."""

    manifests: dict[str, Document] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


class Remembered:
    """A RemoteStore before a repository, for one piece of work.

    Content is taken from `contents` when its digest is known there. frozen: what tags name, and
    what refers to what, is asked once as well: for a source that is not expected to change.
    """

    def __init__(self, store: RemoteStore, contents: Contents, *, frozen: bool = False) -> None:
        self.host = store.host
        self.name = store.name
        self._store = store
        self._contents = contents
        self._frozen = frozen
        self._named: dict[str, str | None] = {}
        self._referrers: dict[str, list[Descriptor]] = {}
        self._tags: list[str] | None = None

    def __str__(self) -> str:
        return str(self._store)

    def manifest(self, reference: str) -> Document:
        """See Store."""
        digest = reference if is_digest(reference) else self._digest_of(reference)
        found = self._contents.manifests.get(digest)
        if found is None:
            found = self._contents.manifests[digest] = self._store.manifest(digest)
        return found

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        """See Store."""
        if not self._frozen:
            return self._store.manifest_descriptor(reference)
        try:
            return self.manifest(reference).descriptor
        except NotFound:
            return None

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        """See Store."""
        self._store.put_manifest(document, reference)

    def put_referrers(self, documents: Sequence[Document]) -> None:
        """See registry.origin.put_referrers."""
        put_referrers(self._store, documents)

    def blob_exists(self, digest: str) -> bool:
        """See Store."""
        return self._store.blob_exists(digest)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """See Store."""
        return self._store.open_blob(descriptor)

    def blob_bytes(self, descriptor: Descriptor, limit: int = 4 << 20) -> bytes:
        """See Store."""
        check_limit(descriptor, limit, str(self))
        found = self._contents.blobs.get(descriptor.digest)
        if found is not None and len(found) == descriptor.size:
            return found
        content = self._store.blob_bytes(descriptor, limit)
        if len(content) <= _LARGEST:
            self._contents.blobs[descriptor.digest] = content
        return content

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        """See Store."""
        self._store.push_blob(descriptor, open_chunks)

    def mount_blob(self, descriptor: Descriptor, source_repository: str) -> bool:
        """See RemoteStore."""
        return self._store.mount_blob(descriptor, source_repository)

    def tags(self) -> list[str]:
        """See Store."""
        if self._tags is None or not self._frozen:
            self._tags = self._store.tags()
        return self._tags

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """See Store."""
        if not self._frozen or artifact_type is not None:
            return self._store.referrers(digest, artifact_type)
        if digest not in self._referrers:
            unlisted = self._lists_by_tag and fallback_tag(digest) not in self.tags()
            self._referrers[digest] = [] if unlisted else self._store.referrers(digest)
        return self._referrers[digest]

    @property
    def _lists_by_tag(self) -> bool:
        """Whether the registry was found to have no list of referrers but a tag."""
        return isinstance(self._store, _ListsByTag) and self._store.lists_by_tag

    def _digest_of(self, tag: str) -> str:
        """What a tag names; raises NotFound."""
        if self._frozen and tag in self._named:
            digest = self._named[tag]
        else:
            digest = self._named[tag] = self._ask(tag)
        if digest is None:
            raise NotFound(f"{self}:{tag} does not exist")
        return digest

    def _ask(self, tag: str) -> str | None:
        if not self._frozen:
            found = self._store.manifest_descriptor(tag)
            return found.digest if found else None
        try:
            # One list tells of all that lies beside images, where the registry has no other.
            if tag.startswith(_BESIDE) and self._lists_by_tag and tag not in self.tags():
                return None
            document = self._store.manifest(tag)
        except NotFound:
            return None
        self._contents.manifests[document.digest] = document
        return document.digest
