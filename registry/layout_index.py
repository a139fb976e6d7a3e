"""index.json of an OCI layout: which manifests it lists, and under which tags.

Spec: OCI image-spec v1.1, image-layout.md. Shared by layout directories and archives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from registry.errors import BadInput, CorruptContent
from registry.oci import OCI_INDEX, Descriptor, Document, canonical_json, read_from
from registry.reference import is_digest

REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


def index_json(entries: Iterable[Descriptor]) -> bytes:
    """The bytes of an index.json that lists these descriptors."""
    listed = [entry.to_json() for entry in entries]
    return canonical_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})


def names(entries: Iterable[Descriptor]) -> list[str]:
    """Every tag listed, sorted."""
    return sorted({entry.annotations.get(REF_NAME, "") for entry in entries} - {""})


def parse_index(raw: bytes, place: str) -> tuple[Descriptor, ...]:
    """The descriptors of an index.json's bytes; raises CorruptContent naming place."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CorruptContent(f"{place} is not JSON", str(error)[:120]) from error
    items = value.get("manifests") if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise CorruptContent(f"{place} is not an OCI index", "it has no list of `manifests`")
    with read_from(place):
        return tuple(Descriptor.from_json(item) for item in items)


def entry_for(document: Document, tag: str | None) -> Descriptor:
    """The index.json entry of a document; its subject's artifact type is kept for readers."""
    extra: dict[str, Any] = {}
    if tag is not None:
        extra["annotations"] = {REF_NAME: tag}
    if document.subject is not None and artifact_type_of(document):
        extra["artifactType"] = artifact_type_of(document)
    return Descriptor(document.media_type, document.digest, len(document.raw), extra)


def with_entry(
    entries: Iterable[Descriptor], new: Descriptor, tag: str | None
) -> tuple[Descriptor, ...]:
    """entries with `new` in them: a tag is moved to it, an untagged digest is listed once."""
    kept = list(entries)
    if tag is not None:
        kept = [entry for entry in kept if entry.annotations.get(REF_NAME) != tag]
        kept = [
            entry for entry in kept if entry.digest != new.digest or entry.annotations.get(REF_NAME)
        ]
    elif any(entry.digest == new.digest for entry in kept):
        return tuple(kept)
    return (*kept, new)


def find_entry(entries: Iterable[Descriptor], reference: str) -> Descriptor | None:
    """The entry of a digest or tag; a full image name as the tag is understood too."""
    listed = tuple(entries)
    if is_digest(reference):
        return next((entry for entry in listed if entry.digest == reference), None)
    tagged = [(entry.annotations.get(REF_NAME, ""), entry) for entry in listed]
    for name, entry in tagged:
        if name == reference:
            return entry
    # Some tools write `host/name:tag` where the spec's readers expect `tag`.
    return next((entry for name, entry in tagged if name.endswith(f":{reference}")), None)


# cosign's tags for what belongs to a digest, and the fall-back tag of the referrers API.
_SIGNATURE_TAG = re.compile(r"sha256-[0-9a-f]{64}(\.(sig|att|sbom))?")


def only_reference(entries: Iterable[Descriptor], place: str) -> str:
    """The tag or digest of a layout that holds one image; raises BadInput otherwise.

    Manifests that refer to another (signatures, SBOMs) do not count, nor do tags of that kind.
    """
    everything = tuple(entries)
    listed = [
        entry
        for entry in everything
        if "artifactType" not in entry.extra
        and not _SIGNATURE_TAG.fullmatch(entry.annotations.get(REF_NAME, ""))
    ] or everything
    if not listed:
        raise BadInput(f"{place} holds no image", "its index.json lists nothing")
    if len({entry.digest for entry in listed}) > 1:
        offers = [entry.annotations.get(REF_NAME) or entry.digest for entry in listed]
        raise BadInput(f"{place} holds several images", offered(offers), f"write {place}:TAG")
    return listed[0].annotations.get(REF_NAME) or listed[0].digest


def find_referrers(
    entries: Iterable[Descriptor],
    read: Callable[[str], Document],
    digest: str,
    artifact_type: str | None,
) -> list[Descriptor]:
    """Descriptors of the listed manifests whose subject is digest (distribution-spec v1.1)."""
    found: dict[str, Descriptor] = {}
    for entry in entries:
        document: Document = read(entry.digest)
        kind = artifact_type_of(document)
        if document.subject is None or document.subject.digest != digest:
            continue
        if artifact_type is None or artifact_type == kind:
            extra: dict[str, Any] = {"artifactType": kind}
            if document.annotations:
                extra["annotations"] = document.annotations
            found[entry.digest] = Descriptor(
                document.media_type, document.digest, len(document.raw), extra
            )
    return list(found.values())


def artifact_type_of(document: Document) -> str:
    """A manifest's artifact type: its own field, else its config's media type."""
    stated = document.value.get("artifactType")
    if isinstance(stated, str) and stated:
        return stated
    return "" if document.is_index else document.config.media_type


def check_layout_version(raw: bytes, place: str) -> None:
    """Raise BadInput unless an oci-layout file names a version we read (1.x)."""
    try:
        version = json.loads(raw)["imageLayoutVersion"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{place} names no layout version", raw[:80].decode("latin-1")) from error
    if not str(version).startswith("1."):
        raise BadInput(f"{place} has layout version {version}", "", "versions 1.x are read")


def offered(choices: Iterable[str]) -> str:
    """The choices of tags there were, for an error."""
    listed = list(choices)
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return f"it has: {', '.join(listed[:8])}{more}" if listed else "it has no tags"
