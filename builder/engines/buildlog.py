"""What `buildx --progress=rawjson` says, turned into progress, and into an error worth reading.

Each line is a SolveStatus of BuildKit's client: vertexes (steps), statuses (transfers), logs
(output of steps, base64), warnings. Lines that are not JSON are buildx's own last words.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from builder.emulators import INSTALL, OTHER_RELEASES, PINNED
from registry.errors import ImgctlError, Refused, Unauthorized, Unreachable
from registry.progress import Progress

_PLACE = re.compile(r"^[^\s:]*Dockerfile[^\s:]*:(\d+)$", re.MULTILINE)
_STEP_NUMBER = re.compile(r"^\[[^\]]*\] ")
_RUN_FLAG = re.compile(r"\s+--(?:mount|network|security)=\S+")
_CRASH = "uncaught target signal"  # QEMU's own words
_KEPT_LINES = 15
_LONGEST = 4096  # characters of an unfinished line that are kept
_NAME = 120  # characters of a step's name that are shown
_SILENCE = 15.0  # seconds between two lines of what steps write
_WIDTH = 160  # characters of such a line
_WORTH_A_LINE = 2.0  # seconds of a step
_LARGE = 1 << 20  # bytes of a transfer worth a bar of its own


@dataclass(frozen=True)
class FailedStep:
    """The step that broke the build: its instruction, BuildKit's error, its last output.

    crash: the line in which QEMU said that it crashed, however long ago; empty if it did not.
    """

    name: str
    error: str
    output: tuple[str, ...]
    crash: str = ""


@dataclass
class _Output:
    """What a step has written: its last lines, and one that is not finished yet."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    unfinished: str = ""
    crash: str = ""

    def add(self, text: str) -> str:
        """Take the next piece; the last line of it, empty where it has none."""
        *finished, rest = (self.unfinished + text).split("\n")
        # Progress bars write over their line.
        self.unfinished = rest.rpartition("\r")[2][-_LONGEST:]
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in finished if line.strip()]
        self.lines.extend(lines)
        self.crash = next((line for line in lines if _CRASH in line), self.crash)
        return lines[-1] if lines else self.unfinished

    def last(self) -> tuple[str, ...]:
        """The last lines, the unfinished one among them."""
        rest = (self.unfinished,) if self.unfinished.strip() else ()
        return (*self.lines, *rest)[-_KEPT_LINES:]


class BuildLog:
    """Reads the lines of one buildx run as they come."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds."""
        self._progress = progress
        self._clock = clock
        self._heard = clock()
        self._names: dict[str, str] = {}
        self._open: set[str] = set()
        self._transfers: dict[str, int] = {}
        self._output: dict[str, _Output] = {}
        self._last_words: deque[str] = deque(maxlen=60)
        self.failed: FailedStep | None = None

    def feed(self, line: str) -> None:
        """Take one line of output."""
        try:
            event = json.loads(line) if line.startswith("{") else None
        except ValueError:
            event = None
        if not isinstance(event, dict):
            if line.strip():
                self._last_words.append(line)
            return
        for log in event.get("logs") or []:
            self._log(log)
        for vertex in event.get("vertexes") or []:
            self._vertex(vertex)
        for status in event.get("statuses") or []:
            self._status(status)

    def close(self) -> None:
        """End what is still shown as under way."""
        for key in [*self._open, *self._transfers]:
            self._progress.finish(key)
        self._open.clear()
        self._transfers.clear()

    @property
    def last_words(self) -> str:
        """What buildx wrote besides events, its error above all."""
        return "\n".join(self._last_words)

    @property
    def line(self) -> int | None:
        """The line of the Dockerfile that buildx blames, from 1."""
        match = _PLACE.search(self.last_words)
        return int(match[1]) if match else None

    def _vertex(self, vertex: dict[str, Any]) -> None:
        key, name = str(vertex.get("digest", "")), str(vertex.get("name", ""))
        self._names[key] = name
        # BuildKit's own housekeeping is not what a user waits for; nor is the stub of a base.
        shown = not name.startswith("[internal]") and "] OCI load from client" not in name
        if shown and vertex.get("started") and not vertex.get("completed"):
            if key not in self._open:
                self._open.add(key)
                self._progress.start(key, _shortened(name))
        elif key in self._open:
            self._open.discard(key)
            self._progress.finish(key, _how_it_ended(vertex))
        error = str(vertex.get("error") or "")
        # Steps that were cancelled because another failed are not the cause.
        if error and "context canceled" not in error and self.failed is None:
            said = self._output.get(key, _Output())
            step = _shortened(_STEP_NUMBER.sub("", name))
            self.failed = FailedStep(step, error, said.last(), said.crash)

    def _status(self, status: dict[str, Any]) -> None:
        total, current = status.get("total") or 0, status.get("current") or 0
        key = f"{status.get('vertex')} {status.get('id')}"
        if total < _LARGE:
            return
        if key not in self._transfers:
            if status.get("completed"):
                return
            self._progress.start(key, str(status.get("id"))[:40], total)
            self._transfers[key] = 0
        self._progress.advance(key, current - self._transfers[key])
        self._transfers[key] = current
        if status.get("completed"):
            del self._transfers[key]
            self._progress.finish(key)

    def _log(self, log: dict[str, Any]) -> None:
        try:
            text = base64.b64decode(log.get("data") or "").decode("utf-8", "replace")
        except ValueError:
            return
        line = self._output.setdefault(str(log.get("vertex")), _Output()).add(text)
        # A step may run for half an hour: where there are no bars, this shows that it does.
        if line.strip() and self._clock() - self._heard >= _SILENCE:
            self._heard = self._clock()
            self._progress.say(f"  | {line[:_WIDTH]}")


def explain(log: BuildLog, status: int) -> ImgctlError:
    """The error behind a buildx run that failed with an exit status."""
    failed = log.failed
    said = failed.error if failed else _reason(log.last_words)
    output = (failed.crash, *failed.output) if failed else ()
    everything = "\n".join([said, log.last_words, *output])
    runs = failed is not None and failed.name.split(" ")[0] == "RUN"
    # What a step's own program could not reach is no trouble of the base.
    for pattern, kind, what, hint in _KNOWN if runs else (*_WITH_THE_BASE, *_KNOWN):
        if re.search(pattern, everything, re.IGNORECASE):
            return kind(what, _where(log, said), hint)
    if failed and runs:
        place = (f"Dockerfile line {log.line}",) if log.line else ()
        why = ": ".join((*place, _outcome(said), *failed.output[-1:]))
        hint = "what the step wrote last is above; `imgctl render` prints the Dockerfile"
        return ImgctlError(f"a step of the build failed: {failed.name}", why, hint)
    return ImgctlError("buildx could not build the image", said or f"exit status {status}")


def _shortened(name: str) -> str:
    """A step's name on one line: of a RUN the command, without its mounts."""
    text = " ".join(_RUN_FLAG.sub("", name).split())
    return text if len(text) <= _NAME else f"{text[:_NAME]}…"


def _how_it_ended(vertex: dict[str, Any]) -> str:
    """`cached`, or how long the step took; empty for one that nobody had to wait for."""
    if vertex.get("cached"):
        return "cached"
    try:
        began = datetime.fromisoformat(vertex["started"])
        seconds = (datetime.fromisoformat(vertex["completed"]) - began).total_seconds()
    except (KeyError, TypeError, ValueError):
        return ""
    return f"{seconds:.0f} s" if seconds >= _WORTH_A_LINE else ""


def _where(log: BuildLog, said: str) -> str:
    """The line and instruction, then what was said."""
    place = f"Dockerfile line {log.line}" if log.line else ""
    step = log.failed.name[:80] if log.failed else ""
    head = ", ".join(part for part in (place, step) if part)
    return f"{head}: {_outcome(said)}" if head else said


def _outcome(said: str) -> str:
    """Without the repetition of the command in BuildKit's error."""
    return said.rpartition('" did not complete successfully: ')[2][:300]


def _reason(words: str) -> str:
    """buildx's own error line, without its prefixes."""
    lines = [line for line in words.splitlines() if line.startswith("ERROR:")]
    text = lines[-1] if lines else words.splitlines()[-1] if words else ""
    for prefix in ("ERROR: ", "failed to build: ", "failed to solve: "):
        text = text.removeprefix(prefix)
    return text[:400]


_QEMU = (
    f"take another QEMU, for example `{PINNED[0]}` "
    f"({' and '.join(OTHER_RELEASES[1:])} are worth a try too), or a native arm64 --builder; "
    "`imgctl doctor` checks it"
)

# Pattern, error, what it means, what to do. The first that fits counts.
_WITH_THE_BASE: tuple[tuple[str, type[ImgctlError], str, str], ...] = (
    (
        r"401 Unauthorized|403 Forbidden|authorization failed|insufficient_scope",
        Unauthorized,
        "the builder may not read the base from its registry",
        "log in with `docker login` as the user who builds",
    ),
    (
        r"x509:|certificate signed by unknown authority|tls: failed to verify",
        Unreachable,
        "the builder does not trust the registry of the base",
        "where the daemon runs, put the authority into /etc/docker/certs.d/HOST/ca.crt; "
        "for another builder, into its buildkitd.toml",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        Unreachable,
        "the builder speaks TLS to a registry that does not",
        "name the registry under insecure-registries in daemon.json; "
        "for another builder, with `http = true` in its buildkitd.toml",
    ),
)
_KNOWN: tuple[tuple[str, type[ImgctlError], str, str], ...] = (
    (
        r"uncaught target signal",
        ImgctlError,
        "QEMU crashed while it ran a step of the build for arm64",
        f"emulation is at fault, not the step: {_QEMU}",
    ),
    (
        r"exit code: 139",
        ImgctlError,
        "a step of the build crashed, as programs do when QEMU fails to emulate arm64",
        f"where the builder emulates arm64, that is likely at fault: {_QEMU}",
    ),
    (
        r"exec format error",
        ImgctlError,
        "this machine cannot run arm64 programs, and a step of the build needs it",
        f"install emulation: `{INSTALL}`; `imgctl doctor` checks it",
    ),
    (
        r"failed to send write: .*no space left on device",  # what BuildKit sends us to be written
        ImgctlError,
        "there is no space left for the result of the build",
        "free some, or choose another place with --dist DIR",
    ),
    (
        r"no space left on device",
        ImgctlError,
        "the builder's disk is full",
        "free some: `docker builder prune`; `imgctl doctor` shows what is left",
    ),
    (
        r"to bridge docker0 failed|network bridge not found",
        ImgctlError,
        "the builder cannot make a network for a step of the build",
        "build with --network host",
    ),
    (
        r"network\.host is not allowed|granting entitlement network\.host",
        Refused,
        "the builder does not allow --network host",
        "create it with `--buildkitd-flags '--allow-insecure-entitlement network.host'`",
    ),
    (
        r"cannot connect to the docker daemon|error during connect",
        Unreachable,
        "the Docker daemon does not answer",
        "start it, or build with --engine direct",
    ),
    (
        r"no builder .* found",
        ImgctlError,
        "there is no such builder",
        "`docker buildx ls` lists them",
    ),
    (
        r"connection refused|no such host|i/o timeout|connection reset",
        Unreachable,
        "the builder could not reach a host",
        "check the network of the builder; --network host, --base-mirror and --wheel-mirror help",
    ),
)
