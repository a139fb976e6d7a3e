"""Counting HTTP/1.1 messages in one direction of a connection, from the bytes as they pass."""

from __future__ import annotations

import re
from collections.abc import Callable

_LENGTH = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:.*\bchunked\s*$", re.IGNORECASE | re.MULTILINE)
_TO_THE_END = 1 << 62


class Tap:
    """starts: the first line of every message so far. body: bytes of all bodies, framing apart.

    has_body: whether a message with this first line may have a body; asked once per message, in
    order. Ends in failure on nothing: what is no HTTP counts as one endless head.
    """

    def __init__(self, has_body: Callable[[str], bool] = lambda start: True) -> None:
        self.starts: list[str] = []
        self.body = 0
        self._has_body = has_body
        self._buffer = b""
        self._step: Callable[[], bool] = self._head
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        self._buffer += data
        while self._step():
            pass

    def _head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        self._buffer = rest
        # The pattern's line ends are \n alone.
        lines = head.replace(b"\r\n", b"\n")
        start = lines.partition(b"\n")[0].decode("latin-1")
        self.starts.append(start)
        length = _LENGTH.search(lines)
        if not self._has_body(start):
            return True
        if _CHUNKED.search(lines):
            self._step = self._chunk_size
        elif length:
            self._left, self._step = int(length[1]), self._content
        elif start.startswith("HTTP/"):
            self._left, self._step = _TO_THE_END, self._content
        return True

    def _content(self) -> bool:
        self._take()
        if self._left:
            return False
        self._step = self._head
        return True

    def _chunk_size(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        self._left = int(line.split(b";")[0], 16)
        self._step = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        self._take()
        if self._left or len(self._buffer) < 2:
            return False
        self._buffer = self._buffer[2:]
        self._step = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        if not line:
            self._step = self._head
        return True

    def _take(self) -> None:
        taken = min(self._left, len(self._buffer))
        self._left -= taken
        self.body += taken
        self._buffer = self._buffer[taken:]
