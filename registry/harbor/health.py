"""Whether Harbor's parts are well."""

from __future__ import annotations

from dataclasses import dataclass

from registry.harbor.api import HarborApi

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
    parts = [item for item in value.get("components") or () if isinstance(item, dict)]
    return Health(
        str(value.get("status", "")),
        tuple(str(item.get("name", "")) for item in parts),
        {
            str(item.get("name", "")): str(item.get("error") or item.get("status") or "")
            for item in parts
            if item.get("status") != HEALTHY
        },
    )
