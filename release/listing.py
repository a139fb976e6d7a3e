"""What is released of an image, as its repository tells it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semver import Version

from registry.errors import NotFound
from registry.oci import Platform
from registry.reference import Reference
from registry.repository import Repository
from registry.workers import work
from release.remote import BASE_DIGEST, BASE_NAME, CREATED, REVISION, RemoteImage, read_image
from release.tags import TagScheme

_AT_ONCE = 8


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
    moving = _named(repository, [tag for tag in tags if tag not in fixed and ".sig" not in tag])

    def read(tag: str) -> Released:
        reference = Reference(repository.host, repository.name, tag)
        image = read_image(repository, reference, platform)
        version, name = fixed[tag]
        digest = image.manifest.digest
        names = tuple(sorted(key for key, value in moving.items() if value == digest))
        return Released(version, name, tag, image, names, is_signed(repository, digest, tags))

    releases = work(read, wanted, _AT_ONCE, threading.Event())
    return sorted(releases, key=lambda item: (item.version, item.l4t), reverse=True)


def is_signed(repository: Repository, digest: str, tags: Sequence[str]) -> bool:
    """Whether a signature is attached, in either of cosign's forms."""
    if f"{digest.replace(':', '-')}.sig" in tags:
        return True
    return any("sigstore" in str(item.extra) for item in repository.referrers(digest))


def _named(repository: Repository, tags: Sequence[str]) -> dict[str, str]:
    """The digest each readable tag names."""
    found = work(repository.manifest_descriptor, tags, _AT_ONCE, threading.Event())
    return {tag: item.digest for tag, item in zip(tags, found, strict=True) if item is not None}
