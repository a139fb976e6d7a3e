"""Replication: Harbor itself brings images from another registry.

Of a registry without a catalogue, as nvcr.io, it finds only what a filter names outright: patterns
here are names and braces, never stars.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from registry.errors import RegistryError
from registry.harbor.api import HarborApi, Query, created_id
from registry.harbor.registries import Endpoint, set_up_endpoint
from registry.harbor.registries import find as find_endpoint
from registry.harbor.steps import State, Step, attempt
from registry.harbor.values import mapping, mappings, number, text
from registry.progress import SILENT, Progress

_RUNNING = frozenset({"InProgress", "Pending", "Running", "Scheduled"})


@dataclass(frozen=True)
class Replication:
    """What is to come from where to where. repositories: of one folder, like `nvidia/l4t-base`.

    namespace: the project they go to; their whole name stays below it. Runs by hand only.
    """

    name: str
    repositories: tuple[str, ...]
    tags: tuple[str, ...]
    namespace: str

    def to_json(self, endpoint: Endpoint) -> dict[str, Any]:
        """As Harbor takes it."""
        return {
            "name": self.name,
            "description": "bases of images (imgctl)",
            "src_registry": {"id": endpoint.id},
            "dest_namespace": self.namespace,
            "dest_namespace_replace_count": 0,
            "trigger": {"type": "manual"},
            "filters": [
                {"type": "name", "value": _names(self.repositories)},
                {"type": "tag", "value": _braces(self.tags)},
            ],
            "override": True,
            "enabled": True,
        }

    def same_as(self, value: Mapping[str, Any], endpoint: Endpoint) -> bool:
        """Whether Harbor's policy does the same."""
        ours = self.to_json(endpoint)
        filters = {text(item, "type"): item.get("value") for item in mappings(value, "filters")}
        return (
            number(mapping(value, "src_registry"), "id") == endpoint.id
            and text(value, "dest_namespace") == self.namespace
            and number(value, "dest_namespace_replace_count") == 0
            and filters == {item["type"]: item["value"] for item in ours["filters"]}
            and value.get("enabled") is True
        )


def by_folder(
    name: str, images: Sequence[tuple[str, str]], namespace: str
) -> tuple[Replication, ...]:
    """One replication for each folder of (repository, tag): `nvidia/a`, `nvidia/b`."""
    folders: dict[str, list[tuple[str, str]]] = {}
    for repository, tag in images:
        folders.setdefault(repository.rpartition("/")[0], []).append((repository, tag))
    return tuple(
        Replication(
            f"{name}-{folder.replace('/', '-')}" if folder else name,
            tuple(dict.fromkeys(repository for repository, _ in pairs)),
            tuple(dict.fromkeys(tag for _, tag in pairs)),
            namespace,
        )
        for folder, pairs in folders.items()
    )


def set_up_replication(
    api: HarborApi, endpoint: Endpoint, wish: Replication, *, dry_run: bool = False
) -> Iterator[Step]:
    """Make the policy, or bring the one of its name to it; one step."""
    yield from attempt(f"replication {wish.name}", partial(_policy, api, endpoint, wish, dry_run))


def set_up_replications(
    api: HarborApi, endpoint: Endpoint, wishes: Sequence[Replication], *, dry_run: bool = False
) -> Iterator[Step]:
    """The endpoint and the policies that fetch from it, a step each. Takes a system administrator;
    ends after a refused endpoint."""
    for step in set_up_endpoint(api, endpoint, dry_run=dry_run):
        yield step
        if step.state is State.REFUSED:
            return
    known = find_endpoint(api, endpoint.url) or endpoint
    for wish in wishes:
        yield from set_up_replication(api, known, wish, dry_run=dry_run)


def _policy(api: HarborApi, endpoint: Endpoint, wish: Replication, dry_run: bool) -> Step:
    what, body = f"replication {wish.name}", wish.to_json(endpoint)
    shown = f"{_names(wish.repositories)}:{_braces(wish.tags)}"
    found = find(api, wish.name)
    if found is None:
        if not dry_run:
            api.change("POST", "/replication/policies", f"make {what} on {api.host}", body)
        return Step(what, State.MADE, shown)
    if wish.same_as(found, endpoint):
        return Step(what, State.THERE, shown)
    if not dry_run:
        path = f"/replication/policies/{number(found, 'id')}"
        api.change("PUT", path, f"change {what} on {api.host}", {**body, "id": number(found, "id")})
    return Step(what, State.CHANGED, shown)


def find(api: HarborApi, name: str) -> dict[str, Any] | None:
    """The policy of this name, as Harbor has it."""
    query: Query = {"q": f"name={name}"}
    for item in api.pages("/replication/policies", f"list the replications of {api.host}", query):
        if item.get("name") == name:
            return item
    return None


def run(
    api: HarborApi,
    name: str,
    *,
    timeout: float = 6 * 3600.0,
    interval: float = 5.0,
    progress: Progress = SILENT,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Run a policy and wait for its end; the execution, which succeeded.

    Raises RegistryError when there is no such policy, it fails, or takes longer than timeout.
    """
    found = find(api, name)
    doing = f"run replication {name} on {api.host}"
    if found is None:
        raise RegistryError(f"cannot {doing}: there is none by that name")
    body = {"policy_id": number(found, "id")}
    execution = created_id(api.change("POST", "/replication/executions", doing, body))
    deadline, said = time.monotonic() + timeout, ""
    while True:
        value = api.get(f"/replication/executions/{execution}", doing)
        status = text(value, "status")
        if status not in _RUNNING:
            break
        if time.monotonic() + interval > deadline:
            raise RegistryError(
                f"replication {name} is not over after {timeout:.0f} s", "", "it goes on in Harbor"
            )
        line = f"{number(value, 'succeed')} of {number(value, 'total')} images brought"
        if line != said:
            progress.say(f"replication {name}: {line}")
            said = line
        pause(interval)
    if status not in ("Succeed", "Success"):
        failed = f"{number(value, 'failed')} of {number(value, 'total')} images failed"
        raise RegistryError(
            f"replication {name} on {api.host} ended with {status}",
            text(value, "status_text") or failed,
            f"Harbor keeps the log of execution {execution}: see Replications there",
        )
    return value


def _names(repositories: Sequence[str]) -> str:
    """`nvidia/l4t-base`, `nvidia/{l4t-base,l4t-jetpack}`."""
    folder = repositories[0].rpartition("/")[0]
    last = _braces([name.rpartition("/")[2] for name in repositories])
    return f"{folder}/{last}" if folder else last


def _braces(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
