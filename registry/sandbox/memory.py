"""An OCI registry kept in memory, for the demo and the tests.

Speaks the OCI distribution spec v1.1 and behaves as distribution 2.8 does where the spec leaves
room, so that a client that works here works there: uploads are appended whatever Content-Range
says, a POST does not take the blob along, tags are not deleted, and a manifest in a format the
client does not accept is not found. Referrers, which distribution 2.8 lacks, can be switched off.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from registry.errors import CorruptContent
from registry.oci import INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, Document, digest_of
from registry.reference import is_digest, is_tag
from registry.sandbox.replies import Problem, reply
from registry.sandbox.uploads import Upload, Uploads

_NAME = r"(?P<name>[a-z0-9]+(?:[/._-]+[a-z0-9]+)*)"
_PATHS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"/v2/", "base"),
        (r"/v2/_catalog", "catalog"),
        (rf"/v2/{_NAME}/tags/list", "tags"),
        (rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "manifest"),
        (rf"/v2/{_NAME}/blobs/uploads/", "uploads"),
        (rf"/v2/{_NAME}/blobs/uploads/(?P<identity>[^/]+)", "upload"),
        (rf"/v2/{_NAME}/blobs/(?P<digest>[^/]+)", "blob"),
        (rf"/v2/{_NAME}/referrers/(?P<digest>[^/]+)", "referrers"),
    )
)
_MANIFEST_LIMIT = 4 << 20  # bytes

Handler = Callable[[Request, dict[str, str]], Awaitable[Response]]


@dataclass
class Contents:
    """One repository: the blobs linked into it, its manifests by digest, its tags."""

    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, Document] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class MemoryRegistry:
    """An ASGI application. credentials: user name and password it wants as Basic; None for none.

    blobs: every blob's bytes by digest. repositories: what each repository holds. Both may be
    looked at from outside while nothing is being sent.
    """

    def __init__(
        self,
        *,
        credentials: tuple[str, str] | None = None,
        referrers: bool = True,
        read_only: bool = False,
    ) -> None:
        self.blobs: dict[str, bytes] = {}
        self.repositories: dict[str, Contents] = {}
        self._credentials = credentials
        self._read_only = read_only
        self._uploads = Uploads()
        self._handlers: dict[tuple[str, str], Handler] = {
            ("base", "GET"): self._base,
            ("catalog", "GET"): self._catalog,
            ("tags", "GET"): self._tags,
            ("manifest", "GET"): self._get_manifest,
            ("manifest", "PUT"): self._put_manifest,
            ("manifest", "DELETE"): self._delete_manifest,
            ("uploads", "POST"): self._begin,
            ("upload", "GET"): self._upload_state,
            ("upload", "PATCH"): self._patch,
            ("upload", "PUT"): self._finish,
            ("upload", "DELETE"): self._cancel,
            ("blob", "GET"): self._get_blob,
            ("blob", "DELETE"): self._delete_blob,
        }
        if referrers:
            self._handlers[("referrers", "GET")] = self._referrers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except Problem as problem:
            response = problem.response()
        except ClientDisconnect:
            return  # nobody is left to answer
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        self._check_login(request)
        for pattern, kind in _PATHS:
            match = pattern.fullmatch(request.url.path)
            if match is None:
                continue
            method = "GET" if request.method == "HEAD" else request.method
            handler = self._handlers.get((kind, method))
            if handler is None:
                known = any(name == kind for name, _ in self._handlers)
                return Response(status_code=405 if known else 404)
            if self._read_only and method != "GET":
                raise Problem(405, "UNSUPPORTED", "The operation is unsupported.")
            return await handler(request, match.groupdict())
        return Response("404 page not found\n", 404, media_type="text/plain")

    def _check_login(self, request: Request) -> None:
        if self._credentials is None:
            return
        wanted = base64.b64encode(":".join(self._credentials).encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            challenge = {"WWW-Authenticate": 'Basic realm="sandbox"'}
            raise Problem(401, "UNAUTHORIZED", "authentication required", headers=challenge)

    def _contents(self, name: str) -> Contents:
        """A repository that is there; raises Problem."""
        found = self.repositories.get(name)
        if found is None:
            message = "repository name not known to registry"
            raise Problem(404, "NAME_UNKNOWN", message, {"name": name})
        return found

    async def _base(self, request: Request, path: dict[str, str]) -> Response:
        return reply(200, {})

    async def _catalog(self, request: Request, path: dict[str, str]) -> Response:
        names, headers = _page(request, sorted(self.repositories), "/v2/_catalog")
        return reply(200, {"repositories": names}, headers)

    async def _tags(self, request: Request, path: dict[str, str]) -> Response:
        name = path["name"]
        tags, headers = _page(request, sorted(self._contents(name).tags), f"/v2/{name}/tags/list")
        return reply(200, {"name": name, "tags": tags}, headers)

    async def _get_manifest(self, request: Request, path: dict[str, str]) -> Response:
        contents, reference = self._contents(path["name"]), path["reference"]
        document = contents.manifests.get(contents.tags.get(reference, reference))
        if document is None:
            raise Problem(404, "MANIFEST_UNKNOWN", "manifest unknown", {"Tag": reference})
        accepted = ",".join(request.headers.getlist("accept"))
        if document.media_type.startswith("application/vnd.oci") and not any(
            kind in accepted for kind in (document.media_type, "*/*")
        ):
            kind = "index" if document.is_index else "manifest"
            message = f"OCI {kind} found, but accept header does not support OCI {kind}s"
            raise Problem(404, "MANIFEST_UNKNOWN", message)
        etag = f'"{document.digest}"'
        headers = {"Docker-Content-Digest": document.digest, "ETag": etag}
        if request.headers.get("if-none-match") in (etag, document.digest):
            return Response(status_code=304, headers=headers)
        return Response(document.raw, headers=headers | {"Content-Type": document.media_type})

    async def _put_manifest(self, request: Request, path: dict[str, str]) -> Response:
        name, reference = path["name"], path["reference"]
        document = await self._read_manifest(request)
        if not is_digest(reference) and not is_tag(reference):
            raise Problem(400, "TAG_INVALID", "manifest tag did not match URI", reference)
        if is_digest(reference) and digest_of(document.raw, reference) != reference:
            raise Problem(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        contents = self.repositories.setdefault(name, Contents())
        _check_complete(contents, document)
        contents.manifests[document.digest] = document
        if not is_digest(reference):
            contents.tags[reference] = document.digest
        headers = {
            "Docker-Content-Digest": document.digest,
            "Location": f"{_base_url(request)}/v2/{name}/manifests/{document.digest}",
        }
        if document.subject is not None and ("referrers", "GET") in self._handlers:
            headers["OCI-Subject"] = document.subject.digest
        return Response(status_code=201, headers=headers)

    async def _read_manifest(self, request: Request) -> Document:
        raw = await request.body()
        if len(raw) > _MANIFEST_LIMIT:
            raise Problem(413, "SIZE_INVALID", "manifest too large")
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        try:
            document = Document.parse(raw, kind)
        except CorruptContent as error:
            raise Problem(400, "MANIFEST_INVALID", "manifest invalid", str(error)) from error
        if kind not in (*MANIFEST_TYPES, *INDEX_TYPES) or kind != document.media_type:
            message = f"unrecognized manifest content type {kind}"
            raise Problem(400, "MANIFEST_INVALID", "manifest invalid", message)
        return document

    async def _delete_manifest(self, request: Request, path: dict[str, str]) -> Response:
        contents, digest = self._contents(path["name"]), path["reference"]
        if not is_digest(digest):
            raise Problem(400, "UNSUPPORTED", "The operation is unsupported.")
        if contents.manifests.pop(digest, None) is None:
            raise Problem(404, "MANIFEST_UNKNOWN", "unknown manifest")
        for tag in [tag for tag, named in contents.tags.items() if named == digest]:
            del contents.tags[tag]
        return Response(status_code=202)

    async def _begin(self, request: Request, path: dict[str, str]) -> Response:
        name, query = path["name"], request.query_params
        digest, source = query.get("mount", ""), query.get("from", "")
        if digest and source:
            held = self.repositories.get(source, Contents()).blobs
            if digest in held and digest in self.blobs:
                self._link(name, digest)
                return _created(request, name, digest)
        return self._accepted(request, self._uploads.begin(name))

    async def _upload_state(self, request: Request, path: dict[str, str]) -> Response:
        response = self._accepted(request, self._find(request, path))
        response.status_code = 204
        del response.headers["content-length"]
        return response

    async def _patch(self, request: Request, path: dict[str, str]) -> Response:
        upload = self._find(request, path)
        await _receive(request, upload)
        return self._accepted(request, upload)

    async def _finish(self, request: Request, path: dict[str, str]) -> Response:
        name, digest = path["name"], request.query_params.get("digest", "")
        upload = self._find(request, path)
        if not is_digest(digest):
            raise Problem(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        await _receive(request, upload)
        self._uploads.end(upload)
        self.blobs[digest] = upload.content(digest)
        self._link(name, digest)
        return _created(request, name, digest)

    async def _cancel(self, request: Request, path: dict[str, str]) -> Response:
        self._uploads.end(self._find(request, path))
        return Response(status_code=204)

    async def _get_blob(self, request: Request, path: dict[str, str]) -> Response:
        digest = path["digest"]
        if digest not in self._contents(path["name"]).blobs or digest not in self.blobs:
            raise Problem(404, "BLOB_UNKNOWN", "blob unknown to registry", digest)
        data = self.blobs[digest]
        headers = {
            "Docker-Content-Digest": digest,
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "ETag": f'"{digest}"',
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if asked is None:
            return Response(data, headers=headers)
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        if first > last:
            headers["Content-Range"] = f"bytes */{len(data)}"
            return Response(status_code=416, headers=headers)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return Response(data[first : last + 1], 206, headers)

    async def _delete_blob(self, request: Request, path: dict[str, str]) -> Response:
        contents = self._contents(path["name"])
        if path["digest"] not in contents.blobs:
            raise Problem(404, "BLOB_UNKNOWN", "blob unknown to registry", path["digest"])
        contents.blobs.discard(path["digest"])
        return Response(status_code=202)

    async def _referrers(self, request: Request, path: dict[str, str]) -> Response:
        if not is_digest(path["digest"]):
            raise Problem(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        wanted = request.query_params.get("artifactType")
        contents = self.repositories.get(path["name"], Contents())
        found = [
            referrer
            for document in contents.manifests.values()
            if document.subject is not None and document.subject.digest == path["digest"]
            for referrer in [referrer_entry(document)]
            if wanted in (None, referrer["artifactType"])
        ]
        headers = {"Content-Type": OCI_INDEX}
        if wanted:
            headers["OCI-Filters-Applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        return reply(200, index, headers)

    def _find(self, request: Request, path: dict[str, str]) -> Upload:
        state = request.query_params.get("_state", "")
        return self._uploads.find(path["name"], path["identity"], state)

    def _link(self, name: str, digest: str) -> None:
        self.repositories.setdefault(name, Contents()).blobs.add(digest)

    def _accepted(self, request: Request, upload: Upload) -> Response:
        state = quote(self._uploads.state(upload))
        path = f"/v2/{upload.repository}/blobs/uploads/{upload.identity}"
        headers = {
            "Location": f"{_base_url(request)}{path}?_state={state}",
            "Docker-Upload-UUID": upload.identity,
            "Range": upload.range,
        }
        return Response(status_code=202, headers=headers)


def referrer_entry(document: Document) -> dict[str, object]:
    """How a manifest appears in the list of those that refer to its subject (spec v1.1)."""
    kind = document.value.get("artifactType")
    if not kind and not document.is_index:
        kind = document.config.media_type
    entry = document.descriptor.to_json() | {"artifactType": kind or ""}
    return entry | {"annotations": document.annotations} if document.annotations else entry


async def _receive(request: Request, upload: Upload) -> None:
    """Append the body; one that breaks off after its first byte spoils the session for good."""
    before = upload.size
    try:
        async for chunk in request.stream():
            upload.append(chunk)
    except ClientDisconnect:
        upload.broken = upload.size > before
        raise


def _check_complete(contents: Contents, document: Document) -> None:
    """Every blob and child must be in the repository before what names them."""
    needed = [blob for blob in document.blobs() if not blob.is_foreign]
    missing = [blob.digest for blob in needed if blob.digest not in contents.blobs]
    missing += [item.digest for item in document.manifests if item.digest not in contents.manifests]
    if missing:
        message = "blob unknown to registry"
        raise Problem(400, "MANIFEST_BLOB_UNKNOWN", message, missing[0])


def _created(request: Request, name: str, digest: str) -> Response:
    headers = {
        "Location": f"{_base_url(request)}/v2/{name}/blobs/{digest}",
        "Docker-Content-Digest": digest,
    }
    return Response(status_code=201, headers=headers)


def _base_url(request: Request) -> str:
    """Our own address as the client sees it, by what proxies say of the request."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return f"{scheme}://{host}"


def _page(request: Request, names: list[str], path: str) -> tuple[list[str], dict[str, str]]:
    """A page of a sorted list by `n` and `last`, with the Link to the next one."""
    last = unquote(request.query_params.get("last", ""))
    rest = [name for name in names if name > last]
    size = request.query_params.get("n", "")
    if not size.isdigit() or len(rest) <= int(size) or int(size) == 0:
        return rest, {}
    page = rest[: int(size)]
    query = f"last={quote(page[-1], safe='')}&n={size}"
    return page, {"Link": f'<{path}?{query}>; rel="next"'}
