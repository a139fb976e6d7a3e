"""What a place that holds images can do, whether a repository on a registry or a folder on disk.

A transfer works between any two stores. A store does not report progress: the caller, who knows
what the bytes are part of, wraps the chunks it hands over or takes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from registry.blobs import OpenChunks
from registry.oci import Descriptor, Document


class Store(Protocol):
    """One repository's worth of manifests, tags and blobs. Methods may be called from any thread.

    Every method raises RegistryError (or a subclass) when the store cannot answer.
    """

    def manifest(self, reference: str) -> Document:
        """The manifest or index at a tag or digest; bytes are checked against a digest.

        Raises NotFound when it is not there, CorruptContent when it is not what it should be.
        """

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        """Type, digest and size of a manifest without its content; None when it is not there."""

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        """Store a document under a tag, or under its own digest when reference is None."""

    def blob_exists(self, digest: str) -> bool:
        """Whether the blob is in this store."""

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """The blob as an iterator of chunks; CorruptContent from the last step of the iteration
        when length or digest turn out wrong, NotFound on entry when it is not there."""

    def blob_bytes(self, descriptor: Descriptor, limit: int = 4 << 20) -> bytes:
        """The whole of a small blob; CorruptContent when it is wrong or larger than limit bytes."""

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        """Store the content open_chunks yields; nothing is kept when it is not the descriptor's."""

    def tags(self) -> list[str]:
        """Every tag, in the store's order."""

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """Manifests whose `subject` is digest, of one artifact type or all; often empty."""
