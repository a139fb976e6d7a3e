"""One repository on one registry: manifests, blobs, tags, referrers."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from registry.answers import Answer, project_missing
from registry.auth import Permission
from registry.blobs import OpenChunks, check_limit, check_size, missing_blob, verified
from registry.errors import CorruptContent, NotFound
from registry.http import ConnectionLost, Reply
from registry.oci import ACCEPT, Descriptor, Document, digest_of, read_from
from registry.reference import is_digest
from registry.referrers import read_referrers, write_fallback
from registry.session import Call, Session, read_answer
from registry.upload import Blob, Uploads
from registry.url import Url

_TAGS_PER_PAGE = 1000
_LINK = re.compile(r"<([^>]*)>([^<]*)")
_NEXT = re.compile(r';\s*rel\s*=\s*"?next\b', re.IGNORECASE)


class Repository:
    """Implements registry.store.Store against a registry. Methods may be called by any thread."""

    def __init__(
        self,
        session: Session,
        uploads: Uploads,
        name: str,
        also: frozenset[Permission] = frozenset(),
    ) -> None:
        """also: permissions to ask for together with those each request needs."""
        self.host = session.host
        self.name = name
        self.lists_by_tag = False
        """Whether referrers were found to be listed under a tag, for want of an API."""
        self._session = session
        self._uploads = uploads
        self._pull = frozenset({Permission(name, "pull")})
        self._push = self._pull | {Permission(name, "push")}
        self._also = also

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    def manifest(self, reference: str) -> Document:
        """The manifest or index at a tag or digest, its bytes checked against the digest.

        Raises NotFound, Unauthorized, or CorruptContent when the bytes are not what they should be.
        """
        answer = self._session.expect(self._manifest_call("GET", reference), 200)
        stated = answer.headers.get("docker-content-digest", "")
        wanted = reference if is_digest(reference) else stated
        if is_digest(wanted) and digest_of(answer.body, wanted) != wanted:
            raise CorruptContent(
                f"the manifest {self._at(reference)} does not match its digest",
                f"its {len(answer.body)} bytes hash to {digest_of(answer.body, wanted)}, "
                f"not {wanted}",
            )
        if answer.is_html:
            answer.json()  # raises: a web page is not a manifest, and says more than bad JSON
        with read_from(self._at(reference)):
            return Document.parse(answer.body, answer.headers.get("content-type", ""))

    def manifest_descriptor(self, reference: str) -> Descriptor | None:
        """Type, digest and size of a manifest, by HEAD; None when it is not there.

        Raises NotFound when Harbor says that the whole project is missing.
        """
        call = self._manifest_call("HEAD", reference)
        answer = self._session.call(call)
        if answer.status == 404:
            return None
        if answer.status not in (200, 405):
            raise self._session.error(call, answer)
        digest = answer.headers.get("docker-content-digest", "")
        if is_digest(reference) and digest in ("", reference):
            digest = reference
        size = answer.headers.get("content-length", "")
        kind = answer.headers.get("content-type", "").split(";")[0].strip()
        if answer.status == 200 and is_digest(digest) and size.isdigit() and kind:
            return Descriptor(kind, digest, int(size))
        try:
            return self.manifest(reference).descriptor
        except NotFound:
            return None

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        """Store a document under a tag, or under its digest when reference is None.

        Where the registry keeps no referrers itself, the fall-back tag of the document's subject
        is written too. Raises MissingBlobs when blobs it names are not in this repository.
        """
        subject = document.subject
        if self._put(document, reference) and subject is not None:
            write_fallback(self, [document], subject.digest)

    def put_referrers(self, documents: Sequence[Document]) -> None:
        """Store documents that refer to one subject under their digests; where the registry keeps
        no list of them, that is written once. Raises MissingBlobs as put_manifest does."""
        unlisted = [document for document in documents if self._put(document, None)]
        subjects = {item.subject.digest for item in unlisted if item.subject is not None}
        for digest in subjects:
            ours = [item for item in unlisted if item.subject and item.subject.digest == digest]
            write_fallback(self, ours, digest)

    def _put(self, document: Document, reference: str | None) -> bool:
        """Store a document; whether it has a subject of which the registry keeps no list."""
        call = self._call(
            "PUT",
            f"manifests/{reference or document.digest}",
            f"push {self._at(reference or document.digest)}",
            self._push,
            {"Content-Type": document.media_type},
            document.raw,
        )
        answer = self._session.call(call)
        if answer.status == 412 and reference and self._names(reference, document):
            # Harbor refuses an immutable tag even what it names already: a reply that was lost,
            # or another push of the same image, came first.
            return False
        if answer.status not in (200, 201, 202):
            raise self._session.error(call, answer)
        stated = answer.headers.get("docker-content-digest", "")
        if is_digest(stated) and stated != digest_of(document.raw, stated):
            raise CorruptContent(
                f"{self.host} stored {self._at(reference or document.digest)} as something else",
                f"it answers with {stated}, not {document.digest}",
            )
        return document.subject is not None and "oci-subject" not in answer.headers

    def delete_manifest(self, digest: str) -> None:
        """Delete a manifest by digest, and with it every tag on it; NotFound when it is not there.

        Raises RegistryError when the registry does not allow deletion.
        """
        needs = self._pull | {Permission(self.name, "delete")}
        doing = f"delete {self._at(digest)}"
        call = self._call("DELETE", f"manifests/{digest}", doing, needs)
        self._session.expect(call, 202, 200, 204)

    def blob_exists(self, digest: str) -> bool:
        """Whether this repository holds the blob."""
        call = self._call("HEAD", f"blobs/{digest}", f"look for blobs in {self}")
        answer = self._session.call(call)
        if answer.status == 404:
            return False
        if answer.status != 200:
            raise self._session.error(call, answer)
        return True

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """The blob's chunks, length and digest checked before the last one is handed out.

        A body that breaks off is taken up where it ended. Raises NotFound, CorruptContent.
        """
        call = self._blob_call(descriptor)
        reply = self._session.open(call)
        if reply.status != 200:
            answer = read_answer(reply)
            if answer.status == 404 and not answer.is_html and project_missing(answer) is None:
                raise missing_blob(descriptor, str(self))
            raise self._session.error(call, answer)
        length = reply.headers.get("content-length", "")
        body = self._resumed(descriptor, reply)
        try:
            if length.isdigit():
                check_size(descriptor, int(length), str(self))
            yield verified(body, descriptor, str(self))
        finally:
            body.close()
            reply.close()

    def blob_bytes(self, descriptor: Descriptor, limit: int = 4 << 20) -> bytes:
        """The whole of a small blob; CorruptContent when it is wrong or larger than limit bytes."""
        check_limit(descriptor, limit, str(self))
        with self.open_blob(descriptor) as chunks:
            return b"".join(chunks)

    def mount_blob(self, descriptor: Descriptor, source_repository: str) -> bool:
        """Have the registry link a blob from another of its repositories; whether it did.

        When it did not, push_blob goes on with the upload the registry may have begun instead.
        Never raises for a registry's refusal: a mount is only a short cut.
        """
        needs = self._push | {Permission(source_repository, "pull")}
        return self._uploads.mount(self.name, descriptor, source_repository, needs, self._also)

    def push_blob(self, descriptor: Descriptor, open_chunks: OpenChunks) -> None:
        """Send a blob, starting over as often as the retry policy allows.

        Raises CorruptContent when open_chunks yields other bytes than descriptor's.
        """
        self._uploads.push(Blob(self.name, descriptor, open_chunks, self._push, self._also))

    def tags(self) -> list[str]:
        """Every tag, page by page, in the registry's order; NotFound for an unknown repository."""
        call = self._call("GET", f"tags/list?n={_TAGS_PER_PAGE}", f"list the tags of {self}")
        found: dict[str, None] = {}
        for page in self._pages(call, 200):
            value = page.json()
            names = value.get("tags") if isinstance(value, dict) else None
            before = len(found)
            found.update((tag, None) for tag in names or [] if isinstance(tag, str))
            if len(found) == before:
                break
        return list(found)

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """Manifests whose `subject` is digest, by the referrers API or else the fall-back tag."""
        return read_referrers(self, digest, artifact_type)

    def keeps_referrers(self, digest: str) -> bool:
        """Whether the registry has the referrers API; else a tag stands in for it."""
        return next(self.referrers_pages(digest)).status == 200

    def referrers_pages(self, digest: str) -> Iterator[Answer]:
        """The answers of the referrers API; a single one of another status where there is none."""
        call = self._call("GET", f"referrers/{digest}", f"list what refers to {digest}")
        return self._pages(call, 200, 400, 404, 405, 406, 501)

    def _pages(self, call: Call, *statuses: int) -> Iterator[Answer]:
        """Follow `Link: …; rel="next"`, on this host only, until there is none or it repeats."""
        seen: set[str] = set()
        target: str | Url | None = call.target
        while target is not None and str(target) not in seen:
            seen.add(str(target))
            answer = self._session.expect(replace(call, target=target), *statuses)
            yield answer
            following = next_link(answer.headers.get("link", ""))
            target = answer.url.at(answer.url.follow(following).target) if following else None

    def _call(
        self,
        method: str,
        path: str,
        doing: str,
        needs: frozenset[Permission] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Call:
        """A call to a path below this repository, with the right to pull unless told otherwise."""
        target = f"/v2/{self.name}/{path}"
        return Call(method, target, doing, needs or self._pull, self._also, headers or {}, body)

    def _manifest_call(self, method: str, reference: str) -> Call:
        doing = f"read {self._at(reference)}"
        return self._call(method, f"manifests/{reference}", doing, headers={"Accept": ACCEPT})

    def _blob_call(self, descriptor: Descriptor, start: int = 0) -> Call:
        doing = f"read blob {descriptor.digest} from {self}"
        headers = {"Range": f"bytes={start}-{descriptor.size - 1}"} if start else {}
        return self._call("GET", f"blobs/{descriptor.digest}", doing, headers=headers)

    def _resumed(self, descriptor: Descriptor, reply: Reply) -> Generator[bytes, None, None]:
        """The body's chunks; when it breaks off, the rest by Range requests.

        Attempts count anew whenever bytes have come, so that a poor link gets there in the end.
        """
        position, failures = 0, 0
        policy = self._session.policy
        try:
            while True:
                try:
                    for chunk in reply.chunks():
                        position, failures = position + len(chunk), 0
                        yield chunk
                    return
                except ConnectionLost as error:
                    failures, why = failures + 1, error.what
                    if failures >= policy.attempts or position >= descriptor.size:
                        raise
                reply.close()
                self._session.wait(failures, why=why)
                reply = self._continue_at(descriptor, position)
        finally:
            reply.close()

    def _continue_at(self, descriptor: Descriptor, position: int) -> Reply:
        """Open the blob again at a position; a registry without ranges sends it from the start."""
        call = self._blob_call(descriptor, position)
        reply = self._session.open(call)
        if position and reply.status == 200:
            reply.skip(position)
        elif (
            position and not reply.headers.get("content-range", "").startswith(f"bytes {position}-")
        ) or reply.status not in (200, 206):
            raise self._session.error(call, read_answer(reply))
        return reply

    def _names(self, reference: str, document: Document) -> bool:
        answer = self._session.call(self._manifest_call("HEAD", reference))
        return answer.ok and answer.headers.get("docker-content-digest") == document.digest

    def _at(self, reference: str) -> str:
        return f"{self}{'@' if is_digest(reference) else ':'}{reference}"


def next_link(header: str) -> str | None:
    """The target of `rel="next"` in a Link header (RFC 8288); Harbor leaves it un-escaped."""
    for target, parameters in _LINK.findall(header):
        if _NEXT.search(parameters):
            return str(target).strip()
    return None
