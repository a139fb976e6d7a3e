"""A registry's own access log: which requests it answered, and with how many bytes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Apache's combined format, which docker-registry writes.
_LINE = re.compile(r'^\S+ \S+ \S+ \[[^\]]+\] "(\S+) (\S+) HTTP/[\d.]+" (\d{3}) (\d+|-)')
# The line is written after the reply is sent: the client may have ended by then.
_LAG = 0.05


@dataclass(frozen=True)
class Request:
    """One request as the registry logged it; sent: bytes of the reply's body."""

    method: str
    path: str
    status: int
    sent: int


@dataclass
class AccessLog:
    """The log of a running registry; take() gives what came since the last take()."""

    path: Path
    position: int = 0

    def take(self) -> list[Request]:
        """The requests logged since the last call."""
        time.sleep(_LAG)
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        self.position += len(data)
        return parse(data.decode(errors="replace").splitlines())


def parse(lines: Iterable[str]) -> list[Request]:
    """The requests among the lines of a log; other lines are passed over."""
    found = [match for line in lines if (match := _LINE.match(line))]
    return [
        Request(match[1], match[2], int(match[3]), int(match[4].replace("-", "0")))
        for match in found
    ]


def bytes_read(requests: Iterable[Request], repository: str) -> int:
    """Bytes of the bodies sent from one repository; the log gives a HEAD the length of its GET."""
    place = f"/v2/{repository}/"
    return sum(
        item.sent for item in requests if item.method != "HEAD" and item.path.startswith(place)
    )
