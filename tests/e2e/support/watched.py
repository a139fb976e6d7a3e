"""A registry looked at through a pane: what is asked of it, how much it sends, and what if it lies.

Sits before a real registry on a loopback port of its own. Every read goes through; each is noted,
and may be answered otherwise, or held until the test lets it go.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Answer:
    """A whole answer, as the registry gave it or as a test wants it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Read:
    """One answered request: its path, and the bytes of the body that went out."""

    method: str
    path: str
    sent: int


Change = Callable[[Answer], Answer]


@dataclass
class Watched:
    """The pane. reads: every answered request, oldest first.

    changes: pattern of a path -> what becomes of a GET's answer. held: pattern of paths whose
    requests wait for `release`; `waiting` is set as soon as one does.
    """

    host: str = ""
    upstream: str = ""
    reads: list[Read] = field(default_factory=list)
    changes: dict[str, Change] = field(default_factory=dict)
    held: str = ""
    waiting: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def bytes_sent(self) -> int:
        """Body bytes of all answers together."""
        return sum(item.sent for item in self.reads)

    def blobs(self) -> set[str]:
        """The digests of all blobs whose content was asked for."""
        found = (re.search(r"/blobs/(sha256:[0-9a-f]{64})$", item.path) for item in self.reads
                 if item.method == "GET")  # fmt: skip
        return {match[1] for match in found if match}


@contextmanager
def watched(upstream: str) -> Iterator[Watched]:
    """Watch the registry at upstream (`HOST:PORT`) until the block ends."""
    pane = Watched(upstream=upstream)

    class Handler(_Handler):
        watched = pane

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    pane.host = f"127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield pane
    finally:
        pane.release.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    watched: Watched
    protocol_version = "HTTP/1.1"
    # A TLS greeting is no request line, yet its refusal needs a status line: by that Docker knows a
    # host that speaks plain HTTP.
    default_request_version = "HTTP/1.0"
    disable_nagle_algorithm = True

    def _forward(self) -> None:
        pane = self.watched
        if pane.held and re.search(pane.held, self.path):
            pane.waiting.set()
            pane.release.wait()
        upstream = HTTPConnection(pane.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        upstream.request(self.command, self.path, headers=headers)
        try:
            response = upstream.getresponse()
            status, said = response.status, dict(response.getheaders())
            change = self._change()
            if change is not None:
                answer = change(Answer(status, said, response.read()))
                self._send(answer.status, answer.headers, len(answer.body), iter([answer.body]))
            else:
                length = int(said.get("Content-Length", "0"))
                chunks = iter(lambda: response.read(_CHUNK), b"")
                self._send(status, said, length, chunks)
        finally:
            upstream.close()

    do_GET = do_HEAD = _forward

    def _change(self) -> Change | None:
        if self.command != "GET":
            return None
        changes = self.watched.changes.items()
        return next((change for path, change in changes if re.search(path, self.path)), None)

    def _send(
        self, status: int, headers: Mapping[str, str], length: int, chunks: Iterator[bytes]
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        sent = 0
        try:
            for chunk in chunks if self.command == "GET" else ():
                self.wfile.write(chunk)
                sent += len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        self.watched.reads.append(Read(self.command, self.path, sent))

    def log_message(self, format: str, *args: object) -> None:
        """The test shows what matters."""
