"""What registries say when they want to know who asks: challenges, permissions, tokens.

WWW-Authenticate: RFC 9110 §11.6.1. Token replies and their `access` claim: the distribution
project's token authentication specification.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_PART = re.compile(
    r"\s*,?\s*(?:(?P<key>[\w-]+)\s*=\s*"
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
    r"|(?P<scheme>[\w-]+))"
)
# Tokens are dropped with this share of their life left, so that none dies on its way.
_USABLE_SHARE = 0.8
_DEFAULT_LIFE = 60.0  # seconds, where a reply does not say


class Permission(NamedTuple):
    """The right to one action (`pull`, `push`, `delete`) on one repository."""

    repository: str
    action: str


_SKEW = 60  # seconds that registries allow clocks to differ


@dataclass(frozen=True)
class Challenge:
    """One scheme (lower case) a server offers, with its parameters."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Token:
    """A bearer token. asked: the permissions it was asked for; granted: what it carries, None
    when it cannot be read; expires: on the monotonic clock, in seconds."""

    value: str
    asked: frozenset[Permission]
    granted: frozenset[Permission] | None
    expires: float

    def serves(self, needs: frozenset[Permission], now: float) -> bool:
        """Whether to send it: still valid, and no other token could carry more of what's needed."""
        return now < self.expires and needs <= self.asked | (self.granted or frozenset())


def parse_challenges(header: str) -> list[Challenge]:
    """Every challenge of a WWW-Authenticate header; several headers come joined by commas.

    Junk ends the list; Harbor sends an empty header for a project that does not exist.
    """
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while (part := _PART.match(header, position)) is not None:
        position = part.end()
        if part["scheme"] is not None:
            found.append((part["scheme"].lower(), {}))
        elif found:
            quoted = part["quoted"]
            value = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1][part["key"].lower()] = value
    return [Challenge(scheme, parameters) for scheme, parameters in found]


def scope_strings(permissions: Iterable[Permission]) -> list[str]:
    """Permissions as token scopes, one per repository: `repository:a/b:pull,push`."""
    actions: dict[str, set[str]] = {}
    for repository, action in permissions:
        actions.setdefault(repository, set()).add(action)
    return [f"repository:{name}:{','.join(sorted(actions[name]))}" for name in sorted(actions)]


def parse_token(value: Any, asked: frozenset[Permission], now: float) -> Token | None:
    """A token service's JSON reply; None when there is no token in it."""
    if not isinstance(value, dict):
        return None
    text = value.get("token") or value.get("access_token")
    if not isinstance(text, str) or not text.isascii() or not text.isprintable():
        return None
    life = value.get("expires_in")
    seconds = float(life) if isinstance(life, int | float) and life > 0 else _DEFAULT_LIFE
    return Token(text, asked, granted_by(text), now + seconds * _USABLE_SHARE)


def granted_by(token: str) -> frozenset[Permission] | None:
    """The permissions in a JWT's `access` claim, unverified; None when it is no such token."""
    claims = _claims(token)
    access = claims.get("access")
    if access is None and "access" in claims:
        return frozenset()
    if not isinstance(access, list):
        return None
    found: set[Permission] = set()
    for item in access:
        if isinstance(item, dict) and item.get("type") == "repository":
            actions = item.get("actions") or []
            names = {"pull", "push", "delete"} if "*" in actions else set(map(str, actions))
            found.update(Permission(str(item.get("name", "")), action) for action in names)
    return frozenset(found)


def why_unfit(token: str, service: str, now: float) -> str:
    """What a JWT's own claims say against it; empty when nothing does.

    service: what the registry calls itself. now: in seconds since 1970.
    """
    claims = _claims(token)
    audience = claims.get("aud")
    names = audience if isinstance(audience, list) else [audience]
    if service and audience and service not in names:
        return f"it is for {', '.join(map(str, names))[:80]}, and the registry is {service}"
    begins, ends = claims.get("nbf"), claims.get("exp")
    if isinstance(begins, int | float) and begins > now + _SKEW:
        return f"it is valid only in {begins - now:.0f} s, by this machine's clock"
    if isinstance(ends, int | float) and ends < now:
        return f"it had expired {now - ends:.0f} s before, by this machine's clock"
    return ""


def _claims(token: str) -> dict[str, Any]:
    """What a JWT says, unverified; nothing when it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
