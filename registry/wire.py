"""How a request's body gets onto the wire: watched, and untouched where that is possible.

A proxy with a size limit answers 413 on seeing the headers, then reads on for up to half a minute
and throws away what comes. httpcore sends a body to its end before it looks; on a thin link that
is the half minute, and with a large blob the connection's end. So every piece written is preceded
by a look at the socket.

What comes is read in larger pieces than httpcore asks for: beside hashing and storing a body, that
is most of what a download costs.

A file's bytes need not pass through this program: without TLS the kernel sends them by itself, for
a quarter of the processor's time. As httpcore takes nothing but bytes, it is given as many zeros in
their stead, and the stream that gets these to write sends what they stand for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from registry.blobs import Chunk, Unread
from registry.errors import CorruptContent

_READ = 256 << 10  # bytes at most at a time; each time costs the interpreter as much as 64 KiB do
_RECORD = 16 << 10  # bytes at most that TLS hands out at a time
_PIECE = 128 << 10  # bytes between two looks
_HEADERS = 8 << 10  # what is written in one go up to here is a request's head, not its body
# File systems that the kernel cannot send from.
_CANNOT_SEND = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW})


class WatchfulTransport(httpx.HTTPTransport):
    """httpx's own transport, on connections that notice early answers and send files."""

    def __init__(
        self, context: ssl.SSLContext | bool, proxy: str | None, limits: httpx.Limits
    ) -> None:
        super().__init__(verify=context, proxy=proxy, limits=limits, trust_env=False)
        self._stand_ins = _StandIns()
        # httpcore takes a backend as an argument, httpx does not hand it on.
        self._pool._network_backend = _WatchfulBackend(self._stand_ins)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, whose body may be of Chunks, and return its response's head."""
        self._stand_ins.take()  # left by a request that ended between two pieces
        if isinstance(request.stream, httpx.SyncByteStream):
            request.stream = _Body(request.stream, self._stand_ins)
        return super().handle_request(request)


class _StandIns(threading.local):
    """Zeros that httpcore carries through a request in place of a chunk of a file.

    One chunk at a time: httpcore writes each before it takes the next, in the same thread.
    """

    def __init__(self) -> None:
        self._zeros = b""
        self._chunk: Unread | None = None

    def put(self, chunk: Chunk) -> bytes:
        """What httpcore is to be given for the chunk."""
        if isinstance(chunk, bytes):
            return chunk
        self._chunk = chunk
        if len(self._zeros) != len(chunk):
            self._zeros = bytes(len(chunk))
        return self._zeros

    def take(self) -> Unread | None:
        """The chunk that is to be written now, None when what httpcore has is the thing itself."""
        chunk, self._chunk = self._chunk, None
        return chunk


class _Body(httpx.SyncByteStream):
    """A request's body as httpcore may have it."""

    def __init__(self, chunks: Iterable[Chunk], stand_ins: _StandIns) -> None:
        self._chunks = chunks
        self._stand_ins = stand_ins

    def __iter__(self) -> Iterator[bytes]:
        return map(self._stand_ins.put, self._chunks)


class _WatchfulBackend(httpcore.SyncBackend):
    def __init__(self, stand_ins: _StandIns) -> None:
        self._stand_ins = stand_ins

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        inner = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _WatchfulStream(inner, self._stand_ins)


class _WatchfulStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, stand_ins: _StandIns) -> None:
        self._inner = inner
        self._stand_ins = stand_ins
        self._has_read = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._has_read = True
        data = self._inner.read(max(max_bytes, _READ), timeout)
        # Not the socket: with TLS to a proxy, that one carries another TLS within.
        sock = self._inner.get_extra_info("ssl_object")
        if isinstance(sock, ssl.SSLSocket) and len(data) == _RECORD:
            return data + _more_records(sock)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        chunk = self._stand_ins.take()
        if chunk is None:
            self._write(buffer, timeout)
            return
        if len(chunk) != len(buffer):
            raise httpcore.LocalProtocolError("a body with a chunk of a file cannot be encoded")
        if sys.platform == "linux" and self._inner.get_extra_info("ssl_object") is None:
            chunk = _send_file(self._inner.get_extra_info("socket"), chunk, timeout)
            if not chunk:
                return
        content = chunk.read()
        if len(content) != len(chunk):
            raise _cut_short()
        self._write(content, timeout)

    def _write(self, buffer: bytes, timeout: float | None) -> None:
        if len(buffer) <= _HEADERS:
            self._inner.write(buffer, timeout)
            return
        view = memoryview(buffer)
        for start in range(0, len(view), _PIECE):
            # Before the first read, what waits may be TLS session tickets: no answer.
            if self._has_read and self._inner.get_extra_info("is_readable"):
                raise _answered()
            self._inner.write(view[start : start + _PIECE], timeout)  # type: ignore[arg-type]

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _WatchfulStream(inner, self._stand_ins)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _send_file(sock: socket.socket, chunk: Unread, timeout: float | None) -> Unread:
    """Have the kernel send a chunk, looking for an early answer; what it cannot send is left."""
    sock.settimeout(timeout)
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    while len(chunk):
        events = poll.poll(None if timeout is None else timeout * 1000)
        if not events:
            raise httpcore.WriteTimeout("timed out")
        if events[0][1] & select.POLLIN:
            raise _answered()
        try:
            count = os.sendfile(sock.fileno(), chunk.handle, chunk.offset, len(chunk))
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno in _CANNOT_SEND:
                break
            raise httpcore.WriteError(str(error)) from error
        if count == 0:
            raise _cut_short()
        chunk = chunk[count:]
    return chunk


def _more_records(sock: ssl.SSLSocket) -> bytes:
    """What has arrived besides, so that a large body is not handled record by record."""
    sock.settimeout(0)
    found: list[bytes] = []
    # Whatever ends this early is met again by the next read.
    with contextlib.suppress(OSError):
        while len(found) < _READ // _RECORD and (record := sock.recv(_RECORD)):
            found.append(record)
    return b"".join(found)


def _answered() -> httpcore.WriteError:
    """httpcore takes this for a closed connection, and reads what came before that."""
    return httpcore.WriteError("answered before the body was sent")


def _cut_short() -> CorruptContent:
    what = "a blob became shorter while it was sent"
    return CorruptContent(what, "something else writes to its file", "run the same command again")
