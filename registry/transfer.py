"""Copying an image from one store to another, moving no byte that need not move.

Per blob: already there? mountable from a repository on the target's host? else streamed straight
through from wherever it is, never to disk. Children before their index, the tag at the very end:
an interrupted copy leaves the target's tags as they were, and a second run finds what the first
one sent.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from registry.attached import attached
from registry.blobs import Chunk
from registry.errors import ImgctlError, MissingBlobs, NotFound, Unreachable
from registry.oci import Descriptor, Document, Platform
from registry.origin import Origin, RemoteStore, open_from, put_referrers, same_place
from registry.progress import SILENT, Progress
from registry.reference import is_digest
from registry.store import Store
from registry.tally import Tally
from registry.workers import Stopped, work

# A blob up to this size is asked for and begun in one request: see _probe.
_SMALL = 64 << 10  # bytes
_ATTEMPTS = 3
_PUTS, _PUT_PAUSE = 5, 0.1  # a manifest refused for its blobs; seconds


@dataclass(frozen=True)
class CopyOptions:
    """platform: the one to take out of an index; None takes the index with all of them.

    concurrency: blobs moved at once. referrers: signatures, SBOMs and the like come along.
    dry_run: find out what would be done, change nothing; mounts are taken to succeed.
    """

    platform: Platform | None = None
    concurrency: int = 4
    referrers: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class CopyResult:
    """descriptor: what the target's reference now names. unchanged: it did so before."""

    descriptor: Descriptor
    tally: Tally
    unchanged: bool = False


@dataclass(frozen=True)
class Job:
    """Everything one copy works with; see send() for the meaning of the fields."""

    source: Store
    target: Store
    origins: tuple[Origin, ...]
    options: CopyOptions
    progress: Progress
    before_sending: Callable[[int], None]
    known: set[str]
    stop: threading.Event


def copy(
    source: Store,
    target: Store,
    reference: str,
    target_reference: str | None = None,
    *,
    options: CopyOptions = CopyOptions(),
    origins: Sequence[Origin] = (),
    progress: Progress = SILENT,
    known: set[str] | None = None,
) -> CopyResult:
    """Copy the image or index at reference; under target_reference, else under the same one.

    The other arguments are send()'s. Raises NotFound when a manifest or blob is nowhere to be
    had, and whatever the stores raise; no tag has moved then.
    """
    root = choose(source, reference, options.platform)
    wanted = target_reference or (root.digest if is_digest(reference) else reference)
    return copy_document(
        source,
        target,
        root,
        wanted,
        options=options,
        origins=origins,
        progress=progress,
        known=known,
    )


def copy_document(
    source: Store,
    target: Store,
    root: Document,
    wanted: str,
    *,
    options: CopyOptions = CopyOptions(),
    origins: Sequence[Origin] = (),
    progress: Progress = SILENT,
    known: set[str] | None = None,
) -> CopyResult:
    """copy() for a manifest or index that has been read and chosen already.

    wanted: the tag or digest to put it under, unless it is there.
    """
    already = target.manifest_descriptor(wanted)
    unchanged = already is not None and already.digest == root.digest
    tally = Tally()
    if not unchanged or options.referrers:
        tally = send(
            source,
            target,
            root,
            None if unchanged else wanted,
            options=options,
            origins=origins,
            progress=progress,
            known=known,
        )
    return CopyResult(root.descriptor, tally, unchanged)


def send(
    source: Store,
    target: Store,
    root: Document,
    wanted: str | None,
    *,
    options: CopyOptions = CopyOptions(),
    origins: Sequence[Origin] = (),
    progress: Progress = SILENT,
    before_sending: Callable[[int], None] = lambda missing: None,
    known: set[str] | None = None,
) -> Tally:
    """Bring a document and all below it into the target, then name it.

    wanted: the tag or digest to put it under; None when the target has it, and only referrers
    are to follow. origins: where blobs that the source lacks may be had (the base of a sparse
    layout); those on the target's host are mounted. before_sending: called with the bytes that
    have to be sent, before any of them is; may raise (a quota). known: digests of blobs that need
    not be asked for, the target having got them just now; it grows by this document's.
    """
    job = Job(
        source,
        target,
        (Origin(source), *origins),
        options,
        progress,
        before_sending,
        set() if known is None else known,
        threading.Event(),
    )
    tally = Tally()
    if wanted is not None:
        tally += _copy_blobs_and_children(job, root)
    if options.referrers:
        # By digest first: signatures are there before the tag that is checked against them.
        if wanted is not None:
            _put(job, root, root.digest)
        tally += _copy_attached(job, root)
    if wanted is not None and not (options.referrers and wanted == root.digest):
        _put(job, root, wanted)
    return tally


def estimate(
    source: Store, target: Store, root: Document, *, origins: Sequence[Origin] = ()
) -> Tally:
    """What send() would do, found out without changing anything; mounts are taken to succeed."""
    return send(
        source, target, root, root.digest, options=CopyOptions(dry_run=True), origins=origins
    )


def choose(source: Store, reference: str, platform: Platform | None) -> Document:
    """The document to copy: as it is, or out of an index the manifest for one platform.

    Raises NotFound naming the platforms an index has.
    """
    return choose_from(source, source.manifest(reference), platform)


def choose_from(source: Store, document: Document, platform: Platform | None) -> Document:
    """choose() for a document that has been read."""
    while platform is not None and document.is_index:
        document = source.manifest(document.choose(platform).digest)
    return document


def _copy_blobs_and_children(job: Job, root: Document) -> Tally:
    documents = list(_children_first(job.source, root, set()))
    unique: dict[str, Descriptor] = {}
    for document in documents:
        for blob in document.blobs():
            if not blob.is_foreign:
                unique.setdefault(blob.digest, blob)
    tally = _copy_blobs(job, list(unique.values()))
    for document in documents:
        if document.digest != root.digest:
            _put(job, document, None)
    return tally


def _put(job: Job, document: Document, reference: str | None) -> None:
    """Store a manifest; blobs that vanished meanwhile (a garbage collection) are sent again.

    Where others push the same blobs at the same time, a registry of files may miss one for a
    moment, and sending it again would only take it from the others: so it is looked for first.
    """
    if job.options.dry_run:
        return
    for attempt in range(1, _PUTS + 1):
        try:
            job.target.put_manifest(document, reference)
            return
        except MissingBlobs as error:
            again = [blob for blob in document.blobs() if blob.digest in error.digests]
            if attempt == _PUTS or not again or any(blob.is_foreign for blob in again):
                raise
        job.stop.wait(random.uniform(0, _PUT_PAUSE * attempt))  # noqa: S311 - no secret
        for blob in again:
            if not job.target.blob_exists(blob.digest):
                job.progress.start(blob.digest, label(blob), blob.size)
                _send(job, blob)


def _children_first(source: Store, document: Document, seen: set[str]) -> Iterator[Document]:
    """The document and all below it, leaves first, each once."""
    for child in document.manifests:
        if child.digest in seen:
            continue
        seen.add(child.digest)
        try:
            below = source.manifest(child.digest)
        except NotFound as error:
            raise NotFound(
                f"the index names a manifest that {source} does not hold",
                f"{child.digest} for {child.platform or 'no platform'}",
                "copy one platform: --platform OS/ARCH",
            ) from error
        yield from _children_first(source, below, seen)
    yield document


def _copy_blobs(job: Job, blobs: Sequence[Descriptor]) -> Tally:
    """Bring blobs into the target: first find out what is missing, then send that.

    Order of sending: the largest first, so that no long one is left for the end.
    """
    if same_place(job.source, job.target):
        return Tally(present=len(blobs), present_bytes=sum(blob.size for blob in blobs))
    _look_for_earlier(job)
    probes = work(lambda blob: _probe(job, blob), blobs, 2 * job.options.concurrency, job.stop)
    missing = [blob for blob, tally in zip(blobs, probes, strict=True) if tally.sent]
    missing.sort(key=lambda blob: -blob.size)
    if job.options.dry_run:
        job.known.update(blob.digest for blob in blobs)
        return sum(probes, Tally())
    if missing:
        job.before_sending(sum(blob.size for blob in missing))
    for blob in missing:
        job.progress.start(blob.digest, label(blob), blob.size)
    work(lambda blob: _send(job, blob), missing, job.options.concurrency, job.stop)
    job.known.update(blob.digest for blob in blobs)
    return sum(probes, Tally())


def _look_for_earlier(job: Job) -> None:
    """One request instead of many: what an earlier image in the target names is there with it."""
    for origin in job.origins:
        if not (origin.manifest and origin.digests and same_place(origin.store, job.target)):
            continue
        if job.target.manifest_descriptor(origin.manifest) is not None:
            job.known.update(origin.digests)


def _probe(job: Job, blob: Descriptor) -> Tally:
    """What must be done for one blob, as what will have been done; mounts it where possible."""
    present = Tally(present=1, present_bytes=blob.size)
    missing = Tally(sent=1, sent_bytes=blob.size)
    target = job.target
    if blob.digest in job.known:
        return present
    if isinstance(target, RemoteStore):
        neighbours = list(_neighbours(job, target, blob.digest))
        # No question before a mount: it tells as much, and is likely to be the last request.
        if any(job.options.dry_run or target.mount_blob(blob, name) for name in neighbours):
            return Tally(mounted=1, mounted_bytes=blob.size)
        if blob.size <= _SMALL and not neighbours and not job.options.dry_run:
            # A mount from the repository itself tells whether it has the blob, and begins the
            # upload if not: one round trip instead of two. A registry without mounts always begins
            # one, so what is large is asked for.
            return present if target.mount_blob(blob, target.name) else missing
    return present if target.blob_exists(blob.digest) else missing


def _neighbours(job: Job, target: RemoteStore, digest: str) -> Iterator[str]:
    """Repositories on the target's host that are said to hold the blob."""
    for origin in job.origins:
        store = origin.store
        if isinstance(store, RemoteStore) and store.host == target.host and origin.holds(digest):
            yield store.name


def _send(job: Job, blob: Descriptor) -> None:
    """Stream a blob into the target; when its source breaks off, the blob starts over."""
    stream = _Stream(job, blob)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            job.target.push_blob(blob, stream.open)
        except Unreachable:
            if stream.failure is None or attempt == _ATTEMPTS:
                raise
            job.progress.say(f"{label(blob)}  the source broke off, starting over")
        else:
            job.progress.finish(blob.digest)
            return


class _Stream:
    """One blob on its way: opened from the first origin that has it, counted, stoppable."""

    def __init__(self, job: Job, blob: Descriptor) -> None:
        self.failure: Exception | None = None
        self._job = job
        self._blob = blob
        self._moved = 0
        # A registry hashes what it gets. Doing the same to a file on disk before would take as long
        # as sending it; once something went wrong, whose fault it was is found out.
        self._checked = not isinstance(job.target, RemoteStore)

    @contextmanager
    def open(self) -> Iterator[Iterator[Chunk]]:
        """The chunks from the start, also when some were handed out before."""
        self._job.progress.advance(self._blob.digest, -self._moved)
        self._moved, self.failure = 0, None
        checked, self._checked = self._checked, True
        with open_from(self._job.origins, self._blob, checked=checked) as chunks:
            yield self._counted(chunks)

    def _counted(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        try:
            for chunk in chunks:
                if self._job.stop.is_set():
                    raise Stopped
                yield chunk
                self._moved += len(chunk)
                self._job.progress.advance(self._blob.digest, len(chunk))
        except ImgctlError as error:
            self.failure = error
            raise


def _copy_attached(job: Job, root: Document) -> Tally:
    """Copy what is attached to a document and to what is below it."""
    plain = replace(job, options=replace(job.options, referrers=False, platform=None))
    tally = Tally()
    for found in attached(job.source, root):
        tally += _copy_referrers(job, found.subject, found.referrers)
        for tag, document in found.tagged.items():
            already = job.target.manifest_descriptor(tag)
            if already is None or already.digest != document.digest:
                tally += _copy_blobs_and_children(plain, document)
                _put(job, document, tag)
    return tally


def _copy_referrers(job: Job, subject: Document, found: Sequence[Document]) -> Tally:
    """Bring documents that refer to one subject into the target, as far as it has them not."""
    if not found:
        return Tally()
    listed = {item.digest for item in job.target.referrers(subject.digest)}
    # A list may name what is gone; what it does not name has to be put in any case.
    missing = [
        item
        for item in found
        if item.digest not in listed or job.target.manifest_descriptor(item.digest) is None
    ]
    tally = sum((_copy_blobs_and_children(job, item) for item in missing), Tally())
    if missing and not job.options.dry_run:
        try:
            put_referrers(job.target, missing)
        except MissingBlobs:
            for item in missing:
                _put(job, item, None)
    return tally


def label(blob: Descriptor) -> str:
    """A blob's name in progress displays."""
    kind = (
        "config" if "config" in blob.media_type or "image.v1+json" in blob.media_type else "layer"
    )
    return f"{kind} {blob.digest.partition(':')[2][:12]}"
