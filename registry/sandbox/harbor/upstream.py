"""A real registry as the storage behind the double, reached with Basic credentials as Harbor's."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import httpx
from starlette.types import Receive, Scope, Send

_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"authorization",
                         b"proxy-connection", b"te", b"upgrade", b"cookie"})  # fmt: skip
_TIMEOUT = 60.0  # seconds


class Upstream:
    """An ASGI application that passes requests on to `http://host`, and answers back, streamed."""

    def __init__(self, host: str, username: str = "", password: str = "") -> None:
        self._host = host
        pair = base64.b64encode(f"{username}:{password}".encode())
        self._own = [(b"authorization", b"Basic " + pair)] if username else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        target = scope["raw_path"].partition(b"?")[0]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        # The Host header goes on as it is: the registry makes its Locations from it.
        headers = [pair for pair in scope["headers"] if pair[0] not in _HOP_BY_HOP] + self._own
        transport = httpx.AsyncHTTPTransport(verify=False, trust_env=False)
        async with httpx.AsyncClient(transport=transport, timeout=_TIMEOUT) as client:
            request = client.build_request(
                scope["method"],
                httpx.URL(f"http://{self._host}").copy_with(raw_path=target),
                headers=headers,
                content=_body(receive) if _has_body(headers) else None,
            )
            for name in ("accept", "accept-encoding", "user-agent"):
                if name.encode() not in dict(headers):
                    request.headers.pop(name, None)
            response = await client.send(request, stream=True)
            try:
                lines = [(name.lower(), value) for name, value in response.headers.raw]
                kept = [pair for pair in lines if pair[0] not in _HOP_BY_HOP]
                start = {"type": "http.response.start", "status": response.status_code}
                await send({**start, "headers": kept})
                async for chunk in response.aiter_raw():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                await response.aclose()


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    names = {name for name, _ in headers}
    return b"content-length" in names or b"transfer-encoding" in names


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx.ReadError("the caller went away")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
