"""Where the blobs of a sparse build may be had: its base's repositories, and earlier pushes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from builder.dist import Build
from builder.mirror import Mirror
from registry.client import RegistryClient
from registry.errors import BadInput
from registry.origin import Origin
from registry.push import RECORD_FILE
from registry.reference import Reference
from registry.repository import Repository


def origins(
    build: Build, client: RegistryClient, mirror: Mirror | None, host: str, known: Iterable[Build]
) -> list[Origin]:
    """Repositories that hold blobs of a build, those asked first in front.

    mirror: a registry to be asked before the places the build names. known: builds whose push
    records say what the registry at host has got from here before: layers are mounted from there.
    """
    layers = {item.digest for item in build.record.layers(ours=False)}
    found: dict[tuple[str, str], Origin] = {}
    for place, repository in _base_places(build, mirror):
        store = client.repository(place, repository)
        found.setdefault((place, repository), Origin(store, frozenset(layers)))
    everything = layers | {item.digest for item in build.record.layers(ours=True)}
    for other in known:
        earlier = _pushed_to(other, host)
        shared = frozenset(everything & _layers(other)) if earlier else frozenset()
        if earlier is None or not shared:
            continue
        key = (earlier.host, earlier.repository)
        if key not in found or len(found[key].digests or ()) < len(shared):
            found[key] = Origin(client.repository(*key), shared, earlier.digest or "")
    return list(found.values())


def neighbours(places: Iterable[Origin], host: str) -> list[str]:
    """The repositories among origins that are on a host, whose blobs can be mounted there."""
    stores = (item.store for item in places)
    return [store.name for store in stores if isinstance(store, Repository) and store.host == host]


def _base_places(build: Build, mirror: Mirror | None) -> list[tuple[str, str]]:
    base: dict[str, Any] = build.record.value["base"]
    places = [(str(item["host"]), str(item["repository"])) for item in base["sources"]]
    if mirror is not None:
        mirrored = mirror.of(Reference.parse(str(base["reference"])))
        places.insert(0, (mirrored.host, mirrored.repository))
    return places


def _pushed_to(build: Build, host: str) -> Reference | None:
    """The repository on a host that a build was pushed to, if its record says so."""
    try:
        value = json.loads((build.folder / RECORD_FILE).read_text("utf-8"))
        reference = Reference.parse(f"{value['repository']}@{value['digest']}")
    except (OSError, ValueError, KeyError, TypeError, BadInput):
        # A record that cannot be read tells nothing; without it more is asked and sent.
        return None
    same = reference.host == host and reference.digest == build.record.digest
    return reference if same else None


def _layers(build: Build) -> set[str]:
    return {item.digest for ours in (True, False) for item in build.record.layers(ours=ours)}
