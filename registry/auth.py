"""Authorisation at one registry (first slice: anonymous)."""

from __future__ import annotations

from typing import NamedTuple

from registry.answers import Answer
from registry.errors import RegistryError, Unauthorized


class Permission(NamedTuple):
    """The right to one action (`pull`, `push`, `delete`) on one repository."""

    repository: str
    action: str


class Authorizer:
    """Finds the Authorization header for requests to one host."""

    def __init__(self, host: str) -> None:
        self.host = host

    def header(self, needs: frozenset[Permission]) -> str | None:
        """The header for a request that needs these permissions; None while none is asked for."""
        return None

    def challenged(self, answer: Answer, needs: frozenset[Permission], sent: str | None) -> bool:
        """After a 401: whether asking again, with a new header, may help."""
        return False

    def denied(self, answer: Answer, doing: str, needs: frozenset[Permission]) -> RegistryError:
        """The cause of a 401 that stays."""
        return Unauthorized(f"not allowed to {doing}", answer.message, "", status=401)
