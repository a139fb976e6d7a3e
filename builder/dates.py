"""Dates as image configs and records have them."""

from __future__ import annotations

from datetime import UTC, datetime

# RFC 3339 has four digits for the year.
LAST_SECOND = 253402300799


def timestamp(seconds: int) -> str:
    """Seconds since 1970 as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
