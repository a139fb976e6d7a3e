"""What every measurement is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.result import Result


@dataclass(frozen=True)
class Setting:
    """imgctl: the console script. work: a folder on a disk with room, emptied afterwards.

    quick: fewer and smaller runs, to see that all works. say: shows progress.
    """

    imgctl: str
    work: Path
    quick: bool
    say: Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """A part of the benchmarks: its name for --only, and what makes it."""

    name: str
    measure: Callable[[Setting], Result]
