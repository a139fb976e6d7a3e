"""What setting something up did, or would do, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry.errors import Unauthorized


class State(StrEnum):
    """How a step ended; on a dry run, how it would."""

    THERE = "there"
    MADE = "made"
    CHANGED = "changed"
    DELETED = "deleted"
    ABSENT = "absent"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True)
class Step:
    """One thing that is to be so. what: `quota`. detail: how it is now; for what was skipped or
    refused, why. before: how it was, where it was changed."""

    what: str
    state: State
    detail: str = ""
    before: str = ""

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        value = {"what": self.what, "state": str(self.state), "detail": self.detail}
        return value | {"before": self.before} if self.before else value


def attempt(what: str, act: Callable[[], Step]) -> Iterator[Step]:
    """The step that act takes; a refused one where the account may not, so that others follow."""
    try:
        yield act()
    except Unauthorized as error:
        why = f": {error.why}" if error.why else ""
        yield Step(what, State.REFUSED, f"{error.what}{why}")
