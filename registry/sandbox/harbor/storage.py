"""Asking the application that keeps manifests and blobs, from within this process."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from registry.oci import ACCEPT, Descriptor, Document

_MOST = 4 << 20  # bytes of a config worth reading
_ATTEMPTS, _PAUSE = 5, 0.02  # seconds


@dataclass(frozen=True)
class Stored:
    """What the storage answered."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Stored:
    """One request to an ASGI application, with its whole answer."""
    lines = {"host": "storage", "content-length": str(len(body)), **(headers or {})}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        "server": ("storage", 80),
        "client": ("127.0.0.1", 0),
    }
    sent: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    seen: dict[str, Any] = {"status": 500, "headers": {}, "body": b""}

    async def receive() -> Message:
        return sent.pop() if sent else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen["status"] = message["status"]
            seen["headers"] = {
                name.decode().lower(): value.decode() for name, value in message["headers"]
            }
        else:
            seen["body"] += message.get("body", b"")

    await app(scope, receive, send)
    return Stored(seen["status"], seen["headers"], seen["body"])


async def read_config(app: ASGIApp, repository: str, document: Document) -> dict[str, Any]:
    """The image config of a manifest; empty for an index, and for what is no image's config."""
    if document.is_index or document.config.size > _MOST:
        return {}
    path = f"/v2/{repository}/blobs/{document.config.digest}"
    stored = await ask(app, "GET", path)
    for _ in range(_ATTEMPTS):
        if stored.status == 200:
            break
        # A registry of files may be writing its link to the blob anew, for another push.
        await asyncio.sleep(_PAUSE)
        stored = await ask(app, "GET", path)
    try:
        value = json.loads(stored.body) if stored.status == 200 else {}
    except ValueError:
        return {}  # an artifact's config may be anything
    return value if isinstance(value, dict) else {}


async def copy_manifest(app: ASGIApp, source: str, target: str, document: Document) -> bool:
    """Mount a manifest's blobs into another repository and put it there; children must be there."""
    for blob in document.blobs():
        query = f"mount={blob.digest}&from={source}"
        mounted = await ask(app, "POST", f"/v2/{target}/blobs/uploads/", query)
        if mounted.status != 201:
            return False
    path = f"/v2/{target}/manifests/{document.digest}"
    headers = {"content-type": document.media_type}
    return (await ask(app, "PUT", path, headers=headers, body=document.raw)).status == 201


async def read_manifest(app: ASGIApp, repository: str, digest: str) -> Document | None:
    """A manifest by its digest."""
    path = f"/v2/{repository}/manifests/{digest}"
    stored = await ask(app, "GET", path, headers={"accept": ACCEPT})
    if stored.status != 200:
        return None
    return Document.parse(stored.body, stored.headers.get("content-type", ""))


def total_size(document: Document, children: dict[str, int]) -> int:
    """An artifact's size as Harbor counts: manifest, config, every layer; an index's children."""
    if document.is_index:
        below = sum(children.get(child.digest, 0) for child in document.manifests)
        return len(document.raw) + below
    parts: tuple[Descriptor, ...] = (document.config, *document.layers)
    return len(document.raw) + sum(part.size for part in parts)
