"""What a measurement finds: figures with their spread, and the targets they are held against."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A quantity measured several times. unit: "s", "B", "x" (a ratio), or "" for a count."""

    unit: str
    values: tuple[float, ...]

    @classmethod
    def of(cls, unit: str, values: Iterable[float]) -> Figure:
        """A figure; raises ValueError when nothing was measured."""
        given = tuple(values)
        if not given:
            raise ValueError("a figure needs at least one value")
        return cls(unit, given)

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(self.values)


@dataclass(frozen=True)
class Row:
    """One candidate in a table; figures by column title, in the order of the columns."""

    name: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Table:
    """Candidates compared under the same conditions, which the title states."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Target:
    """A promise and what was measured: kept when value <= limit, both in unit (see Figure)."""

    what: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Result:
    """One measurement. about: how it is made, in a paragraph."""

    name: str
    title: str
    about: str
    tables: tuple[Table, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Kept:
    """A result with its circumstances.

    date: ISO 8601, UTC. commit: what was measured. seconds: how long the measurement took.
    machine: words by subject (see bench.machine). quick: made with fewer and smaller runs.
    """

    result: Result
    date: str
    commit: str
    seconds: float
    machine: Mapping[str, str]
    quick: bool


def save(path: Path, kept: Mapping[str, Kept]) -> None:
    """Write results by name as JSON."""
    value = {name: _to_json(item) for name, item in kept.items()}
    path.write_text(json.dumps(value, indent=1) + "\n")


def load(path: Path) -> dict[str, Kept]:
    """Read what save() wrote; nothing when there is no such file."""
    if not path.is_file():
        return {}
    return {name: _from_json(item) for name, item in json.loads(path.read_text()).items()}


def _to_json(kept: Kept) -> dict[str, Any]:
    result = kept.result
    return {
        "date": kept.date,
        "commit": kept.commit,
        "seconds": round(kept.seconds, 1),
        "quick": kept.quick,
        "machine": dict(kept.machine),
        "name": result.name,
        "title": result.title,
        "about": result.about,
        "tables": [
            {
                "title": table.title,
                "note": table.note,
                "rows": [
                    {
                        "name": row.name,
                        "figures": {
                            column: {
                                "unit": figure.unit,
                                "values": [round(value, 6) for value in figure.values],
                            }
                            for column, figure in row.figures.items()
                        },
                    }
                    for row in table.rows
                ],
            }
            for table in result.tables
        ],
        "targets": [vars(target) for target in result.targets],
    }


def _from_json(value: Mapping[str, Any]) -> Kept:
    tables = tuple(
        Table(table["title"], tuple(_row(row) for row in table["rows"]), table["note"])
        for table in value["tables"]
    )
    targets = tuple(Target(**target) for target in value["targets"])
    result = Result(value["name"], value["title"], value["about"], tables, targets)
    return Kept(
        result,
        value["date"],
        value["commit"],
        value["seconds"],
        value["machine"],
        value["quick"],
    )


def _row(value: Mapping[str, Any]) -> Row:
    figures = {
        column: Figure.of(item["unit"], item["values"]) for column, item in value["figures"].items()
    }
    return Row(value["name"], figures)
