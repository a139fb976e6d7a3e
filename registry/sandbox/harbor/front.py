"""The front door of the double's /v2/: who may, which project, quota, immutable tags.

What passes goes on to the storage, and what the storage says comes back. Tags are Harbor's own:
the storage is only ever asked for digests.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.errors import CorruptContent
from registry.oci import OCI_INDEX, Document
from registry.reference import is_digest, is_tag
from registry.sandbox.harbor import access, storage
from registry.sandbox.harbor.access import Caller
from registry.sandbox.harbor.refusals import check_deletable, check_pullable, check_room
from registry.sandbox.harbor.state import Artifact, HarborState, Project, Repository, Tag, now
from registry.sandbox.memory import referrer_entry
from registry.sandbox.replies import Problem, reply

_NAME = r"(?P<name>[a-z0-9]+(?:[/._-]+[a-z0-9]+)*)"
_REPOSITORY = re.compile(
    rf"/v2/{_NAME}/(?P<kind>tags/list|manifests|blobs|referrers)(?P<rest>/.*)?"
)
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_MANIFEST_LIMIT = 4 << 20  # bytes
_REFERRERS = (2, 8)  # what came before has neither the API nor OCI-Subject
_GOOD_REFERRERS = (2, 16)  # what came before takes a config's type for an artifact's

Hook = Callable[[Response | Message], Awaitable[None]]


class FrontDoor:
    """An ASGI application for /v2/ before another that keeps the content."""

    def __init__(self, state: HarborState, behind: ASGIApp) -> None:
        self._state = state
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; raises Problem for what is refused."""
        request = Request(scope, receive)
        caller = self._caller(request)
        path = request.url.path
        if path == "/v2/":
            if caller.anonymous:
                raise self._unauthorized(request, "unauthorized")
            await reply(200, {})(scope, receive, send)
            return
        if path == "/v2/_catalog":
            self._check_catalog(request, caller)
            await self._behind(scope, receive, send)
            return
        match = _REPOSITORY.fullmatch(path)
        if match is None:
            raise self._unauthorized(request, f"un-recognized request: {request.method} {path}")
        name, kind, rest = match["name"], match["kind"], (match["rest"] or "")[1:]
        project = self._project(request, caller, name)
        if request.method not in SAFE:
            self._check_writable(project)
        if kind == "manifests":
            await self._manifest(request, project, name, rest, send)
        elif kind == "tags/list":
            await self._tags(request, project, name)(scope, receive, send)
        elif kind == "referrers":
            await self._referrers(project, name, rest)(scope, receive, send)
        elif request.method in ("POST", "PUT", "PATCH"):
            await self._upload(request, caller, project, name, send)
        else:
            await self._behind(scope, receive, send)

    # --- who may ---

    def _caller(self, request: Request) -> Caller:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return access.bearer_caller(self._state, value)
        return access.basic_caller(self._state, request)

    def _unauthorized(self, request: Request, message: str, scope: str = "") -> Problem:
        """A challenge: Bearer for who showed nothing, Basic for who showed what is not enough."""
        if "authorization" in request.headers:
            challenge = 'Basic realm="harbor"'
        else:
            base = f"{request.url.scheme}://{request.headers.get('host', '')}"
            challenge = f'Bearer realm="{base}/service/token",service="harbor-registry"'
            challenge += f',scope="{scope}"' if scope else ""
        return Problem(401, "UNAUTHORIZED", message, headers={"Www-Authenticate": challenge})

    def _missing(self, name: str) -> Problem:
        """How Harbor says that a project does not exist: unauthorised, with an empty challenge."""
        message = f"project {name} not found: project {name} not found"
        return Problem(401, "UNAUTHORIZED", message, headers={"Www-Authenticate": ""})

    def _project(self, request: Request, caller: Caller, name: str) -> Project:
        """The project of a repository, if the caller may do with it what the request does."""
        if "/" not in name:
            raise Problem(400, "BAD_REQUEST", f"invalid repository name: {name}")
        project, _ = self._state.split(name)
        if project is None:
            raise self._missing(name.partition("/")[0])
        action = _ACTIONS.get(request.method, "push")
        asked = f"repository:{name}:{'pull,push' if action == 'push' else action}"
        source = request.query_params.get("from", "") if request.method == "POST" else ""
        if source:
            asked += f" repository:{source}:pull"
        self._check(request, caller, project, name, action, asked)
        if source:
            if "/" not in source:
                raise Problem(400, "BAD_REQUEST", f"invalid repository name: {source}")
            other, _ = self._state.split(source)
            if other is None:
                raise self._missing(source.partition("/")[0])
            self._check(request, caller, other, source, "pull", asked)
        return project

    def _check(
        self, request: Request, caller: Caller, project: Project, name: str, action: str, asked: str
    ) -> None:
        if caller.granted is not None:
            allowed = action in caller.granted.get(name, frozenset())
        else:
            # Even a public project is pulled from with an anonymous token only.
            allowed = not caller.anonymous and caller.may(project, "repository", action)
        if not allowed:
            said = f"unauthorized to access repository: {name}, action: {action}"
            raise self._unauthorized(request, f"{said}: {said}", asked)

    def _check_catalog(self, request: Request, caller: Caller) -> None:
        if not caller.admin or caller.granted is not None:
            raise self._unauthorized(request, "unauthorized to list catalog")

    def _check_writable(self, project: Project) -> None:
        if self._state.read_only:
            message = "The system is in read only mode. Any modification is prohibited."
            raise Problem(403, "DENIED", message)
        if project.registry_id:
            message = f"can not push artifact to a proxy project: {project.name}"
            raise Problem(403, "DENIED", message)

    # --- manifests and tags ---

    async def _manifest(
        self, request: Request, project: Project, name: str, reference: str, send: Send
    ) -> None:
        repository = project.repositories.get(name.partition("/")[2])
        if request.method == "PUT":
            await self._put_manifest(request, project, name, reference, send)
        elif request.method == "DELETE":
            await self._delete_manifest(request, project, repository, name, reference, send)
        else:
            artifact = repository.find(reference) if repository else None
            if artifact is not None and request.method == "GET":
                check_pullable(project, artifact)
            digest = artifact.document.digest if artifact else reference
            await self._pass_on(request, f"/v2/{name}/manifests/{digest}", send)

    async def _put_manifest(
        self, request: Request, project: Project, name: str, reference: str, send: Send
    ) -> None:
        rest = name.partition("/")[2]
        repository = project.repositories.get(rest)
        there = repository.find(reference) if repository else None
        if there is not None and is_tag(reference) and project.immutable(rest, reference):
            message = (
                f"Failed to process request due to '{rest}:{reference}' configured as immutable."
            )
            raise Problem(412, "PRECONDITION", message)
        raw = await request.body()
        if len(raw) > _MANIFEST_LIMIT:
            raise Problem(413, "REQUEST_ENTITY_TOO_LARGE", "manifest too large")
        if raw.strip() == b"{}":
            raise Problem(500, "UNKNOWN", "internal server error")
        kind = request.headers.get("content-type", "")
        headers = {"content-type": kind, "host": request.headers.get("host", "")}
        try:
            document = Document.parse(raw, kind.split(";")[0].strip())
        except CorruptContent:
            document = None
        if document is None or not (is_tag(reference) or is_digest(reference)):
            path = f"/v2/{name}/manifests/{reference}"
            stored = await storage.ask(self._behind, "PUT", path, "", headers, raw)
            await _answer(stored)(request.scope, request.receive, send)
            return
        check_room(project, {document.digest: len(raw)})
        digest = reference if is_digest(reference) else document.digest
        path = f"/v2/{name}/manifests/{digest}"
        stored = await storage.ask(self._behind, "PUT", path, "", headers, raw)
        stored.headers.pop("oci-subject", None)
        if stored.status == 201:
            await self._store(project, name, document, reference)
            if document.subject and self._state.version.at_least(_REFERRERS):
                stored.headers["oci-subject"] = document.subject.digest
        await _answer(stored)(request.scope, request.receive, send)

    async def _store(self, project: Project, name: str, document: Document, reference: str) -> None:
        rest = name.partition("/")[2]
        config = await storage.read_config(self._behind, name, document)
        add_artifact(self._state, project, rest, document, config)
        if is_tag(reference):
            move_tag(self._state, project.repositories[rest], document.digest, reference)

    async def _delete_manifest(
        self,
        request: Request,
        project: Project,
        repository: Repository | None,
        name: str,
        digest: str,
        send: Send,
    ) -> None:
        artifact = repository.artifacts.get(digest) if repository else None
        if repository and artifact:
            check_deletable(project, repository, artifact)
        stored = await storage.ask(self._behind, "DELETE", f"/v2/{name}/manifests/{digest}")
        if stored.status == 202 and repository:
            repository.artifacts.pop(digest, None)
        await _answer(stored)(request.scope, request.receive, send)

    def _tags(self, request: Request, project: Project, name: str) -> Response:
        repository = project.repositories.get(name.partition("/")[2])
        if repository is None:
            message = f"repository {name} not found"
            raise Problem(404, "NOT_FOUND", message)
        tags = sorted(tag for item in repository.artifacts.values() for tag in item.tags)
        limit, last = request.query_params.get("n", ""), request.query_params.get("last", "")
        left = [tag for tag in tags if tag > last]
        headers = {}
        if limit.isdigit() and 0 < int(limit) < len(left):
            left = left[: int(limit)]
            headers["Link"] = f'</v2/{name}/tags/list?last={left[-1]}&n={limit}>; rel="next"'
        return reply(200, {"name": name, "tags": left}, headers)

    def _referrers(self, project: Project, name: str, digest: str) -> Response:
        """What names a manifest as its subject: Harbor knows, whatever the storage does."""
        version = self._state.version
        if not version.at_least(_REFERRERS):
            return Response("404 page not found\n", 404, media_type="text/plain")
        if not is_digest(digest):
            raise Problem(400, "BAD_REQUEST", f"unsupported digest {digest}")
        repository = project.repositories.get(name.partition("/")[2])
        documents = [item.document for item in repository.artifacts.values()] if repository else []
        found = [
            referrer_entry(document)
            for document in documents
            if document.subject and document.subject.digest == digest
        ]
        headers = {"Content-Type": OCI_INDEX}
        if version.at_least(_GOOD_REFERRERS):
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
            return reply(200, index, headers)
        configs = {document.digest: document.config.media_type for document in documents
                   if not document.is_index}  # fmt: skip
        for entry in found:
            entry["artifactType"] = configs.get(str(entry["digest"]), entry["artifactType"])
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        return reply(200, index if found else {}, headers)

    # --- blobs ---

    async def _upload(
        self, request: Request, caller: Caller, project: Project, name: str, send: Send
    ) -> None:
        """POST, PATCH and PUT of uploads, and what is recorded of them."""
        upload = request.url.path.rpartition("/")[2]
        length = request.headers.get("content-length", "")
        query = request.query_params
        if request.method == "POST":
            check_room(project, self._mounted(request))
        # The size that is recorded is what the PUT says of its body; only an empty one counts what
        # came before. A blob whose last part comes in the PUT is recorded as that part's size.
        size = self._state.uploads.get(upload, 0) if length == "0" else int(length or "0")
        digest = query.get("digest", "")
        if request.method == "PUT" and digest not in project.blobs:
            try:
                check_room(project, {digest: size})
            except Problem:
                async for _ in request.stream():
                    continue  # Harbor looks only when all has been sent
                raise

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                status, headers = message["status"], _headers(message)
                if request.method == "PATCH" and status == 202:
                    last = headers.get("range", "").rpartition("-")[2]
                    self._state.uploads[upload] = int(last or "-1") + 1
                elif request.method == "PUT" and status == 201:
                    self._state.uploads.pop(upload, None)
                    project.blobs.setdefault(digest, size)  # never put right later
                elif request.method == "POST" and status == 201:
                    mounted, source = query.get("mount", ""), query.get("from", "")
                    other, _ = self._state.split(source)
                    project.blobs[mounted] = other.blobs.get(mounted, 0) if other else 0
            await send(message)

        await self._behind(request.scope, request.receive, watch)

    def _mounted(self, request: Request) -> dict[str, int]:
        """The blob to be mounted, and its size: it counts as if it had been sent."""
        digest = request.query_params.get("mount", "")
        known = (project.blobs for project in self._state.projects.values())
        return next(({digest: blobs[digest]} for blobs in known if digest in blobs), {})

    async def _pass_on(self, request: Request, path: str, send: Send) -> None:
        scope = {**request.scope, "path": path, "raw_path": path.encode()}
        await self._behind(scope, request.receive, send)


def add_artifact(
    state: HarborState, project: Project, rest: str, document: Document, config: dict[str, object]
) -> Artifact:
    """Record a manifest in a repository, which is made if need be; the one there if it is."""
    name = f"{project.name}/{rest}"
    repository = project.repositories.setdefault(rest, Repository(state.number(), name))
    found = repository.artifacts.get(document.digest)
    if found is None:
        sizes = {digest: item.size for digest, item in repository.artifacts.items()}
        size = storage.total_size(document, sizes)
        found = Artifact(state.number(), document, size, config)
        repository.artifacts[document.digest] = found
    else:
        found.push_time = now()
    return found


def move_tag(state: HarborState, repository: Repository, digest: str, tag: str) -> None:
    """Put a tag on one artifact, and take it off any other."""
    for artifact in repository.artifacts.values():
        artifact.tags.pop(tag, None)
    repository.artifacts[digest].tags[tag] = Tag(state.number(), tag)


def _headers(message: Message) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in message["headers"]}


def _answer(stored: storage.Stored) -> Response:
    return Response(stored.body, stored.status, stored.headers)
