"""Whether Harbor's parts are well."""

from __future__ import annotations

from dataclasses import dataclass

from registry.harbor.api import HarborApi
from registry.harbor.values import mappings, text

HEALTHY = "healthy"


@dataclass(frozen=True)
class Health:
    """GET /health. ailing: parts that are not well, each with what it says."""

    status: str
    components: tuple[str, ...]
    ailing: dict[str, str]

    @property
    def good(self) -> bool:
        """Whether every part is well."""
        return self.status == HEALTHY and not self.ailing


def health(api: HarborApi) -> Health:
    """How Harbor's parts are; asked without a login, answered with 200 however they are."""
    value = api.get("/health", f"ask for the health of {api.host}")
    parts = mappings(value, "components")
    return Health(
        text(value, "status"),
        tuple(text(item, "name") for item in parts),
        {
            text(item, "name"): text(item, "error") or text(item, "status")
            for item in parts
            if item.get("status") != HEALTHY
        },
    )
