"""A link between a client and a registry: counted, and held up where a test wants it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

_CHUNK = 64 << 10


@dataclass
class Link:
    """One forwarded port. up, down: bytes that went to the registry and came from it.

    delay: seconds every piece of data takes each way. hold_after: once so many bytes went either
    way, no more do until `release` is set; `held` tells that it came to that.
    """

    host: str
    delay: float = 0.0
    hold_after: int | None = None
    up: int = 0
    down: int = 0
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def passed(self, upwards: bool, amount: int) -> None:
        """Count, delay, and hold up what has to be."""
        time.sleep(self.delay)
        with self.lock:
            if upwards:
                self.up += amount
            else:
                self.down += amount
            hold = self.hold_after is not None and max(self.up, self.down) > self.hold_after
        if hold and not self.release.is_set():
            self.held.set()
            self.release.wait()


@contextmanager
def linked(upstream: str, *, delay: float = 0.0, hold_after: int | None = None) -> Iterator[Link]:
    """Forward a loopback port to the registry at upstream (`HOST:PORT`) until the block ends."""
    host, _, port = upstream.rpartition(":")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        link = Link(f"127.0.0.1:{listener.getsockname()[1]}", delay, hold_after)
        thread = threading.Thread(target=_accept, args=(listener, (host, int(port)), link))
        thread.start()
        try:
            yield link
        finally:
            link.release.set()
            # Closing alone does not wake a thread that waits in accept().
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listener: socket.socket, upstream: tuple[str, int], link: Link) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            server = socket.create_connection(upstream, timeout=60)
        except OSError:
            client.close()
            continue
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        done = threading.Barrier(2, action=partial(_close, client, server))
        for source, target, upwards in ((client, server, True), (server, client, False)):
            threading.Thread(
                target=_forward, args=(source, target, link, upwards, done), daemon=True
            ).start()


def _close(*ends: socket.socket) -> None:
    for end in ends:
        end.close()


def _forward(
    source: socket.socket,
    target: socket.socket,
    link: Link,
    upwards: bool,
    done: threading.Barrier,
) -> None:
    try:
        while data := source.recv(_CHUNK):
            link.passed(upwards, len(data))
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One end is gone: the other is to know.
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
    done.wait()
