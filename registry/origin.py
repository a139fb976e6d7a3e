"""Where the blobs of a copy may be had: stores, and which of them are on the target's own host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from registry.archive import ArchiveStore
from registry.blobs import Chunk
from registry.errors import NotFound, RegistryError, Unauthorized, Unreachable
from registry.layout import LayoutStore
from registry.oci import Descriptor, Document
from registry.store import Store


@runtime_checkable
class RemoteStore(Store, Protocol):
    """A repository on a registry: a store that can take blobs from its neighbours."""

    @property
    def host(self) -> str:
        """The registry's host, with its port if any."""

    @property
    def name(self) -> str:
        """The repository's path on that host."""

    def mount_blob(self, descriptor: Descriptor, source_repository: str) -> bool:
        """Link a blob from another repository; False when the registry would not."""


@runtime_checkable
class _TakesReferrers(Protocol):
    def put_referrers(self, documents: Sequence[Document]) -> None: ...


def put_referrers(store: Store, documents: Sequence[Document]) -> None:
    """Store documents that refer to one subject, in as few requests as the store can do with."""
    if isinstance(store, _TakesReferrers):
        store.put_referrers(documents)
        return
    for document in documents:
        store.put_manifest(document)


@dataclass(frozen=True)
class Origin:
    """A store that is known to hold blobs: all that are asked for, or only those named.

    manifest: the digest of one there that names them all. While it is there, so are they.
    """

    store: Store
    digests: frozenset[str] | None = None
    manifest: str = ""

    def holds(self, digest: str) -> bool:
        """Whether the blob is said to be there."""
        return self.digests is None or digest in self.digests


def same_place(source: Store, target: Store) -> bool:
    """Whether both are one repository, which then has every blob already."""
    return (
        isinstance(source, RemoteStore)
        and isinstance(target, RemoteStore)
        and (source.host, source.name) == (target.host, target.name)
    )


@contextmanager
def open_from(
    origins: Sequence[Origin], blob: Descriptor, *, checked: bool = True
) -> Iterator[Iterator[Chunk]]:
    """A blob from the first origin that has it.

    checked: compare it with its digest also when it comes from this machine's disk. Raises NotFound
    naming where it was sought; where one of the origins could not be asked, that one's error.
    """
    with ExitStack() as stack:
        sought: list[str] = []
        failed: RegistryError | None = None
        for origin in origins:
            if not origin.holds(blob.digest):
                continue
            try:
                chunks = stack.enter_context(_open(origin.store, blob, checked))
            except NotFound:
                sought.append(str(origin.store))
                continue
            except (Unreachable, Unauthorized) as error:
                failed = failed or error
                continue
            yield chunks
            return
    if failed is not None:
        what_for = f"blob {blob.digest} was to come from there"
        failed.why = f"{failed.why}; {what_for}" if failed.why else what_for
        raise failed
    raise NotFound(
        f"blob {blob.digest} ({blob.size} bytes) is nowhere to be had",
        f"it is missing in {' and in '.join(sought)}",
        "build the image again; if its base was deleted, bring it back first",
    )


def _open(store: Store, blob: Descriptor, checked: bool) -> AbstractContextManager[Iterator[Chunk]]:
    if checked or not isinstance(store, LayoutStore | ArchiveStore):
        return store.open_blob(blob)
    return store.open_unchecked(blob)
