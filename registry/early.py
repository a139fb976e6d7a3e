"""Stop sending a body as soon as the answer is there.

A proxy with a size limit answers 413 on seeing the headers, then reads on for up to half a minute
and throws away what comes. httpcore sends a body to its end before it looks; on a thin link that
is the half minute, and with a large blob the connection's end. So every piece written is preceded
by a look at the socket.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

_PIECE = 128 << 10  # bytes between two looks
_HEADERS = 8 << 10  # what is written in one go up to here is a request's head, not its body


class WatchfulTransport(httpx.HTTPTransport):
    """httpx's own transport, on connections that notice early answers."""

    def __init__(
        self, context: ssl.SSLContext | bool, proxy: str | None, limits: httpx.Limits
    ) -> None:
        super().__init__(verify=context, proxy=proxy, limits=limits, trust_env=False)
        # httpcore takes a backend as an argument, httpx does not hand it on.
        self._pool._network_backend = _WatchfulBackend()


class _WatchfulBackend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _WatchfulStream(
            super().connect_tcp(host, port, timeout, local_address, socket_options)
        )


class _WatchfulStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._has_read = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._has_read = True
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if len(buffer) <= _HEADERS:
            self._inner.write(buffer, timeout)
            return
        view = memoryview(buffer)
        for start in range(0, len(view), _PIECE):
            # Before the first read, what waits may be TLS session tickets: no answer.
            if self._has_read and self._inner.get_extra_info("is_readable"):
                # httpcore takes this for a closed connection, and reads what came before that.
                raise httpcore.WriteError("answered before the body was sent")
            self._inner.write(view[start : start + _PIECE], timeout)  # type: ignore[arg-type]

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _WatchfulStream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
