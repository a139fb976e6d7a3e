"""When to ask again, and how long to wait before."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

# 429 slow down; 408, 499, 502, 503, 504, 522 a proxy gave up; 500 Harbor under concurrent pushes.
RETRIED = frozenset({408, 429, 499, 500, 502, 503, 504, 522})


@dataclass(frozen=True)
class RetryPolicy:
    """attempts in all; first: seconds before the second one, doubled each time up to longest.

    Each wait is shortened by chance by up to half, so that many clients do not come back at once.
    What a server asks for with Retry-After is obeyed up to longest_asked seconds.
    """

    attempts: int = 5
    first: float = 0.25
    longest: float = 20.0
    longest_asked: float = 60.0

    def delay(self, attempt: int, retry_after: str | None = None) -> float:
        """Seconds to wait after attempt (counted from 1) has failed."""
        asked = parse_retry_after(retry_after) if retry_after else None
        if asked is not None:
            return min(max(asked, 0.0), self.longest_asked)
        backoff: float = min(self.first * 2 ** (attempt - 1), self.longest)
        return backoff * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it


def parse_retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header, given in seconds or as a date; None for junk."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
