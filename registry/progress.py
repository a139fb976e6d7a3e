"""How long work reports on itself, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TypeVar

Part = TypeVar("Part", bound=Sized)


class Progress(Protocol):
    """A listener for the progress of blobs and steps; calls may come from several threads.

    One *task* is one moving thing (a blob, a build step), named by `key`.
    """

    def start(self, key: str, label: str, total: int | None = None) -> None:
        """A task begins; total is its size in bytes where known."""

    def advance(self, key: str, amount: int) -> None:
        """amount more bytes of the task are done (negative when it starts over).

        Zero says that the task, which may have waited since start(), begins to move.
        """

    def finish(self, key: str, note: str = "") -> None:
        """The task ended; note says how (`mounted`, `already there`)."""

    def say(self, line: str) -> None:
        """One line worth keeping."""


class SilentProgress:
    """A Progress nobody looks at."""

    def start(self, key: str, label: str, total: int | None = None) -> None:
        """Ignored."""

    def advance(self, key: str, amount: int) -> None:
        """Ignored."""

    def finish(self, key: str, note: str = "") -> None:
        """Ignored."""

    def say(self, line: str) -> None:
        """Ignored."""


SILENT: Progress = SilentProgress()


def counted(chunks: Iterable[Part], key: str, progress: Progress) -> Iterator[Part]:
    """Pass chunks on, telling the length of each, in bytes, as progress of the task."""
    for chunk in chunks:
        progress.advance(key, len(chunk))
        yield chunk
