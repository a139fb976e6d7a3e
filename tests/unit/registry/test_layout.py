"""An OCI layout directory as a store: what goes in comes out, checked, or is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.blobs import verified
from registry.errors import BadInput, CorruptContent, NotFound
from registry.layout import LayoutStore
from registry.layout_index import only_reference
from registry.oci import OCI_INDEX, OCI_MANIFEST, Descriptor, Document, sha256
from tests.unit.registry.images import LAYER, chunks_of, files, manifest


@pytest.fixture
def layout(tmp_path: Path) -> LayoutStore:
    return LayoutStore.create(tmp_path / "layout")


def test_a_new_layout_is_what_the_specification_asks_for(layout: LayoutStore) -> None:
    assert files(layout.path) == ["index.json", "oci-layout"]
    assert json.loads((layout.path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((layout.path / "index.json").read_text()) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [],
    }


def test_creating_again_keeps_what_is_there(layout: LayoutStore) -> None:
    layout.put_manifest(manifest(), "1.0")
    assert LayoutStore.create(layout.path).tags() == ["1.0"]


def test_a_folder_that_is_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not an OCI layout"):
        LayoutStore(tmp_path)
    with pytest.raises(BadInput, match="is not an OCI layout"):
        LayoutStore(tmp_path / "absent")


def test_a_layout_of_another_version_is_refused(layout: LayoutStore) -> None:
    (layout.path / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    with pytest.raises(BadInput, match=r"layout version 2\.0\.0"):
        LayoutStore(layout.path)


def test_a_blob_comes_back_as_it_went_in(layout: LayoutStore) -> None:
    layout.push_blob(LAYER, chunks_of(b"la", b"", b"yer"))
    assert layout.blob_exists(LAYER.digest)
    assert layout.blob_bytes(LAYER) == b"layer"
    assert layout.blob_path(LAYER.digest).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("content", [b"Layer", b"laye", b"layer!", b""])
def test_a_blob_that_is_not_as_described_is_not_stored(layout: LayoutStore, content: bytes) -> None:
    before = files(layout.path)
    with pytest.raises(CorruptContent, match=LAYER.digest):
        layout.push_blob(LAYER, chunks_of(content))
    assert files(layout.path) == before


def test_an_interrupted_blob_leaves_nothing(layout: LayoutStore) -> None:
    @contextmanager
    def interrupted() -> Iterator[Iterator[bytes]]:
        def chunks() -> Iterator[bytes]:
            yield b"la"
            yield b"y"
            raise KeyboardInterrupt

        yield chunks()

    before = files(layout.path)
    with pytest.raises(KeyboardInterrupt):
        layout.push_blob(LAYER, interrupted)
    assert files(layout.path) == before


def test_a_blob_damaged_on_disk_is_noticed_and_replaced_when_its_size_tells(
    layout: LayoutStore,
) -> None:
    layout.push_blob(LAYER, chunks_of(b"layer"))
    layout.blob_path(LAYER.digest).write_bytes(b"LAYER")
    with pytest.raises(CorruptContent, match="is corrupt"):
        layout.blob_bytes(LAYER)
    layout.blob_path(LAYER.digest).write_bytes(b"lay")
    with pytest.raises(CorruptContent, match="it holds 3 bytes, the manifest says 5"):
        layout.blob_bytes(LAYER)
    layout.push_blob(LAYER, chunks_of(b"layer"))
    assert layout.blob_bytes(LAYER) == b"layer"


def test_a_missing_blob_is_named(layout: LayoutStore) -> None:
    with pytest.raises(NotFound, match=f"{LAYER.digest} is missing in oci:"):
        layout.blob_bytes(LAYER)


def test_a_blob_too_large_to_hold_in_memory_is_not_read(layout: LayoutStore) -> None:
    with pytest.raises(CorruptContent, match="too large"):
        layout.blob_bytes(LAYER, limit=4)


def test_a_manifest_is_found_by_tag_and_by_digest(layout: LayoutStore) -> None:
    document = manifest(LAYER)
    layout.put_manifest(document, "1.0-l4t-r35.2.1")
    assert layout.manifest("1.0-l4t-r35.2.1").raw == document.raw
    assert layout.manifest(document.digest).raw == document.raw
    descriptor = layout.manifest_descriptor("1.0-l4t-r35.2.1")
    assert descriptor is not None
    assert (descriptor.digest, descriptor.size) == (document.digest, len(document.raw))
    assert layout.manifest_descriptor("2.0") is None
    with pytest.raises(NotFound) as caught:
        layout.manifest("2.0")
    assert "1.0-l4t-r35.2.1" in caught.value.why


def test_a_tag_moves_and_several_tags_may_name_one_manifest(layout: LayoutStore) -> None:
    first, second = manifest(LAYER), manifest()
    layout.put_manifest(first, "1.0")
    layout.put_manifest(first, "latest")
    layout.put_manifest(second, "latest")
    assert layout.tags() == ["1.0", "latest"]
    assert layout.manifest("1.0").digest == first.digest
    assert layout.manifest("latest").digest == second.digest


def test_children_of_an_index_are_stored_but_not_listed(layout: LayoutStore) -> None:
    child = manifest(LAYER)
    layout.put_manifest(child)
    index = Document.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [child.descriptor.to_json()],
        },
        OCI_INDEX,
    )
    layout.put_manifest(index, "1.0")
    assert [entry.digest for entry in layout.entries()] == [index.digest]
    assert layout.manifest(child.digest).raw == child.raw
    found = layout.manifest_descriptor(child.digest)
    assert found is not None and found.media_type == OCI_MANIFEST


def test_a_manifest_put_by_its_digest_is_listed_without_a_tag(layout: LayoutStore) -> None:
    document = manifest(LAYER)
    layout.put_manifest(document, document.digest)
    layout.put_manifest(document, document.digest)
    assert layout.tags() == []
    assert [entry.digest for entry in layout.entries()] == [document.digest]


def test_a_name_with_the_repository_in_it_is_found_by_its_tag(layout: LayoutStore) -> None:
    document = manifest(LAYER)
    layout.put_manifest(document, "nvcr.io/nvidia/l4t-base:r35.2.1")
    assert layout.manifest("r35.2.1").digest == document.digest


def test_referrers_are_the_manifests_with_that_subject(layout: LayoutStore) -> None:
    image = manifest(LAYER)
    signature = manifest(subject=image.descriptor, artifactType="application/x.signature")
    sbom = manifest(subject=image.descriptor, artifactType="application/x.sbom")
    for document in (signature, sbom):
        layout.put_manifest(document)
    layout.put_manifest(image, "1.0")
    found = layout.referrers(image.digest)
    assert [item.digest for item in found] == [signature.digest, sbom.digest]
    assert found[0].extra["artifactType"] == "application/x.signature"
    only = layout.referrers(image.digest, "application/x.sbom")
    assert [item.digest for item in only] == [sbom.digest]
    assert layout.referrers(signature.digest) == []
    assert only_reference(layout.entries(), "oci:x") == "1.0"


def test_which_image_is_meant_must_be_said_when_there_are_several(layout: LayoutStore) -> None:
    with pytest.raises(BadInput, match="holds no image"):
        only_reference(layout.entries(), "oci:x")
    layout.put_manifest(manifest(LAYER), "1.0")
    assert only_reference(layout.entries(), "oci:x") == "1.0"
    layout.put_manifest(manifest(), "2.0")
    with pytest.raises(BadInput) as caught:
        only_reference(layout.entries(), "oci:x")
    assert caught.value.why == "it has: 1.0, 2.0"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manifests": 3}', '{"manifests": [{}]}'])
def test_a_broken_index_is_one_clear_error(layout: LayoutStore, text: str) -> None:
    (layout.path / "index.json").write_text(text)
    with pytest.raises(CorruptContent):
        layout.tags()


def test_writers_at_once_lose_no_tag(layout: LayoutStore) -> None:
    def tag(number: int) -> None:
        LayoutStore(layout.path).put_manifest(manifest(LAYER), f"t{number}")

    threads = [threading.Thread(target=tag, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(layout.tags()) == 16


@given(st.binary(max_size=200), st.integers(1, 50))
def test_verified_passes_right_content_through_however_it_is_cut(data: bytes, step: int) -> None:
    descriptor = Descriptor("", sha256(data), len(data))
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    assert b"".join(verified(pieces, descriptor, "here")) == data


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50), st.data())
def test_verified_never_hands_out_the_end_of_wrong_content(
    data: bytes, step: int, draw: st.DataObject
) -> None:
    descriptor = Descriptor("", sha256(data), len(data))
    wrong = bytearray(data)
    wrong[draw.draw(st.integers(0, len(data) - 1))] ^= 1
    pieces = [bytes(wrong[start : start + step]) for start in range(0, len(wrong), step)]
    handed: list[bytes] = []
    with pytest.raises(CorruptContent):
        handed.extend(verified(pieces, descriptor, "here"))
    assert len(b"".join(handed)) < len(data)
