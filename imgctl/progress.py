"""Progress on stderr: bars on a terminal, plain lines anywhere else, silence when nothing moves.

A task is shown from its first byte on; tasks that have begun but not moved count in the total
only, so that the time left is that of the whole transfer. Plain ANSI, no dependency.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from registry.tally import Tally

REFRESH = 0.1  # seconds between two drawings of the bars
SIGN_OF_LIFE = 15.0  # seconds between two lines on the total where there are no bars
_WINDOW = 5.0  # seconds over which the rate is taken
_MOST_BARS = 8

Clock = Callable[[], float]


@dataclass
class _Task:
    label: str
    total: int | None
    began: float
    done: int = 0


@dataclass
class _Tasks:
    """What is under way, and the sums of what was; guarded by its lock."""

    clock: Clock
    lock: threading.RLock = field(default_factory=threading.RLock)
    running: dict[str, _Task] = field(default_factory=dict)
    ended_bytes: int = 0
    samples: deque[tuple[float, int]] = field(default_factory=deque)

    def start(self, key: str, label: str, total: int | None) -> None:
        self.running[key] = _Task(label, total, self.clock())

    def advance(self, key: str, amount: int) -> None:
        task = self.running.get(key)
        if task is not None:
            task.done += amount
            if task.done <= 0:  # its turn has come, or it starts over
                task.began = self.clock()

    def end(self, key: str) -> _Task | None:
        task = self.running.pop(key, None)
        if task is not None:
            self.ended_bytes += task.done
        return task

    def moved(self) -> int:
        return self.ended_bytes + sum(task.done for task in self.running.values())

    def expected(self) -> int:
        return self.ended_bytes + sum(
            max(task.total or 0, task.done) for task in self.running.values()
        )

    def rate(self) -> float:
        """Bytes per second over the last few seconds; call it at every drawing."""
        now, moved = self.clock(), self.moved()
        self.samples.append((now, moved))
        while len(self.samples) > 2 and now - self.samples[1][0] > _WINDOW:
            self.samples.popleft()
        first_time, first_moved = self.samples[0]
        return max(0.0, (moved - first_moved) / (now - first_time)) if now > first_time else 0.0


class LineProgress:
    """One line for each task that moved bytes, and a sign of life every 15 seconds."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        """stream: where the lines go. clock: seconds."""
        self._stream = stream
        self._tasks = _Tasks(clock)
        self._last = clock()

    def start(self, key: str, label: str, total: int | None = None) -> None:
        """Remember the task; nothing is printed before it ends."""
        with self._tasks.lock:
            self._tasks.start(key, label, total)

    def advance(self, key: str, amount: int) -> None:
        """Count, and now and then print the total."""
        with self._tasks.lock:
            self._tasks.advance(key, amount)
            now = self._tasks.clock()
            if now - self._last >= SIGN_OF_LIFE:
                self._last = now
                self._print(total_line(self._tasks))

    def finish(self, key: str, note: str = "") -> None:
        """Print how the task ended, if it moved anything or there is something to say."""
        with self._tasks.lock:
            task = self._tasks.end(key)
            if task is not None and (task.done or note):
                self._print(ended_line(task, note, self._tasks.clock()))

    def say(self, line: str) -> None:
        """Print the line."""
        with self._tasks.lock:
            self._print(line)

    def close(self) -> None:
        """Nothing is held open."""

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class BarProgress:
    """A bar for each moving task and a total below them, redrawn in place by a thread."""

    def __init__(
        self,
        stream: TextIO,
        clock: Clock = time.monotonic,
        columns: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
    ) -> None:
        """stream: a terminal that understands ANSI. clock: seconds. columns: its width now."""
        self._stream = stream
        self._columns = columns
        self._tasks = _Tasks(clock)
        self._drawn = 0
        self._closed = threading.Event()
        self._drawer: threading.Thread | None = None

    def start(self, key: str, label: str, total: int | None = None) -> None:
        """Remember the task; its bar appears with its first bytes."""
        with self._tasks.lock:
            self._tasks.start(key, label, total)
            if self._drawer is None:
                self._drawer = threading.Thread(target=self._redraw, daemon=True)
                self._drawer.start()

    def advance(self, key: str, amount: int) -> None:
        """Count; the drawing follows within a tenth of a second."""
        with self._tasks.lock:
            self._tasks.advance(key, amount)

    def finish(self, key: str, note: str = "") -> None:
        """Turn the bar into a line that stays."""
        with self._tasks.lock:
            task = self._tasks.end(key)
            if task is not None and (task.done or note):
                self.say(ended_line(task, note, self._tasks.clock()))

    def say(self, line: str) -> None:
        """A line that stays, above the bars."""
        with self._tasks.lock:
            self._stream.write(self._erase() + line + "\n")
            self.draw()

    def close(self) -> None:
        """Stop drawing and remove the bars; the lines stay."""
        self._closed.set()
        if self._drawer is not None:
            self._drawer.join(1)
        with self._tasks.lock:
            self._tasks.running.clear()
            self._stream.write(self._erase())
            self._stream.flush()

    def draw(self) -> None:
        """Draw the bars over the ones before."""
        with self._tasks.lock:
            lines = bar_lines(self._tasks, self._columns() - 1)
            self._stream.write(self._erase() + "".join(line + "\n" for line in lines))
            self._drawn = len(lines)
            self._stream.flush()

    def _erase(self) -> str:
        lines, self._drawn = self._drawn, 0
        return f"\x1b[{lines}A\x1b[J" if lines else ""

    def _redraw(self) -> None:
        while not self._closed.wait(REFRESH):
            self.draw()


@contextmanager
def progress(
    stream: TextIO | None = None, quiet: bool = False
) -> Iterator[BarProgress | LineProgress]:
    """The Progress that suits stderr (or stream), cleaned up when the block ends.

    quiet: plain lines even on a terminal.
    """
    out = stream or sys.stderr
    dumb = os.environ.get("TERM", "") in ("", "dumb")
    shown = LineProgress(out) if quiet or dumb or not out.isatty() else BarProgress(out)
    try:
        yield shown
    finally:
        shown.close()


def size(count: float) -> str:
    """Bytes for a reader, in powers of 1000 as registries and disks state them: `4.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moved(tally: Tally, *, would: bool = False) -> str:
    """What a transfer moved, in words; would: a dry run."""
    parts = [f"sent {size(tally.sent_bytes)}" if tally.sent else "sent nothing"]
    if tally.mounted:
        parts.append(f"mounted {size(tally.mounted_bytes)}")
    if tally.present:
        parts.append(f"{size(tally.present_bytes)} already there")
    return ("would have " if would else "") + ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds for a reader: `0.3 s`, `12 s`, `4m10s`, `2h05m`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def ended_line(task: _Task, note: str, now: float) -> str:
    """How one task ended: `layer 3f2a…  1.2 GB in 12 s (98 MB/s)`."""
    if note:
        return f"{task.label}  {note}"
    seconds = max(now - task.began, 1e-6)
    pace = f" ({size(task.done / seconds)}/s)" if seconds >= 1 else ""
    return f"{task.label}  {size(task.done)} in {duration(seconds)}{pace}"


def total_line(tasks: _Tasks) -> str:
    """All tasks together: bytes, rate, time left."""
    moved, expected, rate = tasks.moved(), tasks.expected(), tasks.rate()
    line = f"total  {size(moved)} of {size(expected)}"
    if rate > 0:
        line += f"  {size(rate)}/s"
        if expected > moved:
            line += f"  {duration((expected - moved) / rate)} left"
    return line


def bar_lines(tasks: _Tasks, width: int) -> list[str]:
    """The drawing: a bar for each moving task, and the total when bytes move; may be empty."""
    moving = [task for task in tasks.running.values() if task.done or task.total is None]
    lines = [_bar(task, width, tasks.clock()) for task in moving[:_MOST_BARS]]
    if len(moving) > _MOST_BARS:
        lines.append(f"… and {len(moving) - _MOST_BARS} more")
    if any(task.done for task in moving):
        lines.append(total_line(tasks))
    return [line[:width] for line in lines]


def _bar(task: _Task, width: int, now: float) -> str:
    if not task.total:
        done = f"  {size(task.done)}" if task.done else ""
        return f"{task.label}{done}  {duration(now - task.began)}"
    part = min(1.0, task.done / task.total)
    figures = f"{part:4.0%}  {size(task.done):>8} of {size(task.total)}"
    room = min(30, width - len(task.label) - len(figures) - 6)
    if room < 5:
        return f"{task.label}  {figures}"
    filled = round(part * room)
    return f"{task.label}  [{'=' * filled}{' ' * (room - filled)}]  {figures}"
