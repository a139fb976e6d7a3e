"""A server that follows a script, on a real loopback socket.

Entries are data. A request is answered by the first entry that matches it; a request that none
matches, and a one-shot entry that was never asked for, fail the test. In a reply's
headers `{base}` stands for the server's own `http://127.0.0.1:PORT`, and `{host}` for its end.

    with serve(Entry("GET", "/v2/", status=200)) as server:
        client.ping(server.host)
    assert server.lines == ["GET /v2/"]
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Entry:
    """What to match, and what to answer.

    path and query: as sent, before any decoding; query None matches any. headers: names to values
    that the request must have; None for one it must not have. body: exactly these bytes.
    if_state: only in that state. set_state: the state from then on. once: answers one request.

    drop: close the connection without an answer. cut: send so many body bytes, then drop.
    delay: seconds before the body. unread: answer without reading the request's body.
    """

    method: str
    path: str
    query: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | None = None
    if_state: str = ""
    set_state: str = ""
    once: bool = False
    status: int = 200
    reply: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    drop: bool = False
    cut: int | None = None
    delay: float = 0.0
    unread: bool = False


@dataclass(frozen=True)
class Seen:
    """A request that came: its line as sent, its headers (lower case), its body."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def line(self) -> str:
        """`METHOD target`."""
        return f"{self.method} {self.target}"


class Server:
    """The running script and what it has seen."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.requests: list[Seen] = []
        self.broken: list[Seen] = []  # requests whose body ended early; nobody answers those
        self.unmatched: list[str] = []
        self.connections = 0
        self.state = ""
        self.host = ""
        self._entries = list(entries)
        self._lock = threading.Lock()

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{self.host}"

    @property
    def lines(self) -> list[str]:
        """Every request line so far."""
        return [seen.line for seen in self.requests]

    def answer(self, seen: Seen, body_read: bool) -> Entry | None:
        """The entry for a request; None when there is none. body_read: whether seen.body is it."""
        with self._lock:
            for entry in self._entries:
                if entry.unread == body_read and entry.body is not None:
                    continue
                if self._matches(entry, seen):
                    self.requests.append(seen)
                    self.state = entry.set_state or self.state
                    if entry.once:
                        self._entries.remove(entry)
                    return entry
            self.unmatched.append(f"{seen.line} {dict(seen.headers)} {seen.body[:80]!r}")
            return None

    def peek_unread(self, seen: Seen) -> bool:
        """Whether the entry for this request wants its body left unread."""
        with self._lock:
            found = (entry for entry in self._entries if self._matches(entry, seen, body=False))
            entry = next(found, None)
            return entry is not None and entry.unread

    def check(self) -> None:
        """Fail for requests nobody foresaw and for one-shot entries that were not used."""
        assert not self.unmatched, "no entry for: " + "; ".join(self.unmatched)
        left = [f"{entry.method} {entry.path}" for entry in self._entries if entry.once]
        assert not left, f"never asked for: {left}; asked for: {self.lines}"

    def _matches(self, entry: Entry, seen: Seen, body: bool = True) -> bool:
        path, _, query = seen.target.partition("?")
        if (entry.method, entry.path) != (seen.method, path):
            return False
        if entry.query is not None and entry.query != query:
            return False
        if entry.if_state and entry.if_state != self.state:
            return False
        if any(seen.headers.get(name.lower()) != wanted for name, wanted in entry.headers.items()):
            return False
        return not body or entry.body is None or entry.body == seen.body


@contextlib.contextmanager
def serve(*entries: Entry) -> Iterator[Server]:
    """Serve a script while the block runs, and check it at the end."""
    script = Server(entries)

    class Handler(_Handler):
        server_script = script

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    script.check()


class _Handler(BaseHTTPRequestHandler):
    server_script: Server
    protocol_version = "HTTP/1.1"
    # One segment per reply: with Nagle's algorithm a second one would wait 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server_script.connections += 1

    def _handle(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, b"")
        unread = self.server_script.peek_unread(seen)
        if not unread:
            length = int(headers.get("content-length", "0"))
            seen = Seen(self.command, self.path, headers, self._read(length))
            if len(seen.body) < length:
                self.server_script.broken.append(seen)
                self.close_connection = True
                return
        entry = self.server_script.answer(seen, not unread)
        if entry is None:
            self._reply(Entry("", "", status=599, content=b"no entry in the script matches"))
        elif entry.drop:
            self._drop()
        else:
            self._reply(entry)
        if unread:
            self.close_connection = True

    do_CONNECT = do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _read(self, length: int) -> bytes:
        return self.rfile.read(length) if length else b""

    def _reply(self, entry: Entry) -> None:
        self.send_response(entry.status)
        names = {name.lower() for name in entry.reply}
        for name, value in entry.reply.items():
            script = self.server_script
            value = value.replace("{base}", script.base).replace("{host}", script.host)
            self.send_header(name, value)
        if "content-length" not in names and entry.status not in (204, 304):
            self.send_header("Content-Length", str(len(entry.content)))
        self.end_headers()
        if entry.delay:
            self.wfile.flush()
            time.sleep(entry.delay)
        if self.command != "HEAD":
            self.wfile.write(entry.content if entry.cut is None else entry.content[: entry.cut])
        self.wfile.flush()
        if entry.cut is not None:
            self._drop()

    def _drop(self) -> None:
        """End the connection with a reset, as a crash or a broken link does."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        if self.command in ("GET", "HEAD"):
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def log_message(self, format: str, *args: object) -> None:
        """The test shows what matters."""


def query_of(target: str) -> dict[str, str]:
    """The query of a request target, decoded, for tests that do not care how it was written."""
    pairs = (pair.partition("=") for pair in urlsplit(target).query.split("&") if pair)
    return {unquote(key): unquote(value) for key, _, value in pairs}
