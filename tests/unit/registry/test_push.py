"""The order of a push: looked at, sent, read back, recorded; and what stops it on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.errors import BadInput, CorruptContent, NotFound, Refused
from registry.layout import LayoutStore
from registry.oci import Document, Platform
from registry.origin import Origin
from registry.push import (
    Outcome,
    PlainTarget,
    PushedImage,
    PushOptions,
    PushRecord,
    PushRequest,
    push,
    write_record,
)
from registry.store import Store
from registry.tally import Tally
from tests.unit.registry.images import Neighbour, blob, chunks_of, put_image

BASE, OURS = b"base" * 1000, b"ours"
ARM = Platform("linux", "arm64")


@pytest.fixture
def source(tmp_path: Path) -> LayoutStore:
    return LayoutStore.create(tmp_path / "dist")


@pytest.fixture
def document(source: LayoutStore) -> Document:
    """The image to push, `1.0-l4t` in the source."""
    return put_image(source, "1.0-l4t", BASE, OURS)


@pytest.fixture
def repository(tmp_path: Path) -> Neighbour:
    store = Neighbour.create(tmp_path / "registry" / "mnist")
    assert isinstance(store, Neighbour)
    return store


def request(source: Store, *tags: str, **fields: Any) -> PushRequest:
    """A push of `1.0-l4t` under that tag, which is fixed, and others."""
    whole = ("1.0-l4t", *tags)
    return PushRequest("mnist", source, "1.0-l4t", whole, frozenset(whole[:1]), ARM, **fields)


class Watchful(PlainTarget):
    """A target that notes when it is asked what, between the calls the repository gets.

    rule: why tags are immutable. room: bytes of quota. refusal: what a scan says at the end.
    """

    def __init__(
        self, calls: list[str], rule: str = "", room: int = 1 << 40, refusal: str = ""
    ) -> None:
        self.calls = calls
        self.rule, self.room, self.refusal = rule, room, refusal

    def prepare(self, repository: Store) -> Store:
        self.calls.append("prepare")
        return repository

    def why_immutable(self, repository: Store, tag: str) -> str:
        self.calls.append(f"rule {tag}")
        return self.rule

    def check_quota(self, repository: Store, missing: int) -> None:
        self.calls.append(f"quota {missing}")
        if missing > self.room:
            raise Refused("the project is full")

    def verify(self, repository: Store, pushed: PushedImage) -> None:
        self.calls.append("verify")

    def finish(self, repository: Store, pushed: PushedImage) -> Mapping[str, Any]:
        self.calls.append("finish")
        if self.refusal:
            raise Refused(self.refusal)
        return {"scan": {"total": 0}}


def test_the_whole_order_of_a_push(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    push(request(source, "latest"), repository, Watchful(repository.calls))
    digests = sorted(item.digest for item in document.blobs())
    calls, size = repository.calls, sum(item.size for item in document.blobs())
    assert calls[:3] == ["prepare", "head 1.0-l4t", "head latest"]
    assert sorted(calls[3:6]) == [f"mount {digest}" for digest in digests]
    assert calls[6] == f"quota {size + len(document.raw)}"
    assert sorted(calls[7:10]) == [f"push {digest}" for digest in digests]
    assert calls[10:] == ["put 1.0-l4t", "put latest", "verify", "finish"]


def test_what_all_tags_name_already_is_not_sent_again(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    push(request(source, "latest"), repository, PlainTarget())
    repository.calls.clear()
    outcome = push(request(source, "latest"), repository, Watchful(repository.calls))
    size = sum(item.size for item in document.blobs())
    assert outcome.unchanged and outcome.tally == Tally(present=3, present_bytes=size)
    assert repository.calls == ["prepare", "head 1.0-l4t", "head latest", "finish"]


def test_a_tag_that_is_missing_costs_one_put(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    push(request(source), repository, PlainTarget())
    repository.calls.clear()
    outcome = push(request(source, "latest"), repository, PlainTarget())
    assert not outcome.unchanged
    assert repository.calls == [
        "head 1.0-l4t", "head latest", "put latest", "head 1.0-l4t", "head latest",
    ]  # fmt: skip


def test_what_the_registry_says_of_a_missing_project_comes_first(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    class Missing(PlainTarget):
        def prepare(self, repository: Store) -> Store:
            raise NotFound("project 'nope' does not exist")

    with pytest.raises(NotFound, match="project 'nope'"):
        push(request(source), repository, Missing())
    assert repository.calls == []


def moved(source: LayoutStore, repository: Neighbour) -> Document:
    """Push an older image under both tags; what they name now."""
    older = put_image(source, "1.0-l4t", BASE)
    push(request(source, "latest"), repository, PlainTarget())
    put_image(source, "1.0-l4t", BASE, OURS)
    repository.calls.clear()
    return older


def named(repository: Neighbour, tag: str) -> str:
    found = repository.manifest_descriptor(tag)
    assert found is not None
    return found.digest


def test_a_tag_that_names_one_build_for_ever_moves_only_by_force(
    source: LayoutStore, repository: Neighbour
) -> None:
    older = moved(source, repository)
    with pytest.raises(Refused, match="names another build"):
        push(request(source, "latest"), repository, PlainTarget())
    assert {named(repository, tag) for tag in ("1.0-l4t", "latest")} == {older.digest}
    push(request(source, "latest"), repository, PlainTarget(), options=PushOptions(force=True))
    newer = source.manifest("1.0-l4t").digest
    assert {named(repository, tag) for tag in ("1.0-l4t", "latest")} == {newer}


def test_an_immutable_tag_does_not_move_by_force_either(
    source: LayoutStore, repository: Neighbour
) -> None:
    moved(source, repository)
    target = Watchful(repository.calls, rule="rule 7 holds rel-*")
    with pytest.raises(Refused, match="is immutable") as caught:
        push(request(source), repository, target, options=PushOptions(force=True))
    assert "rule 7 holds rel-*" in caught.value.why
    assert not [call for call in repository.calls if call.startswith(("push", "put"))]


def test_an_immutable_tag_that_names_this_image_already_is_fine(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    push(request(source), repository, PlainTarget())
    assert push(request(source), repository, Watchful([], rule="all are immutable")).unchanged


def test_too_small_a_quota_stops_the_push_before_a_byte_is_sent(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    with pytest.raises(Refused, match="full"):
        push(request(source), repository, Watchful(repository.calls, room=100))
    assert not [call for call in repository.calls if call.startswith(("push", "put"))]


def test_only_what_is_missing_counts_against_the_quota(
    tmp_path: Path, source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    base = Neighbour.create(tmp_path / "registry" / "base")
    put_image(base, "r35", BASE)
    origins = (Origin(base, frozenset((blob(BASE).digest,))),)
    room = 200 + len(document.raw)
    outcome = push(
        request(source, origins=origins), repository, Watchful(repository.calls, room=room)
    )
    assert (outcome.tally.mounted, outcome.tally.mounted_bytes) == (1, len(BASE))


def test_a_dry_run_looks_at_everything_and_changes_nothing(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    outcome = push(
        request(source), repository, Watchful(repository.calls), options=PushOptions(dry_run=True)
    )
    size = sum(item.size for item in document.blobs())
    assert outcome.tally.sent_bytes == size
    assert not outcome.unchanged
    assert f"quota {size + len(document.raw)}" in repository.calls
    assert not [call for call in repository.calls if call.startswith(("push", "put", "finish"))]
    assert repository.tags() == []


def test_what_is_read_back_must_be_what_was_pushed(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    class Overtaken(Neighbour):
        """Somebody else pushes to the same tag, just after us."""

        def put_manifest(self, document: Document, reference: str | None = None) -> None:
            super().put_manifest(document, reference)
            put_image(LayoutStore(self.path), reference, b"theirs")

    with pytest.raises(CorruptContent, match="is not what was pushed"):
        push(request(source), Overtaken(repository.path), PlainTarget())


def test_a_scan_that_refuses_comes_after_the_push(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    with pytest.raises(Refused, match="critical"):
        push(request(source), repository, Watchful([], refusal="2 critical"))
    assert named(repository, "1.0-l4t") == document.digest


def test_an_image_for_another_platform_is_not_pushed(
    source: LayoutStore, repository: Neighbour
) -> None:
    put_image(source, "1.0-l4t", BASE, architecture="amd64")
    with pytest.raises(BadInput, match="for linux/amd64, not linux/arm64"):
        push(request(source), repository, PlainTarget())
    assert repository.calls == []


@pytest.mark.parametrize("raw", [b"not JSON", b"[]", b"[" * 100_000])
def test_a_config_that_is_none_is_found_before_anything_is_asked(
    source: LayoutStore, repository: Neighbour, raw: bytes
) -> None:
    value = put_image(source, None, BASE).value
    source.push_blob(blob(raw), chunks_of(raw))
    config = {**value["config"], "digest": blob(raw).digest, "size": len(raw)}
    source.put_manifest(Document.of({**value, "config": config}, value["mediaType"]), "1.0-l4t")
    with pytest.raises(CorruptContent, match="config in oci:"):
        push(request(source), repository, PlainTarget())
    assert repository.calls == []


def record_of(source: Store, outcome: Outcome) -> PushRecord:
    wanted = replace(request(source, "latest"), details={"l4t": "r35.2.1", "command": ["x"]})
    return PushRecord.of(wanted, "h.example/p/mnist", outcome, requests=9, pushed="now")


def test_the_record_says_what_was_pushed_and_what_it_cost(
    source: LayoutStore, document: Document, repository: Neighbour
) -> None:
    outcome = push(request(source, "latest"), repository, Watchful([]))
    value = record_of(source, outcome).to_json()
    sizes = [item.size for item in document.blobs()]
    assert value["reference"] == f"h.example/p/mnist:1.0-l4t@{document.digest}"
    assert value["tags"] == ["1.0-l4t", "latest"]
    assert (value["size"], value["image_size"]) == (len(document.raw), sum(sizes))
    assert value["blobs"] == {"sent": 3, "mounted": 0, "present": 0}
    assert value["bytes"] == {"sent": sum(sizes), "mounted": 0, "present": 0}
    assert (value["platform"], value["requests"], value["pushed"]) == ("linux/arm64", 9, "now")
    assert (value["l4t"], value["command"]) == ("r35.2.1", ["x"])
    assert value["scan"] == {"total": 0}


def test_the_record_is_written_whole_or_not_at_all(
    source: LayoutStore, document: Document, repository: Neighbour, tmp_path: Path
) -> None:
    outcome = push(request(source), repository, PlainTarget())
    folder = tmp_path / "build"
    folder.mkdir()
    path = write_record(folder, record_of(source, outcome))
    assert json.loads(path.read_text())["kind"] == "push"
    before = path.read_text()
    unwritable = replace(record_of(source, outcome), details={"key": {1, 2}})
    with pytest.raises(TypeError):
        write_record(folder, unwritable)
    assert [item.name for item in folder.iterdir()] == ["push.json"]
    assert path.read_text() == before
