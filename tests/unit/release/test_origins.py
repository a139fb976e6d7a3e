"""Where the blobs that a build lacks may be had, and in which order they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.dist import Build
from builder.mirror import Mirror
from registry.client import RegistryClient, RegistryOptions
from release.origins import neighbours, origins
from tests.unit.imgctl.builds import BASE_LAYER, layer, make_build

HOST = "h.example"
BASE = layer(BASE_LAYER).digest


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient(RegistryOptions()) as made:
        yield made


def a_build(dist: Path, image: str = "mnist", script: bytes = b"script", pushed: str = "") -> Build:
    """A build on a base of nvcr.io; pushed: the repository its push record names."""
    folder = make_build(dist, image, base=("nvcr.io", "nvidia/base"), script=script)
    build = Build.load(folder)
    if pushed:
        record = {"repository": pushed, "digest": build.record.digest}
        (folder / "push.json").write_text(json.dumps(record))
    return build


def test_the_base_is_asked_for_its_own_layers_alone(tmp_path: Path, client: RegistryClient) -> None:
    (origin,) = origins(a_build(tmp_path), client, None, HOST, ())
    assert str(origin.store) == "nvcr.io/nvidia/base"
    assert origin.digests == frozenset((BASE,))


def test_a_mirror_comes_first(tmp_path: Path, client: RegistryClient) -> None:
    places = origins(a_build(tmp_path), client, Mirror("m.example", "nvcr"), HOST, ())
    assert [str(item.store) for item in places] == [
        "m.example/nvcr/nvidia/l4t-base",
        "nvcr.io/nvidia/base",
    ]


def test_another_image_pushed_to_that_host_has_the_layers_they_share(
    tmp_path: Path, client: RegistryClient
) -> None:
    other = a_build(tmp_path, "other", b"other", f"{HOST}/p/other")
    elsewhere = a_build(tmp_path, "elsewhere", b"elsewhere", "else.example/p/elsewhere")
    places = origins(a_build(tmp_path), client, None, HOST, (other, elsewhere))
    assert neighbours(places, HOST) == ["p/other"]
    assert places[-1].digests == frozenset((BASE,))


def test_the_manifest_of_an_earlier_push_vouches_for_its_layers(
    tmp_path: Path, client: RegistryClient
) -> None:
    earlier = a_build(tmp_path / "old", "mnist", b"script", f"{HOST}/p/mnist")
    places = origins(a_build(tmp_path), client, None, HOST, (earlier,))
    assert places[-1].manifest == earlier.record.digest
    assert places[-1].digests == frozenset((BASE, layer(b"script").digest))


def test_a_build_made_anew_since_its_push_vouches_for_nothing(
    tmp_path: Path, client: RegistryClient
) -> None:
    stale = a_build(tmp_path, "other", b"other", f"{HOST}/p/other")
    path = stale.folder / "push.json"
    path.write_text(path.read_text().replace(stale.record.digest, "sha256:" + "0" * 64))
    assert neighbours(origins(a_build(tmp_path), client, None, HOST, (stale,)), HOST) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"repository": 1}', "\udcff"])
def test_a_push_record_that_cannot_be_read_vouches_for_nothing(
    tmp_path: Path, client: RegistryClient, text: str
) -> None:
    other = a_build(tmp_path, "other", b"other")
    (other.folder / "push.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert neighbours(origins(a_build(tmp_path), client, None, HOST, (other,)), HOST) == []
