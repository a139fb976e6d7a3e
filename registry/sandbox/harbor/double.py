"""The double as one ASGI application, and running it.

with harbor_double(projects=("algorithms",)) as running:
    print(running.host, running.username, running.password)
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.sandbox.harbor import access, artifacts, projects, robots, rules, system
from registry.sandbox.harbor.calls import ROOT, Call, Handler, Route
from registry.sandbox.harbor.front import SAFE, FrontDoor
from registry.sandbox.harbor.state import HarborState, now
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.replies import Problem, reply
from registry.sandbox.server import serve

VERSION = "v2.12.2-73072d0d"
ADMIN = "admin"
_TOKEN_LIFETIME = 1800  # seconds
_READ_ONLY = "The system is in read only mode. Any modification is prohibited."
_PORTAL = "<!doctype html>\n<html><head><title>Harbor double</title></head><body></body></html>\n"
_ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *projects.ROUTES,
    *artifacts.ROUTES,
    *rules.ROUTES,
    *robots.ROUTES,
)


class HarborDouble:
    """An ASGI application that answers as Harbor does.

    storage: the registry behind it; one in memory when None. password: the administrator's; made
    up when empty. version: which Harbor to be. token_lifetime: seconds. behind_nginx: treat paths
    as the proxy in front of every Harbor does.

    state: all that it knows, to be looked at and set up from outside while nothing is being asked.
    routes: what of the API it answers: method, path, handler.
    """

    def __init__(
        self,
        storage: ASGIApp | None = None,
        *,
        password: str = "",
        version: str = VERSION,
        token_lifetime: int = _TOKEN_LIFETIME,
        behind_nginx: bool = True,
    ) -> None:
        self.password = password or secrets.token_urlsafe(12)
        self.state = HarborState(version, self.password, token_lifetime)
        self._storage = storage or MemoryRegistry()
        self._front = FrontDoor(self.state, self._storage)
        self._behind_nginx = behind_nginx
        self.routes = _ROUTES
        self._patterns = [(method, _pattern(path), handler) for method, path, handler in _ROUTES]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        request = Request(scope, receive)

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_extra(request)]}
            await send(message)

        try:
            _check_csrf(request)
            path = request.url.path
            if path.startswith("/v2"):
                await self._front(scope, receive, with_cookie)
                return
            if path == "/service/token":
                response = self._token(request)
            elif path.startswith(f"{ROOT}/"):
                response = await self._api(request)
            else:
                response = Response(_PORTAL, media_type="text/html")
        except Problem as problem:
            response = problem.response()
        except (ClientDisconnect, httpx.ReadError):
            return  # nobody is left to answer
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, with_cookie)

    async def _api(self, request: Request) -> Response:
        raw = request.scope["raw_path"].partition(b"?")[0].decode("ascii", "replace")
        if self._behind_nginx:
            # What was one level of escapes is lost; what it leaves of a deeper one is escaped anew.
            raw = quote(unquote(raw), safe="/:@!$&'()*+,;=~")
        path, known = raw.removeprefix(ROOT), False
        for method, pattern, handler in self._patterns:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            known = True
            if method == request.method:
                # The router decodes a path, and the handlers decode a repository's name again.
                values = {key: unquote(unquote(value)) for key, value in match.groupdict().items()}
                return await self._handle(request, handler, values)
        if known:
            raise Problem(405, "METHOD_NOT_ALLOWED", f"method {request.method} is not allowed")
        raise Problem(404, "NOT_FOUND", f"path {path} was not found")

    async def _handle(self, request: Request, handler: Handler, path: dict[str, str]) -> Response:
        if self.state.read_only and request.method not in SAFE:
            raise Problem(403, "DENIED", _READ_ONLY)
        raw = await request.body()
        try:
            body = json.loads(raw) if raw else None
        except ValueError as error:
            message = f"parsing body from request failed: {error}"
            raise Problem(400, "BAD_REQUEST", message) from error
        caller = access.api_caller(self.state, request, request.url.path.removeprefix(ROOT))
        return await handler(Call(self.state, caller, request, path, body, self._storage))

    def _token(self, request: Request) -> Response:
        """The token service: with a scope even a wrong password gets a token, with no rights."""
        if request.method != "GET":
            return Response(status_code=405)
        caller = access.basic_caller(self.state, request)
        scopes = [part for item in request.query_params.getlist("scope") for part in item.split()]
        if caller.anonymous and not scopes:
            return Response("unauthorized\n", 401, media_type="text/plain")
        token = access.make_token(self.state, caller, scopes)
        return reply(
            200,
            {
                "token": token,
                "access_token": token,
                "expires_in": self.state.token_lifetime,
                "issued_at": now(),
            },
        )


@dataclass(frozen=True)
class RunningHarbor:
    """A double that is being served. username and password: the administrator's."""

    host: str
    username: str
    password: str = field(repr=False)
    double: HarborDouble


@contextmanager
def harbor_double(
    double: HarborDouble | None = None, *, projects: Sequence[str] = (), port: int = 0
) -> Iterator[RunningHarbor]:
    """Serve a double on loopback while the block runs; projects: private ones it starts with."""
    double = double or HarborDouble()
    for name in projects:
        double.state.add_project(name)
    with serve(double, port) as host:
        yield RunningHarbor(host, ADMIN, double.password, double)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def _check_csrf(request: Request) -> None:
    """The trap for clients that keep cookies: a session's change needs a CSRF token."""
    if request.method not in SAFE and "sid" in request.cookies:
        raise Problem(403, "FORBIDDEN", "CSRF token invalid")


def _extra(request: Request) -> list[tuple[bytes, bytes]]:
    """Headers of every reply."""
    session = request.cookies.get("sid") or secrets.token_hex(16)
    asked = request.headers.get("x-request-id", "") or secrets.token_hex(16)
    return [
        (b"set-cookie", f"sid={session}; Path=/; HttpOnly".encode()),
        (b"x-request-id", asked.encode("latin-1")),
    ]
