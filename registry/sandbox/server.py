"""Running an ASGI application on a loopback port, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from registry.errors import ImgctlError

_START_LIMIT = 10.0  # seconds
_END_LIMIT = 1.0  # for answers under way


@contextmanager
def serve(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve app on 127.0.0.1 while the block runs; yields `127.0.0.1:PORT`.

    port: 0 takes any free one. Raises ImgctlError when the port is taken.
    """
    listener = _listen(port)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        _wait(server, thread)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        if thread.is_alive():
            server.stop()
        thread.join(5)
        listener.close()


class _Server(uvicorn.Server):
    """Ends at once when it is told to; uvicorn's own looks for that ten times a second, and then
    waits as long again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        deadline = time.monotonic() + _END_LIMIT
        while self.server_state.connections or self.server_state.tasks:
            if time.monotonic() > deadline:
                for task in self.server_state.tasks:
                    task.cancel()
                return
            await asyncio.sleep(0.002)

    def stop(self) -> None:
        """From another thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, every answer
    # to a GET waits some 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise ImgctlError(
            f"cannot listen on port {port}",
            (error.strerror or "").lower(),
            "choose another port, or end what uses it",
        ) from error
    return listener


def _wait(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise ImgctlError("the sandbox registry did not start")
        time.sleep(0.005)
