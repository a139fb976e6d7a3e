"""A repository that is not there yet, and so holds nothing: what a dry run looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from registry.blobs import OpenChunks
from registry.errors import NotFound
from registry.oci import Descriptor, Document
from registry.origin import RemoteStore


class AbsentRepository:
    """Stands in for a repository on a host; an origin.RemoteStore to be looked at only."""

    def __init__(self, host: str, name: str) -> None:
        self.host = host
        self.name = name

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    def manifest(self, reference: str) -> Document:
        """Raises NotFound."""
        raise self._missing()

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        """None."""
        return None

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        """Raises NotFound."""
        raise self._missing()

    def blob_exists(self, digest: str) -> bool:
        """False."""
        return False

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Raises NotFound."""
        raise self._missing()

    def blob_bytes(self, descriptor: Descriptor, limit: int = 0) -> bytes:
        """Raises NotFound."""
        raise self._missing()

    def mount_blob(self, descriptor: Descriptor, source_repository: str) -> bool:
        """Raises NotFound."""
        raise self._missing()

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        """Raises NotFound."""
        raise self._missing()

    def tags(self) -> list[str]:
        """None."""
        return []

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """None."""
        return []

    def _missing(self) -> NotFound:
        return NotFound(f"{self} does not exist yet")


def absent(repository: object) -> AbsentRepository:
    """The stand-in for a repository."""
    if isinstance(repository, RemoteStore):
        return AbsentRepository(repository.host, repository.name)
    return AbsentRepository("", str(repository))
