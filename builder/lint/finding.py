"""What lint says, and the rules it says it by: builder/data/lint.yaml as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from builder.matrix import read_data

if TYPE_CHECKING:
    from builder.lint.document import Step

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Rule:
    """One rule: what it finds (title), why that matters, what to do, and how bad it is.

    regex: for rules that are nothing but a pattern. unless: rules that say more about the same
    line. source: who reported it, where that is public.
    """

    id: str
    level: Level
    title: str
    why: str
    fix: str
    regex: re.Pattern[str] | None = None
    unless: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Hit:
    """What a check found, before the rule's own words are added.

    step: the instruction it belongs to (a suppression above it counts). line: the exact one.
    detail: the words of this place, put behind the title. level, why, fix: instead of the rule's.
    """

    rule: str
    step: Step
    line: int
    detail: str = ""
    level: Level | None = None
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Finding:
    """One place that breaks one rule. line: from 1. filename: as the caller named the text."""

    rule: str
    level: Level
    filename: str
    line: int
    message: str
    why: str
    fix: str

    def to_json(self) -> dict[str, str | int]:
        """The finding as JSON values."""
        return {
            "rule": self.rule,
            "level": self.level,
            "file": self.filename,
            "line": self.line,
            "message": self.message,
            "why": self.why,
            "fix": self.fix,
        }


def load_rules() -> dict[str, Rule]:
    """Every rule by its id, in the file's order."""
    return {
        id_: Rule(
            id=id_,
            level=raw["level"],
            title=raw["title"],
            why=raw["why"],
            fix=raw["fix"],
            regex=re.compile(raw["regex"]) if "regex" in raw else None,
            unless=tuple(raw.get("unless", ())),
            source=raw.get("source", ""),
        )
        for id_, raw in read_data("lint.yaml")["rules"].items()
    }
