"""A Harbor that follows a script, and replies as Harbor writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import ImgctlError
from registry.harbor.api import HarborApi
from registry.retry import RetryPolicy
from tests.support.reqresp import Entry, Server, serve

ROOT = "/api/v2.0"
ROBOT = Credentials("robot$ci", "S3cret-pass")
VERSION = "v2.9.5-0d4b8f6a"
# Harbor sets a session cookie on every reply.
COOKIE = {"Set-Cookie": "sid=0123456789abcdef; Path=/; HttpOnly"}


def reply(method: str, path: str, value: Any = None, status: int = 200, **fields: Any) -> Entry:
    """An entry of the API that answers with JSON, or without a body when value is None."""
    content = b"" if value is None else json.dumps(value).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", **COOKIE}
    headers |= fields.pop("reply", {})
    return Entry(method, ROOT + path, status=status, content=content, reply=headers, **fields)


def refusal(method: str, path: str, status: int, code: str, message: str, **fields: Any) -> Entry:
    """An entry that answers with Harbor's error body."""
    value = {"errors": [{"code": code, "message": message}]}
    return reply(method, path, value, status, **fields)


def system(version: str = VERSION, **fields: Any) -> Entry:
    """The reply to GET /systeminfo."""
    value = {"auth_mode": "db_auth", "harbor_version": version, "read_only": False, **fields}
    return reply("GET", "/systeminfo", value)


@contextmanager
def harbor(
    *entries: Entry, credentials: Credentials | None = ROBOT
) -> Iterator[tuple[HarborApi, Server]]:
    """An API on a scripted host."""
    options = RegistryOptions(
        credentials=lambda host: credentials,
        retry=RetryPolicy(attempts=2, first=0.001, longest=0.01),
    )
    with serve(*entries) as server, RegistryClient(options) as client:
        yield HarborApi(client, server.host), server


def failure(work: Callable[[HarborApi], Any], *entries: Entry, **fields: Any) -> ImgctlError:
    """The error that something done with a scripted Harbor ends with."""
    with harbor(*entries, **fields) as (api, _), pytest.raises(ImgctlError) as caught:
        work(api)
    return caught.value
