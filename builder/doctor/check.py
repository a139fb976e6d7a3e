"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from registry.errors import ImgctlError

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    warning: it works, or is not needed, and may surprise. says: one line. remedies: what to do, a
    command where there is one; one is enough where several are given.
    """

    name: str
    state: State
    says: str
    remedies: tuple[str, ...] = ()

    def unneeded(self, why: str) -> Check:
        """The same where it does not stand in the way of what was asked."""
        if self.state != "failed":
            return self
        return replace(self, state="warning", says=f"{self.says} (not needed: {why})")

    def to_json(self) -> dict[str, Any]:
        """Its fields as JSON values."""
        return {
            "name": self.name,
            "state": self.state,
            "says": self.says,
            "remedies": list(self.remedies),
        }


def ok(name: str, says: str) -> Check:
    """A check that found nothing wrong."""
    return Check(name, "ok", says)


def warning(name: str, says: str, *remedies: str) -> Check:
    """A check that found something to know."""
    return Check(name, "warning", says, remedies)


def failed(name: str, says: str, *remedies: str) -> Check:
    """A check that found something in the way."""
    return Check(name, "failed", says, remedies)


def failed_by(name: str, error: ImgctlError) -> Check:
    """A check that ended in an error, whose hint is the remedy."""
    says = f"{error.what}: {error.why}" if error.why else error.what
    return Check(name, "failed", says, (error.hint,) if error.hint else ())
