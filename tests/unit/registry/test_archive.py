"""An OCI layout in a tar: read where it lies, written in one go, whole or not at all."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry.archive import ArchiveStore, ArchiveWriter
from registry.errors import BadInput, CorruptContent, NotFound
from registry.oci import OCI_LAYER_GZIP, Descriptor, sha256
from tests.unit.registry.images import CONFIG, LAYER, chunks_of, files, manifest


def write(path: Path) -> None:
    with ArchiveWriter(path) as archive:
        archive.push_blob(LAYER, chunks_of(b"lay", b"er"))
        archive.push_blob(CONFIG, chunks_of(b"{}"))
        archive.put_manifest(manifest(LAYER), "1.0")


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    write(path)
    with ArchiveStore(path) as archive:
        assert archive.tags() == ["1.0"]
        document = archive.manifest("1.0")
        assert document.raw == manifest(LAYER).raw
        assert archive.manifest(document.digest).raw == document.raw
        assert archive.blob_exists(LAYER.digest)
        assert archive.blob_bytes(LAYER) == b"layer"
        assert archive.manifest_descriptor("2.0") is None
        with pytest.raises(NotFound, match=r"holds no 2\.0"):
            archive.manifest("2.0")


def unpack(path: Path, folder: Path) -> None:
    folder.mkdir()
    subprocess.run(["tar", "-xf", path, "-C", folder], check=True, timeout=10)


def test_any_tar_reader_finds_an_oci_layout(tmp_path: Path) -> None:
    write(tmp_path / "image.tar")
    unpack(tmp_path / "image.tar", tmp_path / "out")
    assert files(tmp_path / "out") == sorted(
        [
            "oci-layout",
            "index.json",
            *(
                "blobs/" + digest.replace(":", "/")
                for digest in (LAYER.digest, CONFIG.digest, manifest(LAYER).digest)
            ),
        ]
    )
    listed = json.loads((tmp_path / "out" / "index.json").read_text())["manifests"]
    assert listed[0]["annotations"] == {"org.opencontainers.image.ref.name": "1.0"}


def test_an_archive_made_elsewhere_with_dots_and_folders_is_read(tmp_path: Path) -> None:
    write(tmp_path / "image.tar")
    unpack(tmp_path / "image.tar", tmp_path / "out")
    with tarfile.open(tmp_path / "other.tar", "w:") as other:
        other.add(tmp_path / "out", arcname=".")
    with ArchiveStore(tmp_path / "other.tar") as read:
        assert read.manifest("1.0").digest == manifest(LAYER).digest
        assert read.blob_bytes(LAYER) == b"layer"


def test_the_same_content_in_the_same_order_gives_the_same_file(tmp_path: Path) -> None:
    write(tmp_path / "one.tar")
    write(tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(CorruptContent), ArchiveWriter(tmp_path / "image.tar") as archive:
        archive.push_blob(LAYER, chunks_of(b"wrong"))
    assert files(tmp_path) == []


def test_a_second_try_of_a_blob_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "image.tar") as archive:
        with pytest.raises(CorruptContent):
            archive.push_blob(LAYER, chunks_of(b"lay"))
        assert not archive.blob_exists(LAYER.digest)
        archive.push_blob(LAYER, chunks_of(b"layer"))
        archive.put_manifest(manifest(LAYER), "1.0")
    with ArchiveStore(tmp_path / "image.tar") as read:
        assert read.blob_bytes(LAYER) == b"layer"


def test_blobs_written_at_once_do_not_mix(tmp_path: Path) -> None:
    contents = [bytes([number]) * (100_000 + number) for number in range(8)]
    descriptors = [Descriptor(OCI_LAYER_GZIP, sha256(item), len(item)) for item in contents]
    barrier = threading.Barrier(len(contents))

    with ArchiveWriter(tmp_path / "image.tar") as archive:

        def push(number: int) -> None:
            @contextmanager
            def slowly() -> Iterator[Iterator[bytes]]:
                def pieces() -> Iterator[bytes]:
                    barrier.wait(5)
                    content = contents[number]
                    for start in range(0, len(content), 1000):
                        yield content[start : start + 1000]

                yield pieces()

            archive.push_blob(descriptors[number], slowly)

        threads = [threading.Thread(target=push, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        archive.put_manifest(manifest(*descriptors), "1.0")
    with ArchiveStore(tmp_path / "image.tar") as read:
        assert [read.blob_bytes(descriptor) for descriptor in descriptors] == contents


def test_an_existing_archive_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "image.tar")
    with pytest.raises(BadInput, match="exists and is not changed"):
        ArchiveWriter(tmp_path / "image.tar")


def test_damage_inside_the_archive_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    write(path)
    path.write_bytes(path.read_bytes().replace(b"layer\0", b"lager\0", 1))
    with ArchiveStore(path) as archive, pytest.raises(CorruptContent, match="is corrupt"):
        archive.blob_bytes(LAYER)


def test_files_that_are_no_oci_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no archive"):
        ArchiveStore(tmp_path / "absent.tar")
    with pytest.raises(BadInput) as caught:
        ArchiveStore(tmp_path)
    assert "oci:DIR" in caught.value.hint

    write(tmp_path / "image.tar")
    packed = tmp_path / "image.tar.gz"
    packed.write_bytes(gzip.compress((tmp_path / "image.tar").read_bytes()))
    with pytest.raises(BadInput) as caught:
        ArchiveStore(packed)
    assert "gunzip" in caught.value.hint

    old = tmp_path / "old.tar"
    with tarfile.open(old, "w:") as archive:
        info = tarfile.TarInfo("manifest.json")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"[]"))
    with pytest.raises(BadInput) as caught:
        ArchiveStore(old)
    assert "docker save" in caught.value.why

    cut = tmp_path / "cut.tar"
    cut.write_bytes((tmp_path / "image.tar").read_bytes()[:1300])
    with pytest.raises(BadInput):
        ArchiveStore(cut)
