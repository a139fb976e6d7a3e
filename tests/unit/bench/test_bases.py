"""Large layers are real ones: a gzipped tar, with the digests and the length that they say."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib

from bench.bases import DOCKER, config_of, layers, manifest_of

SIZE = 20_000_000


def test_a_layer_is_a_gzipped_tar_of_the_size_asked_for() -> None:
    (layer,) = layers(SIZE, 1)
    blob = b"".join(layer.chunks())
    tar = gzip.decompress(blob)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        (member,) = archive.getmembers()
    assert member.size == SIZE
    assert layer.length == len(blob)
    assert layer.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"


def test_compression_gains_nothing_on_it() -> None:
    (layer,) = layers(SIZE, 1)
    blob = b"".join(layer.chunks())
    assert len(zlib.compress(blob, 6)) > 0.99 * SIZE


def test_no_two_layers_are_alike_and_config_and_manifest_name_them_in_order() -> None:
    made = layers(3000, 3)
    for layer in made:
        assert b"".join(layer.chunks())
    config = config_of(made)
    manifest = json.loads(manifest_of(config, made, DOCKER))
    assert len({layer.digest for layer in made}) == 3
    assert json.loads(config)["rootfs"]["diff_ids"] == [layer.diff_id for layer in made]
    assert [item["digest"] for item in manifest["layers"]] == [layer.digest for layer in made]
    assert manifest["config"]["size"] == len(config)
