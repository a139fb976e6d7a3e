"""Garbage collection: the blobs that nothing names any more, counted or deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import RegistryError
from registry.harbor.api import ROOT, HarborApi, created_id
from registry.harbor.problems import Conflict
from registry.harbor.values import number, text

_ENDED = frozenset({"success", "error", "stopped"})


@dataclass(frozen=True)
class Collection:
    """One run. blobs, manifests: deleted, or to be deleted on a dry run. freed: bytes, None where
    this Harbor does not say."""

    id: int
    status: str
    dry_run: bool
    blobs: int
    manifests: int
    freed: int | None

    @property
    def ended(self) -> bool:
        """Whether it is over, well or not."""
        return self.status.lower() in _ENDED

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return {
            "id": self.id,
            "status": self.status,
            "dry_run": self.dry_run,
            "blobs": self.blobs,
            "manifests": self.manifests,
            "freed": self.freed,
        }


def start(api: HarborApi, *, dry_run: bool, delete_untagged: bool = False) -> int:
    """Start a run; its number. Takes a system administrator, or a robot account of the system."""
    body = {
        "schedule": {"type": "Manual"},
        "parameters": {"dry_run": dry_run, "delete_untagged": delete_untagged},
    }
    doing = f"collect garbage on {api.host}"
    try:
        return created_id(api.change("POST", "/system/gc/schedule", doing, body))
    except Conflict as error:
        raise Conflict(
            f"cannot {doing}: that is being done already",
            error.why,
            "run the same command again when it is over",
            status=409,
        ) from error


def wait(
    api: HarborApi,
    run: int,
    *,
    timeout: float = 3600.0,
    interval: float = 2.0,
    pause: Callable[[float], None] = time.sleep,
) -> Collection:
    """The run once it is over. Raises RegistryError when it fails or takes longer than timeout."""
    doing = f"look at garbage collection {run} of {api.host}"
    deadline = time.monotonic() + timeout
    while True:
        found = _collection(api.get(f"/system/gc/{run}", doing))
        if found.ended:
            break
        if time.monotonic() + interval > deadline:
            raise RegistryError(
                f"garbage collection {run} on {api.host} is not over after {timeout:.0f} s",
                f"its status is {found.status}",
                "it goes on in Harbor",
            )
        pause(interval)
    if found.status.lower() != "success":
        raise RegistryError(
            f"garbage collection {run} on {api.host} ended with {found.status}",
            "",
            f"its log: {ROOT}/system/gc/{run}/log",
        )
    return found


def _collection(value: Mapping[str, Any]) -> Collection:
    try:
        parameters = json.loads(text(value, "job_parameters") or "{}")
    except ValueError:
        parameters = {}
    known: dict[str, Any] = parameters if isinstance(parameters, dict) else {}
    return Collection(
        number(value, "id"),
        text(value, "job_status"),
        known.get("dry_run") is True,
        number(known, "purged_blobs"),
        number(known, "purged_manifests"),
        number(known, "freed_space") if "freed_space" in known else None,
    )
