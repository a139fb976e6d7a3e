"""Manifests, indexes and descriptors: bytes stay as they came, and junk is called corrupt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput, CorruptContent, NotFound
from registry.oci import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Document,
    Platform,
    canonical_json,
    digest_of,
    sha256,
)

DIGEST = sha256(b"")


def entry(media_type: str, size: int = 0, digest: str = DIGEST, **extra: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size, **extra}


def manifest_of(config: str, layer: str, **extra: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "config": entry(config), "layers": [entry(layer)], **extra}


def raw(value: Any) -> bytes:
    return json.dumps(value, indent=3).encode()


@pytest.mark.parametrize(
    ("media_type", "config", "layer", "docker"),
    [
        (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_GZIP, False),
        (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER_GZIP, True),
    ],
)
def test_a_manifest_keeps_its_bytes(media_type: str, config: str, layer: str, docker: bool) -> None:
    data = raw(manifest_of(config, layer, mediaType=media_type, strange={"kept": 1}))
    document = Document.parse(data)
    assert document.raw == data
    assert document.digest == sha256(data)
    assert document.descriptor == Descriptor(media_type, sha256(data), len(data))
    assert document.is_docker == docker
    assert not document.is_index
    assert document.config.media_type == config
    assert [item.media_type for item in document.layers] == [layer]


def test_the_server_says_what_a_manifest_without_media_type_is() -> None:
    data = raw(manifest_of(DOCKER_CONFIG, DOCKER_LAYER_GZIP))
    assert Document.parse(data, f"{DOCKER_MANIFEST}; charset=utf-8").media_type == DOCKER_MANIFEST


@pytest.mark.parametrize("served_as", ["", "text/plain", "application/json", DOCKER_INDEX])
def test_shape_tells_a_manifest_from_an_index(served_as: str) -> None:
    data = raw(manifest_of(OCI_CONFIG, OCI_LAYER_GZIP))
    assert not Document.parse(data, served_as).is_index
    listed = raw({"schemaVersion": 2, "manifests": [entry(OCI_MANIFEST)]})
    assert Document.parse(listed, served_as).is_index


def test_a_document_that_is_both_manifest_and_index_is_corrupt() -> None:
    both = manifest_of(OCI_CONFIG, OCI_LAYER_GZIP, manifests=[entry(OCI_MANIFEST)])
    with pytest.raises(CorruptContent, match="both"):
        Document.parse(raw(both), OCI_MANIFEST)


def test_a_foreign_media_type_in_the_body_is_named() -> None:
    with pytest.raises(CorruptContent) as caught:
        Document.parse(raw({"schemaVersion": 2, "mediaType": "application/x"}), OCI_MANIFEST)
    assert "application/x" in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"<!doctype html>",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"config": ' + b"9" * 5000 + b"}",
        b'{"schemaVersion": 1, "fsLayers": []}',
        raw({"config": entry(OCI_CONFIG), "layers": {}}),
        raw({"config": entry(OCI_CONFIG), "layers": "x"}),
        raw({"config": entry(OCI_CONFIG), "layers": [1]}),
        raw({"config": [], "layers": []}),
        raw({"config": entry(OCI_CONFIG, size=-1), "layers": []}),
        raw({"config": entry(OCI_CONFIG, size=1.5), "layers": []}),  # type: ignore[arg-type]
        raw({"config": entry(OCI_CONFIG, digest="sha256:beef"), "layers": []}),
        raw({"config": entry(OCI_CONFIG, digest="../../x"), "layers": []}),
        raw({"manifests": [entry(OCI_MANIFEST) | {"size": True}]}),
        raw({"manifests": 7}),
        raw(manifest_of(OCI_CONFIG, OCI_LAYER_GZIP, mediaType=OCI_INDEX)),
        raw(manifest_of(OCI_CONFIG, OCI_LAYER_GZIP, subject="x")),
        raw(manifest_of(OCI_CONFIG, OCI_LAYER_GZIP, subject={"digest": 1})),
        raw(manifest_of(OCI_CONFIG, OCI_LAYER_GZIP, mediaType=["x"])).replace(b'"x"', b"\xff"),
    ],
)
def test_junk_is_corrupt_content(data: bytes) -> None:
    with pytest.raises(CorruptContent):
        Document.parse(data, OCI_MANIFEST)


def test_schema_1_is_named() -> None:
    with pytest.raises(CorruptContent, match="schema 1"):
        Document.parse(b'{"schemaVersion": 1, "fsLayers": []}')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "config",
                    "layers",
                    "manifests",
                    "mediaType",
                    "digest",
                    "size",
                    "urls",
                    "annotations",
                    "platform",
                    "subject",
                    "schemaVersion",
                    "artifactType",
                    "os",
                    "architecture",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
near_descriptors = st.fixed_dictionaries(
    {"mediaType": json_values, "digest": st.just(DIGEST), "size": st.integers(0, 9)},
    optional={"platform": json_values, "annotations": json_values, "urls": json_values},
)
near_documents = st.fixed_dictionaries(
    {},
    optional={
        "mediaType": st.sampled_from([OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST]) | json_values,
        "config": near_descriptors | json_values,
        "layers": st.lists(near_descriptors, max_size=2) | json_values,
        "manifests": st.lists(near_descriptors, max_size=2) | json_values,
        "subject": near_descriptors | json_values,
        "annotations": json_values,
    },
)


@given(
    st.binary(max_size=60) | (json_values | near_documents).map(lambda value: raw(value)),
    st.sampled_from(["", OCI_MANIFEST, OCI_INDEX, DOCKER_INDEX]) | st.text(max_size=10),
)
def test_any_bytes_are_a_whole_document_or_corrupt(data: bytes, served_as: str) -> None:
    try:
        document = Document.parse(data, served_as)
        blobs = document.blobs()
    except CorruptContent:
        return
    # What was accepted can be used to the full: no view of it fails later.
    assert document.raw == data
    for descriptor in (*document.manifests, *document.layers, *blobs):
        _ = descriptor.platform, descriptor.annotations, descriptor.is_foreign
        assert Descriptor.from_json(descriptor.to_json()) == descriptor
    _ = document.subject, document.annotations, document.descriptor
    if document.is_index:
        try:
            document.choose(Platform())
        except NotFound as error:
            assert "linux/arm64" in error.what


def test_a_descriptor_keeps_every_field() -> None:
    value = entry(
        OCI_LAYER_GZIP, 3, urls=["https://x"], annotations={"a": "b"}, data="eA==", other=[1]
    )
    assert Descriptor.from_json(value).to_json() == value


def test_foreign_layers_are_known_by_urls_and_type() -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    assert Descriptor(foreign, DIGEST, 1, {"urls": ["https://x"]}).is_foreign
    assert not Descriptor(foreign, DIGEST, 1).is_foreign
    assert not Descriptor(OCI_LAYER_GZIP, DIGEST, 1, {"urls": ["https://x"]}).is_foreign


def test_each_blob_once_config_first() -> None:
    layer = entry(OCI_LAYER_GZIP, digest=sha256(b"x"))
    value = {"config": entry(OCI_CONFIG), "layers": [layer, layer, entry(OCI_LAYER_GZIP)]}
    document = Document.parse(raw(value), OCI_MANIFEST)
    assert [blob.digest for blob in document.blobs()] == [DIGEST, sha256(b"x")]
    assert len(document.layers) == 3


def platform_entry(text: str, digest: str, **extra: Any) -> dict[str, Any]:
    platform = Platform(*text.split("/")).to_json()
    return entry(OCI_MANIFEST, digest=digest, platform=platform, **extra)


def test_the_platform_is_chosen_from_an_index() -> None:
    arm64, amd64, provenance = sha256(b"arm64"), sha256(b"amd64"), sha256(b"provenance")
    attested = {"vnd.docker.reference.type": "attestation-manifest"}
    index = Document.of(
        {
            "manifests": [
                platform_entry("unknown/unknown", provenance, annotations=attested),
                platform_entry("linux/amd64", amd64),
                platform_entry("linux/arm64/v8", arm64),
            ]
        },
        OCI_INDEX,
    )
    assert index.choose(Platform("linux", "arm64")).digest == arm64
    assert index.choose(Platform("linux", "arm64", "v8")).digest == arm64
    with pytest.raises(NotFound) as caught:
        index.choose(Platform("windows", "amd64"))
    assert "linux/amd64, linux/arm64/v8" in str(caught.value)
    assert "unknown" not in str(caught.value)


@pytest.mark.parametrize(
    ("offered", "wanted", "serves"),
    [
        ("linux/arm64", "linux/arm64", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm", "linux/arm/v7", False),
        ("linux/amd64", "linux/arm64", False),
    ],
)
def test_which_platform_serves_which(offered: str, wanted: str, serves: bool) -> None:
    assert Platform(*offered.split("/")).matches(Platform(*wanted.split("/"))) == serves


def test_a_processor_may_be_called_as_uname_does() -> None:
    assert Platform.parse("linux/aarch64") == Platform("linux", "arm64")
    assert Platform.parse("linux/x86_64") == Platform("linux", "amd64")
    assert Platform.parse("Linux/ARM64/v8") == Platform("linux", "arm64")
    assert Platform.parse("linux/arm/v7") == Platform("linux", "arm", "v7")


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/arm64", "a/b/c/d", "linux/arm64/"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(BadInput, match="is not a platform"):
        Platform.parse(text)


@given(json_values.filter(lambda value: "NaN" not in str(value)))
def test_canonical_json_does_not_depend_on_order(value: Any) -> None:
    try:
        data = canonical_json(value)
    except ValueError:
        return  # infinities have no JSON
    assert canonical_json(json.loads(data)) == data


def test_digests_by_either_algorithm() -> None:
    assert digest_of(b"x", DIGEST) == sha256(b"x")
    assert digest_of(b"x", "sha512:" + "0" * 128).startswith("sha512:a4abd4448c49562d")
