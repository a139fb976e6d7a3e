"""Contents read once, lists asked anew: a repository before a registry in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.errors import CorruptContent, NotFound
from registry.layout import LayoutStore
from registry.oci import Document
from registry.remembered import Contents, Remembered
from registry.repository import Repository
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.transfer import copy
from tests.unit.release.images import put, tar


@dataclass(frozen=True)
class World:
    client: RegistryClient
    repository: Repository
    document: Document

    def cost(self) -> int:
        return self.client.requests


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serve(MemoryRegistry()) as host, RegistryClient(RegistryOptions()) as client:
        layout = LayoutStore.create(tmp_path)
        made = put(layout, "x", tar({"a": b"1"}))
        repository = client.repository(host, "dev/mnist", push=True)
        copy(layout, repository, made.digest, "1.0.0")
        yield World(client, repository, made)


def test_a_frozen_one_asks_for_everything_once(world: World) -> None:
    store = Remembered(world.repository, Contents(), frozen=True)
    for _ in range(2):
        assert store.manifest("1.0.0") == world.document
        assert store.manifest(world.document.digest) == world.document
        assert store.manifest_descriptor("gone") is None
        assert store.blob_bytes(world.document.config)
        assert store.referrers(world.document.digest) == []
        assert store.tags() == ["1.0.0"]
        cost = world.cost()
    for _ in range(2):
        store.manifest("1.0.0")
        store.manifest_descriptor("gone")
        store.blob_bytes(world.document.config)
        store.referrers(world.document.digest)
        store.tags()
    assert world.cost() == cost
    with pytest.raises(NotFound):
        store.manifest("gone")


def test_one_that_is_not_sees_tags_move_and_shares_contents(world: World) -> None:
    contents = Contents()
    Remembered(world.repository, contents, frozen=True).manifest("1.0.0")
    store = Remembered(world.repository, contents)
    cost = world.cost()
    assert store.manifest(world.document.digest) == world.document
    assert world.cost() == cost
    assert store.manifest_descriptor("latest") is None
    store.put_manifest(world.document, "latest")
    assert store.manifest("latest") == world.document
    assert store.tags() == ["1.0.0", "latest"]


def test_a_size_that_is_not_the_blobs_is_not_taken_from_memory(world: World) -> None:
    store = Remembered(world.repository, Contents())
    config = world.document.config
    store.blob_bytes(config)
    with pytest.raises(CorruptContent):
        store.blob_bytes(type(config)(config.media_type, config.digest, config.size + 1))
