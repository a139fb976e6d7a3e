"""Releases against a registry in memory: named last, never half, and again at no cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from semver import Version

from builder.dist import Build
from registry.client import RegistryClient, RegistryOptions
from registry.errors import ImgctlError, Refused
from registry.oci import Document
from registry.push import PlainTarget
from registry.repository import Repository
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.store import Store
from release.procedure import Job, check, dry_run, finish, release, start_record
from release.push import Place, Work
from release.record import ReleaseRecord, load_record, record_path
from release.tags import TagScheme
from tests.unit.imgctl.builds import make_build, put_base

BASE = "nvidia/l4t-base"
LINE = ("r35.1.0", "r35.2.1", "r35.3.1")


@dataclass(frozen=True)
class World:
    """A registry in memory and a folder for builds."""

    memory: MemoryRegistry
    client: RegistryClient
    host: str
    dist: Path

    def tags(self) -> dict[str, str]:
        found = self.memory.repositories.get("algorithms/mnist")
        return dict(found.tags) if found else {}

    def job(self, version: str, *l4t: str) -> Job:
        return Job(
            image="mnist",
            version=Version.parse(version),
            l4t=l4t or ("r35.2.1",),
            default_line=LINE,
            scheme=TagScheme(),
            work=Work(self.client, Place(self.host, "algorithms"), PlainTarget()),
            path=record_path(self.dist, "mnist", version),
            now=lambda: "2026-01-02T03:04:05Z",
        )

    def build(self, version: str, l4t: str = "r35.2.1", script: bytes = b"script") -> Build:
        tag = f"{version}-l4t-{l4t}"
        content = b" ".join((script, version.encode(), l4t.encode()))
        folder = make_build(self.dist, tag=tag, base=(self.host, BASE), script=content,
                            version=version, l4t=l4t)  # fmt: skip
        return Build.load(folder)

    def release(self, job: Job, *builds: Build) -> ReleaseRecord:
        """Release builds as the command does, from the record that is there."""
        check(job)
        found = dict(zip(job.l4t, builds, strict=True))
        return finish(job, release(job, found, start_record(job, "abc")))


@dataclass(frozen=True)
class Sealing:
    """Seals as told."""

    attach: Callable[[Store, Document], dict[str, str]]

    def __call__(
        self, repository: Store, document: Document, build: Build, tag: str
    ) -> dict[str, str]:
        assert tag == "1.4.0-l4t-r35.2.1"
        return self.attach(repository, document)

    def pending(self, repository: Store, build: Build, tag: str) -> list[str]:
        return ["https://slsa.dev/provenance/v1", "sha256-00.sig"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    memory = MemoryRegistry()
    with serve(memory) as host, RegistryClient(RegistryOptions()) as client:
        put_base(client.repository(host, BASE))
        yield World(memory, client, host, tmp_path / "dist")


def test_a_release_gets_its_own_tag_and_the_readable_ones(world: World) -> None:
    build = world.build("1.4.0")
    record = world.release(world.job("1.4.0"), build)
    digest = build.record.digest
    assert world.tags() == dict.fromkeys(
        ["1.4.0-l4t-r35.2.1", "1.4.0", "1.4", "1", "latest"], digest
    )
    assert record.finished
    assert load_record(record_path(world.dist, "mnist", "1.4.0")) == record
    for name in ("push.json", "pod.yaml", "deployment.yaml"):
        assert digest in (build.folder / name).read_text()


def test_again_changes_nothing(world: World) -> None:
    build = world.build("1.4.0")
    first = world.release(world.job("1.4.0"), build)
    sent = world.client.bytes_sent
    assert world.release(world.job("1.4.0"), build) == first
    assert world.client.bytes_sent == sent


def test_the_record_of_another_place_is_not_gone_on_with(world: World) -> None:
    build, job = world.build("1.4.0"), world.job("1.4.0")
    world.release(job, build)
    elsewhere = replace(job, work=replace(job.work, place=Place(world.host, "other")))
    assert start_record(elsewhere, "abc").done == {}
    assert start_record(job, "abc").finished


def test_a_fix_of_an_older_line_moves_its_own_tags_only(world: World) -> None:
    old, new = world.build("1.4.0"), world.build("2.0.0")
    world.release(world.job("1.4.0"), old)
    world.release(world.job("2.0.0"), new)
    with pytest.raises(Refused, match=r"below 2\.0\.0"):
        world.release(world.job("1.4.1"), world.build("1.4.1"))
    fix = world.build("1.4.1")
    world.release(replace(world.job("1.4.1"), backport=True), fix)
    tags = world.tags()
    assert tags["1.4"] == tags["1"] == fix.record.digest
    assert tags["2"] == tags["latest"] == new.record.digest
    assert tags["1.4.0"] == old.record.digest


def test_readable_tags_follow_the_default_line(world: World) -> None:
    other, default = world.build("1.4.0", "r36.4.3"), world.build("1.4.0", "r35.2.1")
    world.release(world.job("1.4.0", "r36.4.3", "r35.2.1"), other, default)
    tags = world.tags()
    assert tags["1.4.0-l4t-r36.4.3"] == other.record.digest
    assert tags["latest"] == tags["1.4.0"] == default.record.digest


def test_a_released_tag_with_other_content_is_refused_and_stays(world: World) -> None:
    world.release(world.job("1.4.0"), world.build("1.4.0"))
    before = world.tags()
    changed = world.build("1.4.0", script=b"changed")
    with pytest.raises(Refused, match="released with other content"):
        world.release(world.job("1.4.0"), changed)
    assert world.tags() == before


def test_whatever_stops_it_before_the_end_no_tag_is_seen(world: World) -> None:
    def fails(repository: Store, document: Document) -> dict[str, str]:
        raise ImgctlError("the key service does not answer")

    def seals(repository: Store, document: Document) -> dict[str, str]:
        assert repository.manifest(document.digest).digest == document.digest
        return {"key": "k", "signature": "sha256:…", "spdx": "sha256:…"}

    build = world.build("1.4.0")
    with pytest.raises(ImgctlError, match="does not answer"):
        world.release(replace(world.job("1.4.0"), seal=Sealing(fails)), build)
    assert world.tags() == {}
    kept = load_record(record_path(world.dist, "mnist", "1.4.0"))
    assert kept is not None
    assert kept.outcome("push", "r35.2.1") == {"digest": build.record.digest}
    assert kept.outcome("sign", "r35.2.1") is None
    assert not kept.finished

    sent = world.client.bytes_sent
    done = world.release(replace(world.job("1.4.0"), seal=Sealing(seals)), build)
    assert done.outcome("sign", "r35.2.1") == {"key": "k", "signature": "sha256:…"}
    assert done.outcome("attest", "r35.2.1") == {"spdx": "sha256:…"}
    assert "latest" in world.tags()
    # What was sent before is not sent again: five tags are put, nothing else.
    assert world.client.bytes_sent - sent < 5 * 2048


def test_a_dry_run_names_every_request_and_makes_none(world: World) -> None:
    build, job = world.build("1.4.0"), world.job("1.4.0")
    actions = dry_run(job, {"r35.2.1": build}, check(job))
    assert world.tags() == {}
    assert [action.step for action in actions] == ["build", "push", "tag", "manifests", "notes"]
    requests = [request for action in actions for request in action.requests]
    assert requests[-1] == "PUT /v2/algorithms/mnist/manifests/latest"
    assert any(f"manifests/{build.record.digest}" in request for request in requests)

    world.release(job, build)
    again = dry_run(job, {"r35.2.1": build}, check(job))
    assert [action.requests for action in again] == [(), (), (), (), ()]


def test_a_dry_run_names_what_would_be_signed(world: World) -> None:
    job = replace(world.job("1.4.0"), seal=Sealing(lambda repository, document: {}))
    build = world.build("1.4.0")
    (sign,) = [item for item in dry_run(job, {"r35.2.1": build}, check(job)) if item.step == "sign"]
    assert any("https://slsa.dev/provenance/v1" in request for request in sign.requests)
    assert sign.requests[-1] == "PUT /v2/algorithms/mnist/manifests/sha256-00.sig"


def test_a_tag_that_another_machine_put_meanwhile_is_not_taken_from_it(world: World) -> None:
    ours, theirs = world.build("1.4.0"), world.build("1.4.0", "r35.3.1")

    def interferes(repository: Store, document: Document) -> dict[str, str]:
        world.release(world.job("1.4.0", "r35.3.1"), theirs)
        repository.put_manifest(repository.manifest(theirs.record.digest), "1.4.0-l4t-r35.2.1")
        return {}

    with pytest.raises(Refused, match="released with other content"):
        world.release(replace(world.job("1.4.0"), seal=Sealing(interferes)), ours)
    assert set(world.tags().values()) == {theirs.record.digest}


def test_readable_tags_do_not_go_back_when_another_machine_released_meanwhile(
    world: World,
) -> None:
    newer = world.build("1.5.0", "r35.3.1")

    def interferes(repository: Store, document: Document) -> dict[str, str]:
        world.release(world.job("1.5.0", "r35.3.1"), newer)
        return {}

    record = world.release(
        replace(world.job("1.4.0"), seal=Sealing(interferes)), world.build("1.4.0")
    )
    tags = (record.outcome("tag", "r35.2.1") or {})["tags"]
    assert tags == ["1.4.0-l4t-r35.2.1", "1.4.0", "1.4"]
    assert world.tags()["latest"] == newer.record.digest


def test_readable_tags_move_after_every_fixed_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[str] = []
    really = Repository.put_manifest

    def noted(self: Repository, document: Document, reference: str | None = None) -> None:
        put.append(reference or "")
        really(self, document, reference)

    monkeypatch.setattr(Repository, "put_manifest", noted)
    default, other = world.build("1.4.0"), world.build("1.4.0", "r36.4.3")
    world.release(world.job("1.4.0", "r35.2.1", "r36.4.3"), default, other)
    fixed = ["1.4.0-l4t-r35.2.1", "1.4.0-l4t-r36.4.3"]
    assert [tag for tag in put if tag and not tag.startswith("sha256:")] == [
        *fixed, "1.4.0", "1.4", "1", "latest",
    ]  # fmt: skip


def test_another_l4t_release_of_the_same_version_leaves_the_readable_tags(world: World) -> None:
    first, second = world.build("1.4.0"), world.build("1.4.0", "r35.3.1")
    world.release(world.job("1.4.0"), first)
    world.release(world.job("1.4.0", "r35.3.1"), second)
    assert world.tags()["latest"] == first.record.digest
