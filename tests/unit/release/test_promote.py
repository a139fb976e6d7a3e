"""Promotion between repositories of a registry in memory: digests stay, tags move last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.errors import NotFound, Refused
from registry.layout import LayoutStore
from registry.oci import OCI_MANIFEST, Document
from registry.reference import Reference
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.signing.attach import sign
from registry.signing.keys import PrivateKey
from registry.signing.verify import verify
from registry.store import Store
from registry.transfer import CopyOptions, copy
from release.promote import Promoted, promote, resolve
from tests.unit.release.images import put, tar

WITH_REFERRERS = CopyOptions(referrers=True)


def anything(store: Store, digest: str) -> None:
    """What asks nothing of an image."""


@dataclass(frozen=True)
class World:
    """A registry in memory with `dev/mnist:1.4.0`, to which one document refers."""

    client: RegistryClient
    memory: MemoryRegistry
    host: str
    digest: str

    def tags(self, repository: str) -> dict[str, str]:
        found = self.memory.repositories.get(repository)
        return dict(found.tags) if found else {}

    def promote(self, to: str, *, move: bool = False) -> Promoted:
        source = Reference.parse(f"{self.host}/dev/mnist:1.4.0")
        promotion = replace(resolve(self.client, source, f"{self.host}/{to}"), move=move)
        return promote(self.client, promotion, anything, options=WITH_REFERRERS)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    memory = MemoryRegistry()
    with serve(memory) as host, RegistryClient(RegistryOptions()) as client:
        layout = LayoutStore.create(tmp_path / "layout")
        made = put(layout, "x", tar({"a": b"content"}))
        store = client.repository(host, "dev/mnist", push=True)
        copy(layout, store, made.digest, "1.4.0")
        about = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/example",
            "config": made.config.to_json(),
            "layers": [],
            "subject": made.descriptor.to_json(),
        }
        store.put_manifest(Document.of(about, OCI_MANIFEST))
        yield World(client, memory, host, made.digest)


def test_the_digest_the_tag_and_what_refers_to_it_go_along(world: World) -> None:
    done = world.promote("prod")
    assert (done.digest, done.tally.sent_bytes, done.unchanged) == (world.digest, 0, False)
    assert world.tags("prod/mnist")["1.4.0"] == world.digest
    there = world.client.repository(world.host, "prod/mnist")
    assert len(there.referrers(world.digest)) == 1
    assert world.promote("prod").unchanged


def test_another_tag_may_be_given(world: World) -> None:
    world.promote("prod/team:stable")
    assert world.tags("prod/team/mnist")["stable"] == world.digest


def test_what_the_check_refuses_goes_nowhere(world: World) -> None:
    def refuses(store: Store, digest: str) -> None:
        raise Refused(f"{digest} is not signed")

    source = Reference.parse(f"{world.host}/dev/mnist:1.4.0")
    promotion = resolve(world.client, source, f"{world.host}/prod")
    with pytest.raises(Refused, match="not signed"):
        promote(world.client, promotion, refuses, options=WITH_REFERRERS)
    assert world.tags("prod/mnist") == {}


def test_a_tag_that_names_something_else_stays_unless_it_may_move(
    world: World, tmp_path: Path
) -> None:
    layout = LayoutStore.create(tmp_path / "other")
    other = put(layout, "x", tar({"a": b"other"}))
    copy(layout, world.client.repository(world.host, "prod/mnist", push=True), "x", "1.4.0")
    with pytest.raises(Refused, match="another image"):
        world.promote("prod")
    assert world.tags("prod/mnist")["1.4.0"] == other.digest
    world.promote("prod", move=True)
    assert world.tags("prod/mnist")["1.4.0"] == world.digest


def test_a_tag_that_is_no_version_follows(world: World, tmp_path: Path) -> None:
    layout = LayoutStore.create(tmp_path / "other")
    put(layout, "x", tar({"a": b"other"}))
    copy(layout, world.client.repository(world.host, "prod/mnist", push=True), "x", "stable")
    world.promote("prod:stable")
    assert world.tags("prod/mnist")["stable"] == world.digest


def test_what_arrived_is_checked_before_the_tag_names_it(world: World) -> None:
    def refuses_there(store: Store, digest: str) -> None:
        if str(store).endswith("prod/mnist"):
            raise Refused("not as it was")

    source = Reference.parse(f"{world.host}/dev/mnist:1.4.0")
    promotion = resolve(world.client, source, f"{world.host}/prod")
    with pytest.raises(Refused, match="not as it was"):
        promote(world.client, promotion, refuses_there, options=WITH_REFERRERS)
    assert "1.4.0" not in world.tags("prod/mnist")


def test_a_promotion_takes_few_requests_and_the_next_one_asks_for_new_layers_only(
    world: World, tmp_path: Path
) -> None:
    layout = LayoutStore.create(tmp_path / "many")
    base = [tar({f"{number}": b"base"}) for number in range(20)]
    source = world.client.repository(world.host, "many/mnist", push=True)
    for version in ("1.0.0", "1.0.1"):
        made = put(layout, version, *base, tar({"run": version.encode()}))
        copy(layout, source, made.digest, f"{version}-l4t-r35.2.1")
    costs = []
    for version in ("1.0.0", "1.0.1"):
        name = Reference.parse(f"{world.host}/many/mnist:{version}-l4t-r35.2.1")
        promotion = resolve(world.client, name, f"{world.host}/prod")
        done = promote(world.client, promotion, anything, options=WITH_REFERRERS)
        assert done.tally.sent == 0
        costs.append(done.requests)
    assert costs[1] <= 15 < costs[0]


def test_a_signed_image_is_checked_at_both_ends_and_read_once(world: World) -> None:
    source = world.client.repository(world.host, "dev/mnist", push=True)
    key = PrivateKey.generate()
    sign(source, source.manifest(world.digest), key)
    name = Reference.parse(f"{world.host}/dev/mnist:1.4.0")
    promotion = resolve(world.client, name, f"{world.host}/prod")
    seen = []

    def checked(store: Store, digest: str) -> None:
        seen.append(str(store))
        assert len(verify(store, digest, [key.public]).signatures) == 2

    done = promote(world.client, promotion, checked, options=WITH_REFERRERS)
    assert seen == [f"{world.host}/dev/mnist", f"{world.host}/prod/mnist"]
    verify(world.client.repository(world.host, "prod/mnist"), done.digest, [key.public])


def test_what_is_not_there_cannot_be_promoted(world: World) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        resolve(world.client, Reference.parse(f"{world.host}/dev/mnist:9"), f"{world.host}/prod")
