"""Fields of Harbor's objects, which leave out what is zero or empty.

What has another type than it should have counts as left out: a server that answers so is no
reason to break, and what is then missing is told where it matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(value: Mapping[str, Any], key: str) -> str:
    """A string; empty when left out."""
    item = value.get(key)
    return item if isinstance(item, str) else ""


def number(value: Mapping[str, Any], key: str, default: int = 0) -> int:
    """A whole number; the default when left out."""
    item = value.get(key)
    return item if isinstance(item, int) and not isinstance(item, bool) else default


def mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object; empty when left out."""
    item = value.get(key)
    return item if isinstance(item, dict) else {}


def mappings(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects; empty when left out."""
    item = value.get(key)
    return [entry for entry in item if isinstance(entry, dict)] if isinstance(item, list) else []
