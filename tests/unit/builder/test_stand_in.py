"""The stand-in for a base: it can be read as one, and says that it is none."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from builder.base_image import read_base
from builder.bases import BaseImage, resolve
from builder.matrix import Matrix
from builder.stand_in import NOTICE, push_stand_in
from registry.layout import LayoutStore
from registry.oci import DOCKER_MANIFEST, Platform


@pytest.fixture
def base() -> BaseImage:
    matrix = Matrix.load()
    return resolve(matrix, matrix.release("r35.2.1"), "l4t-pytorch", "pytorch")


@pytest.fixture
def store(base: BaseImage, tmp_path: Path) -> LayoutStore:
    store = LayoutStore.create(tmp_path / "store")
    (tmp_path / "scratch").mkdir()
    push_stand_in(store, base, tmp_path / "scratch")
    return store


def test_it_is_read_as_a_base_is(base: BaseImage, store: LayoutStore) -> None:
    read = read_base(store, base.reference, base.reference, Platform())
    assert read.manifest.media_type == DOCKER_MANIFEST
    assert read.config.platform == Platform("linux", "arm64")
    assert len(read.config.diff_ids) == 3
    assert "NVIDIA_VISIBLE_DEVICES=all" in read.config.settings["Env"]


def test_it_says_what_it_is(base: BaseImage, store: LayoutStore) -> None:
    read = read_base(store, base.reference, base.reference, Platform())
    assert read.config.value["comment"] == NOTICE
    assert NOTICE in read.config.settings["Labels"].values()
    path = store.blob_path(read.manifest.layers[0].digest)
    with tarfile.open(path) as layer:
        notice = layer.extractfile("STAND-IN")
        assert notice is not None
        assert notice.read().decode() == f"{NOTICE}\n"


def test_it_weighs_a_few_megabytes(base: BaseImage, store: LayoutStore) -> None:
    layers = store.manifest(base.tag).layers
    assert 4_000_000 < sum(layer.size for layer in layers) < 4_100_000


def test_the_same_base_gives_the_same_bytes(
    base: BaseImage, store: LayoutStore, tmp_path: Path
) -> None:
    other = LayoutStore.create(tmp_path / "other")
    again = push_stand_in(other, base, tmp_path / "scratch")
    assert again.digest == store.manifest(base.tag).digest
