"""Pushing a built image: looked at before, sent, read back, and recorded.

The order is what makes it safe: tags are looked at before anything is sent, the quota is compared
with the bytes that really are missing, the manifest goes last, and what the registry then says it
holds is compared with what was meant. What only a registry with a management API can do (projects,
quotas, immutability rules, scans) is behind ReleaseTarget.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from registry.errors import BadInput, CorruptContent, Refused
from registry.files import replace_json
from registry.oci import Descriptor, Document, Platform, platform_of
from registry.origin import Origin
from registry.progress import SILENT, Progress
from registry.store import Store
from registry.tally import Tally, all_present
from registry.transfer import CopyOptions, choose, estimate, send
from registry.workers import work

RECORD_FILE = "push.json"
_MAX_CONFIG = 4 << 20  # bytes
_AT_ONCE = 8  # requests that carry no blob

T = TypeVar("T")
R = TypeVar("R")
TagStates = Mapping[str, Descriptor | None]


class ReleaseTarget(Protocol):
    """What surrounds the transfer; a plain registry needs none of it (PlainTarget)."""

    def prepare(self, repository: Store) -> Store:
        """Check the login and that the project exists, or make it; raises what is wrong.

        It comes before anything else is asked, so that an error names the cause. Returns what to
        look at from then on: the repository, or a stand-in for one that a dry run does not make.
        """

    def why_immutable(self, repository: Store, tag: str) -> str:
        """Why a tag must not move, by a rule of the registry; empty when it may."""

    def check_quota(self, repository: Store, missing: int) -> None:
        """Raise Refused when this many bytes more, the manifest's among them, would not fit."""

    def verify(self, repository: Store, pushed: PushedImage) -> None:
        """Compare what the registry says it holds with what was sent; raises CorruptContent."""

    def finish(self, repository: Store, pushed: PushedImage) -> Mapping[str, Any]:
        """Labels, a scan and its verdict: what is to be added to the record; may raise Refused."""


class PlainTarget:
    """A registry without a management API: the distribution API alone must do."""

    def prepare(self, repository: Store) -> Store:
        """Nothing to do: the look at the tag shows whether the registry lets us in."""
        return repository

    def why_immutable(self, repository: Store, tag: str) -> str:
        """No rules are known."""
        return ""

    def check_quota(self, repository: Store, missing: int) -> None:
        """No quota is known."""

    def verify(self, repository: Store, pushed: PushedImage) -> None:
        """Each tag must name the digest and size that were sent."""
        at_once(lambda tag: check_read_back(repository, tag, pushed.descriptor), pushed.tags)

    def finish(self, repository: Store, pushed: PushedImage) -> Mapping[str, Any]:
        """Nothing to add."""
        return {}


@dataclass(frozen=True)
class PushRequest:
    """One build to be pushed.

    image: its short name. source: where it lies; reference: its tag there. tags: where to, the
    build's own first. fixed: tags that name one build for ever. platform: what it must be for.
    origins: where blobs the source lacks may be had. details: fields taken over into the record.
    """

    image: str
    source: Store
    reference: str
    tags: tuple[str, ...]
    fixed: frozenset[str]
    platform: Platform
    origins: tuple[Origin, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PushOptions:
    """force: move tags that name one build for ever (not ones the registry holds immutable).

    concurrency: blobs moved at once. dry_run: look at everything, change nothing.
    """

    force: bool = False
    concurrency: int = 4
    dry_run: bool = False


@dataclass(frozen=True)
class PushedImage:
    """A finished transfer: size is the manifest's, image_size all its blobs', in bytes."""

    tags: tuple[str, ...]
    descriptor: Descriptor
    platform: Platform
    image_size: int


@dataclass(frozen=True)
class Outcome:
    """pushed: what the repository holds now (or would). extra: what the target adds to a record."""

    pushed: PushedImage
    tally: Tally
    unchanged: bool
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PushRecord:
    """What was pushed where: the start of manifests, bundles and releases.

    repository: `HOST/PATH`. size: the manifest's, image_size: all blobs', in bytes. tally: what
    the push moved. requests: HTTP requests it took. unchanged: all was there before. pushed: when,
    RFC 3339. details: the build's own fields (command, workload, …), kept as they are.
    """

    image: str
    repository: str
    tags: tuple[str, ...]
    descriptor: Descriptor
    platform: Platform
    image_size: int
    tally: Tally = field(default_factory=Tally)
    requests: int = 0
    unchanged: bool = False
    pushed: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, request: PushRequest, repository: str, outcome: Outcome, *, requests: int, pushed: str
    ) -> PushRecord:
        """The record of a push that ended well."""
        return cls(
            request.image,
            repository,
            outcome.pushed.tags,
            outcome.pushed.descriptor,
            outcome.pushed.platform,
            outcome.pushed.image_size,
            outcome.tally,
            requests,
            outcome.unchanged,
            pushed,
            {**request.details, **outcome.extra},
        )

    @property
    def reference(self) -> str:
        """`HOST/PATH:TAG@DIGEST`."""
        return f"{self.repository}:{self.tags[0]}@{self.descriptor.digest}"

    def to_json(self) -> dict[str, Any]:
        """The record as its JSON object, schema 1."""
        tally = self.tally
        return {
            "schema": 1,
            "kind": "push",
            "image": self.image,
            "repository": self.repository,
            "tags": list(self.tags),
            "digest": self.descriptor.digest,
            "reference": self.reference,
            "platform": str(self.platform),
            "media_type": self.descriptor.media_type,
            "size": self.descriptor.size,
            "image_size": self.image_size,
            "bytes": {
                "sent": tally.sent_bytes,
                "mounted": tally.mounted_bytes,
                "present": tally.present_bytes,
            },
            "blobs": {"sent": tally.sent, "mounted": tally.mounted, "present": tally.present},
            "requests": self.requests,
            "unchanged": self.unchanged,
            "pushed": self.pushed,
            **self.details,
        }


def push(
    request: PushRequest,
    repository: Store,
    target: ReleaseTarget,
    *,
    options: PushOptions = PushOptions(),
    progress: Progress = SILENT,
    states: TagStates | None = None,
) -> Outcome:
    """Push one build; nothing is sent when all its tags name its digest already.

    states: what its tags name now, where that was asked before. Raises Refused when a tag that
    must not move names something else, CorruptContent or NotFound when the source is not what it
    should be, and what the stores and the target raise.
    """
    document, image_size = check_source(request)
    repository = target.prepare(repository)
    pushed = PushedImage(request.tags, document.descriptor, request.platform, image_size)
    states = states or tag_states(repository, request.tags)
    moving = [tag for tag in request.tags if not _names(states[tag], document)]
    if not moving:
        extra = {} if options.dry_run else target.finish(repository, pushed)
        return Outcome(pushed, all_present(document), True, extra)
    for tag in moving:
        _check_may_move(request, repository, target, tag, states[tag], options)
    tally, is_new = all_present(document), len(moving) == len(request.tags)
    if options.dry_run:
        if is_new:
            tally = estimate(request.source, repository, document, origins=request.origins)
            target.check_quota(repository, tally.sent_bytes + len(document.raw))
        return Outcome(pushed, tally, False)
    if is_new:
        tally = send(
            request.source,
            repository,
            document,
            moving[0],
            options=CopyOptions(concurrency=options.concurrency),
            origins=request.origins,
            progress=progress,
            before_sending=lambda missing: target.check_quota(
                repository, missing + len(document.raw)
            ),
        )
        moving = moving[1:]
    at_once(lambda tag: repository.put_manifest(document, tag), moving)
    target.verify(repository, pushed)
    return Outcome(pushed, tally, False, target.finish(repository, pushed))


def tag_states(repository: Store, tags: Sequence[str]) -> TagStates:
    """What each tag names now, None for one that is not there; all asked for at once."""
    return dict(zip(tags, at_once(repository.manifest_descriptor, tags), strict=True))


def at_once(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """function(item) for every item, several at a time; the results in their order."""
    if len(items) < 2:
        return [function(item) for item in items]
    return work(function, items, _AT_ONCE, threading.Event())


def check_source(request: PushRequest) -> tuple[Document, int]:
    """The manifest to push and the sum of its blobs, once both have been looked at.

    Raises NotFound or CorruptContent when the config is missing or damaged, and BadInput when the
    image is for another platform than it should be.
    """
    document = choose(request.source, request.reference, request.platform)
    config = request.source.blob_bytes(document.config, _MAX_CONFIG)
    platform = platform_of(config, str(request.source))
    if not platform.matches(request.platform):
        raise BadInput(
            f"{request.image} is for {platform}, not {request.platform}",
            f"the config in {request.source} says so",
            "build it again for the right platform",
        )
    return document, sum(blob.size for blob in document.blobs())


def check_read_back(repository: Store, tag: str, expected: Descriptor) -> None:
    """Raise CorruptContent unless a tag names the expected digest and size."""
    found = repository.manifest_descriptor(tag)
    if found is None or (found.digest, found.size) != (expected.digest, expected.size):
        is_now = f"{found.digest} ({found.size} bytes)" if found else "absent"
        raise CorruptContent(
            f"{repository}:{tag} is not what was pushed",
            f"pushed {expected.digest} ({expected.size} bytes), read back {is_now}",
            "someone else may push to the same tag; run the same command again",
        )


def write_record(folder: Path, record: PushRecord) -> Path:
    """Write push.json into a build's folder, in one step; its path."""
    path = folder / RECORD_FILE
    replace_json(path, record.to_json())
    return path


def _names(found: Descriptor | None, document: Document) -> bool:
    return found is not None and found.digest == document.digest


def _check_may_move(
    request: PushRequest,
    repository: Store,
    target: ReleaseTarget,
    tag: str,
    found: Descriptor | None,
    options: PushOptions,
) -> None:
    if found is None:
        return
    rule = target.why_immutable(repository, tag)
    if rule:
        raise Refused(
            f"{repository}:{tag} is immutable and names another image",
            f"{rule}; it names {found.digest}",
            "raise the version in image.yaml and build again",
        )
    if tag in request.fixed and not options.force:
        raise Refused(
            f"{repository}:{tag} names another build",
            f"a build's own tag names one build for ever; it names {found.digest}",
            "raise the version in image.yaml and build again, or move it with --force",
        )
