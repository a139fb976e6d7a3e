"""Referrers: the API of distribution spec v1.1, and the tag that stands in for it.

A registry without the API keeps the list as an index tagged `sha256-<hex>`, which clients read,
change and write back; two that do so at once can lose an entry, so we look again after writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from registry.answers import Answer
from registry.errors import CorruptContent, NotFound, RegistryError
from registry.oci import OCI_EMPTY, OCI_INDEX, Descriptor, Document

if TYPE_CHECKING:
    from registry.repository import Repository

_WRITES = 4


def fallback_tag(digest: str) -> str:
    """The tag that lists the referrers of a digest: `sha256-<hex>`."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def read_referrers(
    repository: Repository, digest: str, artifact_type: str | None
) -> list[Descriptor]:
    """Descriptors of the manifests that refer to digest, filtered by artifact type here.

    Registries are not asked to filter: some take the config's type for the artifact's.
    """
    found = _from_api(repository.referrers_pages(digest))
    if found is None:
        repository.lists_by_tag = True
        found = _from_tag(repository, digest)
    if artifact_type is None:
        return found
    return [item for item in found if _type_of(repository, item) == artifact_type]


def write_fallback(repository: Repository, documents: Sequence[Document], subject: str) -> None:
    """Add documents to the index at the fall-back tag of their subject."""
    entries = [_entry_for(document) for document in documents]
    for _ in range(_WRITES):
        listed = _from_tag(repository, subject)
        missing = _not_in(listed, entries)
        if not missing:
            return
        manifests = [item.to_json() for item in (*listed, *missing)]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        repository.put_manifest(Document.of(index, OCI_INDEX), fallback_tag(subject))
    missing = _not_in(_from_tag(repository, subject), entries)
    if missing:
        raise RegistryError(
            f"cannot list {missing[0].digest} as a referrer in {repository}",
            f"others keep writing the tag {fallback_tag(subject)}",
            "run the same command again",
        )


def _not_in(listed: Sequence[Descriptor], entries: Sequence[Descriptor]) -> list[Descriptor]:
    there = {item.digest for item in listed}
    return [item for item in entries if item.digest not in there]


def artifact_type_of(document: Document) -> str:
    """A manifest's artifact type: its own field, or else its config's media type."""
    stated = document.value.get("artifactType")
    if isinstance(stated, str) and stated:
        return stated
    return "" if document.is_index else document.config.media_type


def _entry_for(document: Document) -> Descriptor:
    extra: dict[str, Any] = {}
    kind = artifact_type_of(document)
    if kind:
        extra["artifactType"] = kind
    if document.annotations:
        extra["annotations"] = document.annotations
    return Descriptor(document.media_type, document.digest, len(document.raw), extra)


def _from_api(pages: Iterable[Answer]) -> list[Descriptor] | None:
    """What the API lists; None when there is no such API."""
    found: list[Descriptor] = []
    for answer in pages:
        if answer.status != 200 or answer.is_html:
            return None
        value = answer.json()
        # Harbor 2.9 answers `{}` for an empty list.
        items = value.get("manifests") or [] if isinstance(value, dict) else None
        if not isinstance(items, list):
            raise CorruptContent(f"{answer.url.netloc} sent a list of referrers that is none")
        found.extend(Descriptor.from_json(item) for item in items)
    return found


def _from_tag(repository: Repository, digest: str) -> list[Descriptor]:
    try:
        document = repository.manifest(fallback_tag(digest))
    except NotFound:
        return []
    return list(document.manifests)


def _type_of(repository: Repository, entry: Descriptor) -> str:
    """An entry's artifact type, from the manifest itself where the entry may be wrong."""
    stated = str(entry.extra.get("artifactType") or "")
    if stated and stated != OCI_EMPTY and "config" not in stated:
        return stated
    return artifact_type_of(repository.manifest(entry.digest))
