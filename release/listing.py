"""What is released of an image, as its repository tells it."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semver import Version

from registry.errors import NotFound
from registry.oci import Descriptor, Platform
from registry.reference import Reference
from registry.repository import Repository
from registry.signing.bundle import PREDICATE_TYPE, is_bundle
from registry.signing.statement import SIGNATURE
from registry.signing.tags import tag_for
from registry.store import Store
from registry.workers import work
from release.remote import BASE_DIGEST, BASE_NAME, CREATED, L4T, REVISION, RemoteImage, read_image
from release.tags import TagScheme

_AT_ONCE = 8
# Signatures and lists of referrers that lie beside images, under the digest they belong to.
_ATTACHED = re.compile(r"sha256-[0-9a-f]{64}(\.\w+)?")


@dataclass(frozen=True)
class Released:
    """One release for one L4T release. tags: the readable ones that name it now.

    signed: whether a signature is attached; nobody has checked it.
    """

    version: Version
    l4t: str
    tag: str
    image: RemoteImage
    tags: tuple[str, ...] = ()
    signed: bool = False

    @property
    def digest(self) -> str:
        """The manifest's digest."""
        return self.image.manifest.digest

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; size in bytes of all blobs."""
        labels = self.image.labels
        return {
            "version": str(self.version),
            "l4t": self.l4t,
            "tag": self.tag,
            "digest": self.digest,
            "size": self.image.size,
            "base": labels.get(BASE_NAME, ""),
            "base_digest": labels.get(BASE_DIGEST, ""),
            "created": labels.get(CREATED, ""),
            "revision": labels.get(REVISION, ""),
            "tags": list(self.tags),
            "signed": self.signed,
        }


def list_releases(
    repository: Repository, scheme: TagScheme, platform: Platform, l4t: str | None = None
) -> list[Released]:
    """Every release, the newest first; of one L4T release if asked. Empty without a repository."""
    try:
        tags = repository.tags()
    except NotFound:
        return []
    fixed = {tag: found for tag in tags if (found := scheme.parse_fixed(tag))}
    wanted = [tag for tag, (_, name) in fixed.items() if l4t in (None, name)]
    readable = [tag for tag in tags if tag not in fixed and not _ATTACHED.fullmatch(tag)]
    moving = _named(repository, readable)

    def read(tag: str) -> Released:
        reference = Reference(repository.host, repository.name, tag)
        image = read_image(repository, reference, platform)
        version, name = fixed[tag]
        digest = image.manifest.digest
        names = tuple(sorted(key for key, value in moving.items() if value == digest))
        return Released(version, name, tag, image, names, is_signed(repository, digest, tags))

    releases = work(read, wanted, _AT_ONCE, threading.Event())
    return sorted(releases, key=lambda item: (item.version, item.l4t), reverse=True)


def followed(repository: Store, scheme: TagScheme, tags: Sequence[str]) -> str | None:
    """The L4T release whose builds the readable tags follow now; None when there are none."""
    there = set(tags)
    released = filter(None, (scheme.parse_fixed(tag) for tag in tags))
    for version, l4t in sorted(released, reverse=True):
        # The least specific one first: it is the last that a release moves.
        for tag in reversed(scheme.moving_tags(version, l4t, ())):
            if tag in there:
                found = repository.manifest(tag).annotations.get(L4T)
                return found or _l4t_of(repository, scheme, tags, tag)
    return None


def _l4t_of(repository: Store, scheme: TagScheme, tags: Sequence[str], readable: str) -> str | None:
    """The same for an image that does not say it: by the fixed tag with the same digest."""
    wanted = repository.manifest_descriptor(readable)
    fixed = {tag: found[1] for tag in tags if (found := scheme.parse_fixed(tag))}
    digests = _named(repository, list(fixed))
    return next((fixed[tag] for tag in fixed if wanted and digests[tag] == wanted.digest), None)


def is_signed(repository: Store, digest: str, tags: Sequence[str]) -> bool:
    """Whether a signature is attached, in either of cosign's forms."""
    tag = tag_for(digest, "sig")
    if tag in tags or any(_is_signature(item) for item in repository.referrers(digest)):
        return True
    # Harbor makes the tag an accessory, and lists it no more.
    return repository.manifest_descriptor(tag) is not None


def _is_signature(referrer: Descriptor) -> bool:
    """Whether a referrer is a signature, and no provenance or SBOM; a bundle that says nothing
    is taken for one. Some registries tell the config's type for the artifact's."""
    kind = referrer.annotations.get(PREDICATE_TYPE)
    if kind is not None:
        return kind == SIGNATURE
    return is_bundle(str(referrer.extra.get("artifactType") or ""))


def _named(repository: Store, tags: Sequence[str]) -> dict[str, str]:
    """The digest each readable tag names."""
    found = work(repository.manifest_descriptor, tags, _AT_ONCE, threading.Event())
    return {tag: item.digest for tag, item in zip(tags, found, strict=True) if item is not None}
