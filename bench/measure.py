"""Running commands side by side: wall time and peak memory of each, interleaved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.result import Figure, Row

T = TypeVar("T")

LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds on the wall and of processor, peak_rss in bytes, its output."""

    seconds: float
    processor: float
    peak_rss: int
    output: str = ""


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> Run:
    """Run a command to its end and measure it; raises RuntimeError when it fails.

    env: added to this process's own. timeout: seconds.
    """
    with tempfile.NamedTemporaryFile(prefix="imgctl-bench-") as result:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), result.name, *command],
            cwd=cwd,
            env={**_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            shown = " ".join(command)
            raise RuntimeError(f"exit {done.returncode}: {shown}\n{done.stdout[-2000:]}")
        measured = json.loads(Path(result.name).read_text())
    return Run(**measured, output=done.stdout)


def _environment() -> dict[str, str]:
    """This process's environment, as users have theirs: with Python's compiled files in use."""
    unusual = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in unusual}


def row(name: str, runs: Sequence[Run]) -> Row:
    """A table's row with what was measured of each run."""
    figures = {
        "wall": Figure.of("s", (item.seconds for item in runs)),
        "processor": Figure.of("s", (item.processor for item in runs)),
        "peak memory": Figure.of("B", (item.peak_rss for item in runs)),
    }
    return Row(name, figures)


def interleave(
    candidates: Mapping[str, Callable[[int], T]], repetitions: int
) -> dict[str, list[T]]:
    """Call every candidate `repetitions` times, in rounds, with the number of the round.

    In rounds so that what disturbs the machine for a while disturbs all alike; each round starts
    with another candidate, so that none always comes first.
    """
    names = list(candidates)
    results: dict[str, list[T]] = {name: [] for name in names}
    for number in range(repetitions):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            results[name].append(candidates[name](number))
    return results
