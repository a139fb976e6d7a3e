"""History, rollback and outdated: read from a repository with real releases in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from semver import Version

from builder.matrix import Matrix
from registry.client import RegistryClient, RegistryOptions
from registry.errors import BadInput, NotFound, Refused
from registry.layout import LayoutStore
from registry.oci import Descriptor, Platform
from registry.push import PlainTarget
from registry.reference import Reference
from registry.repository import Repository
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.signing.attach import attest, sign
from registry.signing.keys import PrivateKey
from registry.signing.statement import SPDX, Statement
from registry.store import Store
from registry.transfer import copy
from release.listing import Released, followed, list_releases
from release.outdated import newest, outdated
from release.remote import BASE_DIGEST, BASE_NAME
from release.rollback import plan_rollback, put_tags, write_manifests
from release.tags import TagScheme
from tests.unit.release.images import put, tar

BASE = "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3"
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@dataclass(frozen=True)
class World:
    """A repository on a registry in memory, filled by way of a layout."""

    repository: Repository
    layout: LayoutStore

    def release(self, version: str, *tags: str, l4t: str = "r35.2.1", base: str = OLD) -> str:
        labels = {BASE_NAME: BASE, BASE_DIGEST: base}
        made = put(self.layout, "x", tar({"v": version.encode()}), Labels=labels, Cmd=["run"])
        for tag in (f"{version}-l4t-{l4t}", *tags):
            copy(self.layout, self.repository, made.digest, tag)
        return made.digest

    def released(self) -> list[Released]:
        return list_releases(self.repository, TagScheme(), Platform())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serve(MemoryRegistry()) as host, RegistryClient(RegistryOptions()) as client:
        store = LayoutStore.create(tmp_path / "layout")
        yield World(client.repository(host, "algorithms/mnist", push=True), store)


def test_releases_are_listed_newest_first_with_the_tags_that_name_them(world: World) -> None:
    old = world.release("1.9.0", "1.9.0", "1.9")
    new = world.release("1.10.0", "1.10.0", "1.10", "1", "latest")
    found = world.released()
    assert [(str(item.version), item.digest) for item in found] == [("1.10.0", new), ("1.9.0", old)]
    assert found[0].tags == ("1", "1.10", "1.10.0", "latest")
    assert not found[0].signed
    assert found[0].to_json()["base"] == BASE


def test_what_was_never_pushed_has_no_history(world: World) -> None:
    assert world.released() == []


def test_a_rollback_moves_the_readable_tags_and_nothing_else(world: World) -> None:
    old = world.release("1.4.0", "1.4.0", "1.4")
    new = world.release("1.5.0", "1.5.0", "1.5", "1", "latest")
    plan = plan_rollback(world.repository, TagScheme(), Version.parse("1.4.0"), "r35.2.1")
    assert plan.moves == {"1": new, "latest": new}
    put_tags(world.repository, PlainTarget(), plan)
    names = {item.digest: item.tags for item in world.released()}
    assert names == {old: ("1", "1.4", "1.4.0", "latest"), new: ("1.5", "1.5.0")}


def test_manifests_of_the_release_gone_back_to(world: World, tmp_path: Path) -> None:
    old = world.release("1.4.0", "latest")
    plan = plan_rollback(world.repository, TagScheme(), Version.parse("1.4.0"), "r35.2.1")
    paths = write_manifests(plan, lambda: {"kind": "batch", "gpus": 1}, tmp_path / "out")
    pod = yaml.safe_load(paths[0].read_text())
    (container,) = pod["spec"]["containers"]
    assert container["image"].endswith(f"@{old}")
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert container["command"] == ["run"]


def test_only_a_real_release_can_be_gone_back_to(world: World) -> None:
    world.release("1.4.0")
    with pytest.raises(NotFound, match=r"no release 1\.3\.0"):
        plan_rollback(world.repository, TagScheme(), Version.parse("1.3.0"), "r35.2.1")
    with pytest.raises(Refused, match="pre-release"):
        plan_rollback(world.repository, TagScheme(), Version.parse("1.4.0-rc.1"), "r35.2.1")


def test_going_back_follows_the_line_of_the_readable_tags(world: World) -> None:
    world.release("1.4.0", l4t="r36.2.0", base=NEW)
    with pytest.raises(NotFound, match="for r35"):
        plan_rollback(world.repository, TagScheme(), Version.parse("1.4.0"), "r35.2.1")
    ours = world.release("1.4.0", "1.4.0", "1.4")
    world.release("1.5.0", "latest", base=NEW)
    assert (
        plan_rollback(world.repository, TagScheme(), Version.parse("1.4.0")).target.digest == ours
    )


def test_which_build_to_go_back_to_must_be_clear(world: World) -> None:
    world.release("1.4.0", l4t="r36.2.0", base=NEW)
    world.release("1.4.0")
    with pytest.raises(BadInput, match="which build"):
        plan_rollback(world.repository, TagScheme(), Version.parse("1.4.0"))


def test_a_rule_that_holds_one_tag_keeps_all_of_them(world: World) -> None:
    class Ruled(PlainTarget):
        def why_immutable(self, repository: Store, tag: str) -> str:
            return "a rule" if tag == "latest" else ""

    world.release("1.4.0", "1.4.0", "1.4")
    world.release("1.5.0", "1.5.0", "1.5", "1", "latest")
    before = [item.tags for item in world.released()]
    plan = plan_rollback(world.repository, TagScheme(), Version.parse("1.4.0"))
    with pytest.raises(Refused, match="latest is immutable"):
        put_tags(world.repository, Ruled(), plan)
    assert [item.tags for item in world.released()] == before


def test_signatures_and_lists_of_referrers_are_no_names_of_a_release(world: World) -> None:
    digest = world.release("1.4.0", "latest")
    for ending in ("", ".att", ".sig"):
        copy(world.layout, world.repository, digest, f"{digest.replace(':', '-')}{ending}")
    (found,) = world.released()
    assert found.tags == ("latest",)
    assert found.signed


def test_an_attestation_is_no_signature(world: World) -> None:
    digest = world.release("1.4.0")
    document = world.repository.manifest(digest)
    key = PrivateKey.generate()
    attest(world.repository, document, Statement((digest,), SPDX, {}, "x"), key, forms=["bundle"])
    assert not world.released()[0].signed
    sign(world.repository, document, key, forms=["bundle"])
    assert world.released()[0].signed


def test_the_line_that_readable_tags_follow(world: World) -> None:
    scheme = TagScheme()
    world.release("1.4.0")
    assert followed(world.repository, scheme, world.repository.tags()) is None
    world.release("1.4.0", "1.4.0", l4t="r36.2.0", base=NEW)
    world.release("1.5.0")
    assert followed(world.repository, scheme, world.repository.tags()) == "r36.2.0"


def descriptor(digest: str) -> Descriptor:
    return Descriptor("application/vnd.oci.image.manifest.v1+json", digest, 1)


def test_a_base_that_was_published_anew_makes_its_newest_image_outdated(world: World) -> None:
    world.release("1.4.0")
    world.release("1.5.0")
    asked: list[Reference] = []

    def look(base: Reference) -> Descriptor:
        asked.append(base)
        return descriptor(NEW)

    (found,) = outdated(newest(world.released()), Matrix.load(), look)
    assert str(found.release.version) == "1.5.0"
    assert NEW in found.why
    assert "imgctl rebase" in found.hint
    assert [str(item) for item in asked] == [BASE]


def test_a_base_that_is_gone_is_told(world: World) -> None:
    world.release("1.4.0")
    (found,) = outdated(newest(world.released()), Matrix.load(), lambda base: None)
    assert "is gone" in found.why


def test_what_stands_on_the_base_as_it_is_now_is_not_outdated(world: World) -> None:
    world.release("1.4.0", base=NEW)
    found = outdated(newest(world.released()), Matrix.load(), lambda base: descriptor(NEW))
    assert found == []


def test_a_newer_release_of_the_line_with_its_own_base_is_told(world: World) -> None:
    world.release("1.4.0", l4t="r32.4.3", base=NEW)
    (found,) = outdated(world.released(), Matrix.load(), lambda base: descriptor(NEW))
    assert "r32.7.1" in found.why
    assert "imgctl release mnist --l4t r32.7.1" in found.hint
    world.release("1.4.0", l4t="r32.7.1", base=NEW)
    assert outdated(world.released(), Matrix.load(), lambda base: descriptor(NEW)) == []
