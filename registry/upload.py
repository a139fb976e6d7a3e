"""Sending blobs (OCI distribution spec v1.1, "Pushing Blobs").

A blob goes up in one PUT of known length, or, where a proxy limits request bodies, in PATCHes
closed by an *empty* PUT. Never otherwise: Harbor takes a blob's size from the Content-Length of
the PUT, so a last piece in it, or none at all, leaves a wrong size in its books for good.

A PATCH that breaks is taken up where the registry says it ended, if it still knows the upload;
distribution 2.8, and so Harbor, forgets it, and the blob starts over.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from registry.answers import Answer, quota_exceeded
from registry.blobs import Chunk, OpenChunks, verified
from registry.challenge import Permission
from registry.errors import CorruptContent, ImgctlError, RegistryError
from registry.http import ConnectionLost
from registry.oci import Descriptor
from registry.retry import RETRIED
from registry.session import Call, Session
from registry.url import Url

DEFAULT_CHUNK = 64 << 20  # bytes; below the limit of the proxies that have one by default
_SMALLEST_CHUNK = 64 << 10
# An object store may take minutes to put a large blob together; Harbor's nginx waits as long.
_COMMIT_TIMEOUT = 900.0
_LOST_UPLOAD = ("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID")
_WRONG_CONTENT = ("DIGEST_INVALID", "SIZE_INVALID")
# From the second connection lost in one PUT on, a proxy may be cutting off what it finds too long.
_LOSSES_BEFORE_CHUNKS = 2


@dataclass(frozen=True)
class Blob:
    """What to send where: to a repository, with the permissions that takes."""

    repository: str
    descriptor: Descriptor
    open_chunks: OpenChunks
    needs: frozenset[Permission]
    also: frozenset[Permission] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended: the last call, its answer or the lost connection, and the size in
    bytes of its body."""

    call: Call
    answer: Answer | None
    lost: ConnectionLost | None = None
    body: int = 0

    @property
    def done(self) -> bool:
        """Whether the registry has the blob."""
        return self.answer is not None and self.answer.ok

    @property
    def trouble(self) -> str:
        """What went wrong, in a few words."""
        if self.lost is not None:
            return self.lost.what
        return f"an upload was answered {self.answer.status}" if self.answer else ""

    @property
    def may_have_arrived(self) -> bool:
        """Whether the blob may be there although nobody said so."""
        gone = self.answer is not None and self.answer.status in (404, *RETRIED)
        return self.call.method == "PUT" and (self.lost is not None or gone)

    @property
    def may_go_on(self) -> bool:
        """Whether the registry may have kept what came before, and part of this piece."""
        if self.call.method != "PATCH" or not self.body:
            return False
        return self.answer is None or self.answer.status in RETRIED

    @property
    def may_start_over(self) -> bool:
        """Whether the same again from the start has a chance."""
        if self.answer is None:
            return True
        lost = self.answer.has(*_LOST_UPLOAD) or self.answer.status in (404, 416)
        return lost or self.answer.status in RETRIED


@dataclass(frozen=True)
class _Begun:
    """An upload under way: where it goes on, and how many bytes the registry has of it."""

    location: Url
    size: int = 0


class Uploads:
    """Uploads to one host, which remember the largest body its proxies take. Safe for threads."""

    def __init__(self, session: Session, max_request_body: int | None = None) -> None:
        self._session = session
        self._limit = max_request_body
        self._lock = threading.Lock()
        self._begun: dict[tuple[str, str], Url] = {}

    @property
    def limit(self) -> int | None:
        """The largest request body in bytes, where one is set or was met."""
        return self._limit

    def mount(
        self,
        repository: str,
        descriptor: Descriptor,
        source: str,
        needs: frozenset[Permission],
        also: frozenset[Permission] = frozenset(),
    ) -> bool:
        """Link a blob from another repository of this host; whether that was done.

        A registry that begins an upload instead gets the blob there when it is pushed. A refusal
        means no more than that the blob has to be sent; but what a mount has no room for, sending
        has not either, and Harbor would say so only after the last byte: raises Refused.
        """
        query = f"mount={quote(descriptor.digest)}&from={quote(source, safe='/')}"
        target = f"/v2/{repository}/blobs/uploads/?{query}"
        call = Call("POST", target, f"push to {self._session.host}/{repository}", needs, also)
        try:
            answer = self._session.call(call)
        except ImgctlError:
            return False
        if answer.status == 202 and "location" in answer.headers:
            with self._lock:
                key = (repository, descriptor.digest)
                self._begun[key] = self._session.locate(answer.headers["location"], answer.url)
        if quota_exceeded(answer):
            raise self._session.error(call, answer)
        return answer.status == 201

    def push(self, blob: Blob) -> None:
        """Send a blob; start it over when the upload breaks, as often as the policy allows.

        Raises CorruptContent when the source does not yield what the descriptor says, and the
        registry's own error when it refuses.
        """
        attempt, losses, refreshed = 1, 0, False
        while True:
            outcome = self._attempt(blob)
            answer = outcome.answer
            if outcome.done or (outcome.may_have_arrived and self._arrived(blob)):
                return
            if answer is None:
                losses += 1
                if losses >= _LOSSES_BEFORE_CHUNKS and outcome.body > DEFAULT_CHUNK:
                    self._lower(outcome.body)
            elif answer.status == 413 and self._lower(outcome.body):
                continue
            elif answer.has(*_WRONG_CONTENT):
                self._check_source(blob)
            elif answer.status == 401 and not refreshed:
                refreshed = True  # the token ran out on the way; the next attempt gets a new one
            elif not outcome.may_start_over:
                raise self._failure(outcome)
            if attempt >= self._session.policy.attempts:
                raise self._failure(outcome)
            retry_after = answer.headers.get("retry-after") if answer else None
            self._session.wait(attempt, retry_after, outcome.trouble)
            attempt += 1

    def _failure(self, outcome: Outcome) -> ImgctlError:
        if outcome.answer is not None:
            return self._session.error(outcome.call, outcome.answer)
        return outcome.lost or ConnectionLost(f"the connection to {self._session.host} broke")

    def _attempt(self, blob: Blob) -> Outcome:
        with self._lock:
            location = self._begun.pop((blob.repository, blob.descriptor.digest), None)
        smallest = 0
        if location is None:
            answer = self._session.expect(
                self._call(blob, "POST", f"/v2/{blob.repository}/blobs/uploads/"), 202
            )
            location = self._location(answer)
            stated = answer.headers.get("oci-chunk-min-length", "")
            smallest = int(stated) if stated.isdigit() else 0
        size, limit = blob.descriptor.size, self._limit
        if limit is None or size <= limit:
            with blob.open_chunks() as chunks:
                return self._put(blob, location, _exactly(chunks, blob.descriptor), size)
        return self._patches(blob, location, max(limit, smallest))

    def _patches(self, blob: Blob, location: Url, chunk: int) -> Outcome:
        """Send pieces of chunk bytes one after the other, then the empty PUT."""
        begun, failures = _Begun(location), 0
        while True:
            outcome, reached = self._pieces(blob, begun, chunk)
            if outcome is None:
                return self._put(blob, reached.location, iter(()), 0)
            failures = failures + 1 if reached.size == begun.size else 1
            if not outcome.may_go_on or failures >= self._session.policy.attempts:
                return outcome
            self._session.wait(failures, why=outcome.trouble)
            kept = self._kept(blob, reached)
            if kept is None:
                return outcome
            begun = kept

    def _pieces(self, blob: Blob, begun: _Begun, chunk: int) -> tuple[Outcome | None, _Begun]:
        """Send what is missing; how the piece that failed ended, if one did, and how far it got."""
        size, sent, location = blob.descriptor.size, begun.size, begun.location
        with blob.open_chunks() as chunks:
            source = _Pieces(_exactly(chunks, blob.descriptor))
            source.skip(sent)
            while sent < size:
                length = min(chunk, size - sent)
                headers = {"Content-Range": f"{sent}-{sent + length - 1}"}
                outcome = self._send(blob, "PATCH", location, source.take(length), length, headers)
                answer = outcome.answer
                if answer is None or not answer.ok:
                    return outcome, _Begun(location, sent)
                sent += length
                if _stored(answer, sent) != sent:
                    # Distribution 2.8 appends whatever comes; only a fresh upload mends that.
                    what = f"{self._session.host} lost part of an upload"
                    lost = ConnectionLost(what, f"range {answer.headers.get('range')}")
                    return Outcome(outcome.call, None, lost), _Begun(location, sent)
                location = self._location(answer)
            source.end()
        return None, _Begun(location, sent)

    def _kept(self, blob: Blob, reached: _Begun) -> _Begun | None:
        """What the registry still has of an upload after a broken piece; None if it is no use."""
        try:
            answer = self._session.call(self._call(blob, "GET", reached.location))
        except ImgctlError:
            return None
        size = _stored(answer, -1)
        if size == 1:
            size = 0  # an empty upload is 0-0 too
        if answer.status != 204 or not reached.size <= size <= blob.descriptor.size:
            return None
        location = answer.headers.get("location")
        return _Begun(self._location(answer) if location else reached.location, size)

    def _put(self, blob: Blob, location: Url, body: Iterator[Chunk], length: int) -> Outcome:
        url = location.with_query("digest=" + quote(blob.descriptor.digest, safe=""))
        return self._send(blob, "PUT", url, body, length, {})

    def _send(
        self,
        blob: Blob,
        method: str,
        url: Url,
        body: Iterator[Chunk],
        length: int,
        headers: dict[str, str],
    ) -> Outcome:
        sized = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(length),
            **headers,
        }
        call = self._call(blob, method, url, sized, body if length else b"")
        try:
            return Outcome(call, self._session.call_once(call), None, length)
        except ConnectionLost as lost:
            return Outcome(call, None, lost, length)

    def _call(
        self,
        blob: Blob,
        method: str,
        target: str | Url,
        headers: dict[str, str] | None = None,
        body: Iterator[Chunk] | bytes | None = None,
    ) -> Call:
        doing = f"push to {self._session.host}/{blob.repository}"
        return Call(
            method, target, doing, blob.needs, blob.also, headers or {}, body, _COMMIT_TIMEOUT
        )

    def _location(self, answer: Answer) -> Url:
        location = answer.headers.get("location")
        if not location:
            raise RegistryError(
                f"{self._session.host} began an upload without saying where", answer.url.target
            )
        return self._session.locate(location, answer.url)

    def _arrived(self, blob: Blob) -> bool:
        target = f"/v2/{blob.repository}/blobs/{blob.descriptor.digest}"
        return self._session.call(self._call(blob, "HEAD", target)).status == 200

    def _lower(self, refused: int) -> bool:
        """Remember that a body of so many bytes is too large; False when it cannot be smaller."""
        with self._lock:
            if self._limit is None or self._limit >= refused:
                smaller = min(DEFAULT_CHUNK, refused // 2)
                if smaller < _SMALLEST_CHUNK:
                    return False
                self._limit = smaller
            return True

    def _check_source(self, blob: Blob) -> None:
        """The registry found other content than announced: raise if it is the source's fault."""
        with blob.open_chunks() as chunks:
            for _ in verified(chunks, blob.descriptor, "its source"):
                pass


class _Pieces:
    """An iterator of chunks, handed out in pieces of given lengths."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._rest: Chunk = b""

    def take(self, length: int) -> Iterator[Chunk]:
        """The next length bytes."""
        while length > 0:
            chunk = self._rest or next(self._chunks)
            self._rest = chunk[length:]
            chunk = chunk[:length]
            length -= len(chunk)
            yield chunk

    def skip(self, length: int) -> None:
        """Pass over the next length bytes."""
        for _ in self.take(length):
            pass

    def end(self) -> None:
        """Run the source to its end, where it checks itself."""
        for _ in self._chunks:
            pass


def _exactly(chunks: Iterator[Chunk], descriptor: Descriptor) -> Iterator[Chunk]:
    """Pass chunks on; raises CorruptContent when they are more or fewer than announced."""
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > descriptor.size:
            break
        if chunk:
            yield chunk
    if length != descriptor.size:
        held = f"more than {descriptor.size}" if length > descriptor.size else str(length)
        raise CorruptContent(
            f"blob {descriptor.digest} has the wrong size",
            f"its source holds {held} bytes, {descriptor.size} were announced",
        )


def _stored(answer: Answer, otherwise: int) -> int:
    """How many bytes the registry says it has, from `Range: 0-N`; otherwise where it is silent."""
    match = re.search(r"0-(\d+)$", answer.headers.get("range", "").strip())
    return int(match[1]) + 1 if match else otherwise
