"""Everything that goes to the API of a double of Harbor, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.harbor.api import ROOT, HarborApi
from registry.sandbox.harbor.double import ADMIN, HarborDouble
from registry.sandbox.server import serve
from tests.contract.openapi import Exchange, once_decoded


class Recorder:
    """An ASGI application that passes on, and keeps exchanges below /api/v2.0."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if not scope["path"].startswith(f"{ROOT}/"):
            await self._app(scope, receive, send)
            return
        asked, start, answered = bytearray(), {"status": 0, "headers": []}, bytearray()

        async def listen() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                answered.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self.exchanges.append(_exchange(scope, asked, start, answered))
            await send(message)

        await self._app(scope, listen, tell)


def _exchange(
    scope: Scope, asked: bytearray, start: dict[str, Any], answered: bytearray
) -> Exchange:
    target = scope["raw_path"].decode().partition("?")[0]
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode()
    exchange = Exchange(
        scope["method"],
        target,
        {name.decode().lower(): value.decode() for name, value in scope["headers"]},
        bytes(asked),
        start["status"],
        {name.decode().lower(): value.decode() for name, value in start["headers"]},
        bytes(answered),
    )
    return once_decoded(exchange)


@dataclass
class Wire:
    """A recorded double, and the administrator's API on it."""

    host: str
    double: HarborDouble
    recorder: Recorder
    client: RegistryClient
    api: HarborApi
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def exchanges(self) -> list[Exchange]:
        return self.recorder.exchanges

    @contextmanager
    def another(self, credentials: Credentials | None) -> Iterator[Wire]:
        """The same double, for somebody else."""
        options = RegistryOptions(credentials=lambda host: credentials)
        with RegistryClient(options) as client:
            api = HarborApi(client, self.host)
            yield Wire(self.host, self.double, self.recorder, client, api)


@contextmanager
def wire(double: HarborDouble | None = None) -> Iterator[Wire]:
    """A double that is being recorded, with the project `algorithms`."""
    double = double or HarborDouble()
    double.state.add_project("algorithms")
    recorder = Recorder(double)
    known = Credentials(ADMIN, double.password)
    options = RegistryOptions(credentials=lambda host: known)
    with serve(recorder) as host, RegistryClient(options) as client:
        yield Wire(host, double, recorder, client, HarborApi(client, host))
