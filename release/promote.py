"""Promotion: what was tested goes on, by digest, with all that is attached to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from registry.client import RegistryClient
from registry.copying import CopyRequest, copy_images
from registry.errors import NotFound, Refused
from registry.location import Location
from registry.progress import SILENT, Progress
from registry.push import check_read_back
from registry.reference import Reference
from registry.store import Store
from registry.transfer import CopyOptions, Tally

Check = Callable[[Store, str], None]
"""Looks at a manifest by its digest in a repository; raises Refused when it is not fit."""


@dataclass(frozen=True)
class Promotion:
    """From where to where. source: pinned by digest. target: with the tag it gets there.

    move: the target's tag may name something else already.
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
    progress: Progress = SILENT,
) -> Promoted:
    """Copy the image and all its referrers; the tag moves last, once it is known to be whole.

    check is asked before anything is sent, and of what arrived. Raises Refused when it says no,
    or when the tag names something else; nothing has moved then.
    """
    before = client.requests
    source, target = promotion.source, promotion.target
    digest = source.digest or ""
    check(client.repository(source.host, source.repository), digest)
    into = client.repository(target.host, target.repository, push=True)
    there = into.manifest_descriptor(target.target)
    if there is not None and there.digest != digest and not promotion.move:
        why = f"it names {there.digest}"
        hint = "promote it under another tag, or move this one with --move"
        raise Refused(f"{target} names another image", why, hint)
    pinned = Reference(source.host, source.repository, None, digest)
    request = CopyRequest(
        Location(digest, pinned), Location(target.target, target), options=options
    )
    (copied,) = copy_images(client, request, progress)
    if not options.dry_run:
        check_read_back(into, target.target, copied.result.descriptor)
        check(into, digest)
    result = copied.result
    return Promoted(promotion, digest, result.tally, result.unchanged, client.requests - before)
