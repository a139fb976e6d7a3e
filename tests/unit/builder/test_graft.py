"""A grafted image names the base's layers exactly as the base does, then its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.dates import timestamp
from builder.graft import BaseConfig, Image, Step, graft
from builder.layer import Entry, Layer, write_layer
from registry.errors import CorruptContent
from registry.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Document,
    sha256,
)

FOREIGN = {
    "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "digest": "sha256:" + "a" * 64,
    "size": 1000,
    "urls": ["https://example.com/layer"],
}
PLAIN = {
    "mediaType": DOCKER_LAYER_GZIP,
    "digest": "sha256:" + "b" * 64,
    "size": 2000,
    "annotations": {"kept": "as it is"},
}
CONFIG: dict[str, Any] = {
    "architecture": "arm64",
    "os": "linux",
    "variant": "v8",
    "created": "2020-01-01T00:00:00Z",
    "config": {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sh"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "c" * 64, "sha256:" + "c" * 64]},
    "history": [{"created_by": "base"}],
    "moby.buildkit.cache.v0": "an unknown field",
}


def base(family: str = DOCKER_MANIFEST, **change: Any) -> tuple[Document, BaseConfig]:
    raw = json.dumps(CONFIG | change).encode()
    config = DOCKER_CONFIG if family == DOCKER_MANIFEST else OCI_CONFIG
    manifest = {
        "schemaVersion": 2,
        "mediaType": family,
        "config": {"mediaType": config, "digest": sha256(raw), "size": len(raw)},
        "layers": [FOREIGN, PLAIN],
    }
    document = Document.parse(json.dumps(manifest).encode())
    return document, BaseConfig.parse(raw, document, "the base")


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return write_layer([Entry("a", 0o644, kind="symlink", link="b")], tmp_path / "layer", 0)


def grafted(layer: Layer, family: str = DOCKER_MANIFEST) -> Image:
    document, config = base(family)
    steps = [Step("ENV A=1"), Step("COPY a /a", layer)]
    return graft(document, config, {"Env": ["A=1"]}, steps, 1_600_000_000, {"k": "v"})


def test_the_bases_descriptors_stay_as_they_are(layer: Layer) -> None:
    assert grafted(layer).manifest.value["layers"][:2] == [FOREIGN, PLAIN]


@pytest.mark.parametrize(
    ("family", "config", "kind"),
    [
        (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP),
        (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_GZIP),
    ],
)
def test_the_image_is_of_the_bases_family_of_types(
    layer: Layer, family: str, config: str, kind: str
) -> None:
    manifest = grafted(layer, family).manifest
    assert manifest.media_type == family
    assert manifest.config.media_type == config
    assert manifest.layers[-1].media_type == kind


def test_the_config_is_the_bases_with_our_layer_and_history_added(layer: Layer) -> None:
    image = grafted(layer)
    value = json.loads(image.config)
    assert value["rootfs"]["diff_ids"] == [*CONFIG["rootfs"]["diff_ids"], layer.diff_id]
    assert value["history"] == [
        {"created_by": "base"},
        {"created": "2020-09-13T12:26:40Z", "created_by": "ENV A=1", "empty_layer": True},
        {"created": "2020-09-13T12:26:40Z", "created_by": "COPY a /a"},
    ]
    assert value["created"] == "2020-09-13T12:26:40Z"
    assert value["config"] == {"Env": ["A=1"]}
    assert value["moby.buildkit.cache.v0"] == "an unknown field"
    assert (value["architecture"], value["variant"]) == ("arm64", "v8")


def test_the_manifest_names_its_config_and_carries_the_annotations(layer: Layer) -> None:
    image = grafted(layer)
    assert image.config_descriptor.digest == sha256(image.config)
    assert image.config_descriptor.size == len(image.config)
    assert image.manifest.annotations == {"k": "v"}


def test_the_same_inputs_give_the_same_digest(layer: Layer) -> None:
    assert grafted(layer).manifest.digest == grafted(layer).manifest.digest


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no diff_ids"),
        (b'{"rootfs": {"diff_ids": [1, 2]}}', "no diff_ids"),
        (b'{"rootfs": {"diff_ids": ["sha256:x"]}}', "do not belong together"),
        (b'{"rootfs": {"diff_ids": ["x", "y"]}}', "`rootfs.diff_ids: 'x'`"),
    ],
)
def test_a_config_that_cannot_be_one_is_refused(raw: bytes, said: str) -> None:
    document, _ = base()
    with pytest.raises(CorruptContent, match=said):
        BaseConfig.parse(raw, document, "the base")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"config": 7}, "`config`"),
        ({"config": {"Env": "A=1"}}, "`config.Env`"),
        ({"config": {"Env": [1]}}, "`config.Env`"),
        ({"config": {"Labels": ["a"]}}, "`config.Labels`"),
        ({"config": {"WorkingDir": 5}}, "`config.WorkingDir`"),
        ({"history": {"a": 1}}, "`history`"),
        ({"history": ["a"]}, "`history`"),
    ],
)
def test_a_config_with_a_field_of_another_type_is_refused(
    change: dict[str, Any], said: str
) -> None:
    with pytest.raises(CorruptContent, match=said):
        base(**change)


def test_fields_without_a_value_are_as_good_as_none() -> None:
    empty = {"Env": None, "Labels": None, "OnBuild": None, "Volumes": None, "User": ""}
    _, config = base(config=empty, history=None)
    assert config.settings == empty
    assert base(config=None)[1].settings == {}


@pytest.mark.parametrize(
    ("created", "seconds"),
    [
        ("2020-01-01T00:00:00Z", 1577836800),
        ("2020-01-01T00:00:00.123456789+01:00", 1577833200),
        ("0001-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59-23:59", 253402300799),
        ("yesterday", 0),
        (5, 0),
        (None, 0),
    ],
)
def test_the_date_of_a_base_is_one_that_can_be_written(created: object, seconds: int) -> None:
    _, config = base(created=created)
    assert config.created == seconds
    assert timestamp(config.created).endswith("Z")
