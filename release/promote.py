"""Promotion: what was tested goes on, by digest, with all that is attached to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from semver import Version

from registry.client import RegistryClient
from registry.errors import NotFound, Refused
from registry.oci import Descriptor, Document
from registry.progress import SILENT, Progress
from registry.push import check_read_back
from registry.reference import Reference
from registry.remembered import Contents, Remembered
from registry.store import Store
from registry.tally import Tally
from registry.transfer import CopyOptions, send
from release.tags import TagScheme

# From so many layers on it is looked for an image in the target that has them already.
_MANY = 4

Check = Callable[[Store, str], None]
"""Looks at a manifest by its digest in a repository; raises Refused when it is not fit."""


@dataclass(frozen=True)
class Promotion:
    """From where to where. source: pinned by digest. target: with the tag it gets there.

    move: the target's tag may name something else already, even if it is a version's.
    """

    source: Reference
    target: Reference
    move: bool = False


@dataclass(frozen=True)
class Promoted:
    """An image that arrived. tally: what moved, referrers included; unchanged: it was there."""

    promotion: Promotion
    digest: str
    tally: Tally
    unchanged: bool
    requests: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; bytes of blobs."""
        return {
            "source": str(self.promotion.source),
            "reference": str(self.promotion.target.with_digest(self.digest)),
            "digest": self.digest,
            "bytes": {
                "sent": self.tally.sent_bytes,
                "mounted": self.tally.mounted_bytes,
                "present": self.tally.present_bytes,
            },
            "unchanged": self.unchanged,
            "requests": self.requests,
        }


def resolve(client: RegistryClient, source: Reference, to: str) -> Promotion:
    """What promoting to `HOST/PROJECT[/…][:TAG]` means for an image: its name stays, and its tag
    unless another is given. Raises NotFound when the source is not there."""
    store = client.repository(source.host, source.repository)
    digest = source.digest
    if digest is None:
        found = store.manifest_descriptor(source.target)
        if found is None:
            raise NotFound(f"{source} does not exist", "", "`imgctl history IMAGE` lists releases")
        digest = found.digest
    place = Reference.parse(to)
    image = source.repository.rpartition("/")[2]
    tag = place.tag or source.tag
    if tag is None:
        raise Refused(f"{source} has no tag to go by", "", f"name one: --to {to}:TAG")
    target = Reference(place.host, f"{place.repository}/{image}", tag)
    return Promotion(source.with_digest(digest), target)


def promote(
    client: RegistryClient,
    promotion: Promotion,
    check: Check,
    *,
    options: CopyOptions,
    scheme: TagScheme | None = None,
    progress: Progress = SILENT,
) -> Promoted:
    """Copy the image and all its referrers; the tag moves last, once it is known to be whole.

    check is asked before anything is sent, and of what arrived, before the tag names it. scheme:
    tells tags that name one version from those that move. Raises Refused when check says no, or
    when a version's tag names something else; no tag has moved then.
    """
    before = client.requests
    scheme = scheme or TagScheme()
    source, target = promotion.source, promotion.target
    digest = source.digest or ""
    contents = Contents()
    held = Remembered(client.repository(source.host, source.repository), contents, frozen=True)
    check(held, digest)
    nearby = [source.repository] if source.host == target.host else []
    repository = client.repository(target.host, target.repository, push=True, mount_from=nearby)
    into = Remembered(repository, contents)
    there = into.manifest_descriptor(target.target)
    unchanged = there is not None and there.digest == digest
    if (
        there is not None
        and not unchanged
        and not promotion.move
        and _is_version(promotion, scheme)
    ):
        why = f"it names {there.digest}"
        hint = "promote it under another tag, or move this one with --move"
        raise Refused(f"{target} names another image", why, hint)
    document = held.manifest(digest)
    tally = send(
        held,
        into,
        document,
        None if unchanged else digest,
        options=options,
        progress=progress,
        known=_held_already(into, document, there, scheme) if nearby and not unchanged else set(),
    )
    if not options.dry_run:
        check(into, digest)
        if not unchanged:
            into.put_manifest(document, target.target)
        check_read_back(into, target.target, document.descriptor)
    return Promoted(promotion, digest, tally, unchanged, client.requests - before)


def _is_version(promotion: Promotion, scheme: TagScheme) -> bool:
    """Whether the target's tag names one version, and so one image; others are there to move."""
    tag = promotion.target.target
    return Version.is_valid(tag) or scheme.parse_fixed(tag) is not None


def _held_already(
    into: Remembered, document: Document, there: Descriptor | None, scheme: TagScheme
) -> set[str]:
    """Blobs that an image in the target names, and so are there: two requests instead of many."""
    if len(document.layers) < _MANY:
        return set()
    try:
        tags = [] if there else into.tags()
        versions = {tag: found[0] for tag in tags if (found := scheme.parse_fixed(tag))}
        reference = there.digest if there else max(versions, key=lambda tag: versions[tag])
        return {blob.digest for blob in into.manifest(reference).blobs()}
    except (NotFound, ValueError):
        return set()
