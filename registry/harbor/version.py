"""Which Harbor it is: what some versions have and others have not."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBERS = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")

PERMISSION_LIST = (2, 10)  # GET /permissions, and robots' permissions checked against it
SBOM = (2, 11)  # scan_type, auto_sbom_generation, sbom_overview
PROJECT_ARTIFACTS = (2, 12)  # GET /projects/{name}/artifacts


@dataclass(frozen=True)
class Version:
    """A Harbor version as it names itself, like `v2.9.5-0c2a1b7e`."""

    text: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """Major, minor and patch; empty for a build without a number."""
        found = _NUMBERS.match(self.text)
        return tuple(int(part or 0) for part in found.groups()) if found else ()

    def at_least(self, wanted: tuple[int, int]) -> bool:
        """Whether this is (major, minor) or newer; a build without a number counts as newest."""
        return not self.numbers or self.numbers[:2] >= wanted

    def __str__(self) -> str:
        return self.text.partition("-")[0] or "unknown"
