"""Provenance: what a build came from and who ran it, as SLSA v1 has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builder.provenance import LOCAL_BUILDER, provenance
from builder.statements import KINDS, Maker, statements
from registry.oci import OCI_MANIFEST, Document
from registry.signing.policy import Policy, Provenance
from registry.signing.statement import CYCLONEDX, PROVENANCE, SPDX, Statement
from tests.unit.builder.records import BASE, BASE_DIGEST, DIGEST, REFERENCE, build, layer

WHEEL = {"name": "tqdm", "version": "4.66.1", "file": "tqdm.whl", "sha256": "ef" * 32}


def predicate(folder: Path, **changes: Any) -> dict[str, Any]:
    record = build(folder, **changes)
    return dict(provenance(record, builder="https://ci.example/1", version="1.2.3").predicate)


def test_it_is_about_the_manifest(tmp_path: Path) -> None:
    statement = provenance(build(tmp_path))
    assert statement.subjects == (DIGEST,)
    assert statement.predicate_type == PROVENANCE
    assert statement.name == "mnist:1.0.0-l4t-r35.2.1"
    assert Statement.parse(statement.payload()) == statement
    assert statement.predicate["runDetails"] == {"builder": {"id": LOCAL_BUILDER}}


def test_every_dependency_is_named_by_digest(tmp_path: Path) -> None:
    made = predicate(tmp_path, wheels=[WHEEL])["buildDefinition"]["resolvedDependencies"]
    base, source, wheel = made
    assert base["digest"] == {"sha256": BASE_DIGEST[7:]}
    assert base["uri"].startswith("pkg:oci/l4t-pytorch@")
    assert source == {
        "name": "source",
        "uri": "git+https://git.example/acme/images",
        "digest": {"gitCommit": "0123456789" * 4},
    }
    assert wheel == {
        "name": "wheel",
        "uri": "pkg:pypi/tqdm@4.66.1",
        "digest": {"sha256": "ef" * 32},
    }


def test_a_build_that_was_not_told_its_source_names_none(tmp_path: Path) -> None:
    made = predicate(tmp_path, labels={})["buildDefinition"]["resolvedDependencies"]
    assert [item["name"] for item in made] == ["base"]


DOCKERFILE = """
FROM nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3 AS base
FROM --platform=linux/amd64 golang:1.22@sha256:{digest} AS Build
RUN --mount=type=bind,from=ghcr.io/acme/tools:1,target=/t --mount=type=cache,target=/c make
FROM ${{OTHER}}
FROM build AS again
FROM base
COPY --link --from=build /a /a
COPY --from=0 /b /b
COPY --from=docker.io/library/busybox:1.36 /bin/sh /sh
COPY context /context
RUN echo --from the,from
"""


def test_images_of_other_stages_are_named_too(tmp_path: Path) -> None:
    text = DOCKERFILE.format(digest="12" * 32)
    made = predicate(tmp_path, plan_document={"dockerfile": text}, labels={})
    base, *others = made["buildDefinition"]["resolvedDependencies"]
    assert base["name"] == "base"
    assert others == [
        {"name": "image", "uri": "pkg:oci/%24%7BOTHER%7D"},
        {"name": "image",
         "uri": "pkg:oci/busybox?repository_url=docker.io/library/busybox&tag=1.36"},
        {"name": "image", "uri": "pkg:oci/tools?repository_url=ghcr.io/acme/tools&tag=1"},
        {"name": "image",
         "uri": f"pkg:oci/golang@sha256%3A{'12' * 32}"
                "?repository_url=docker.io/library/golang&tag=1.22",
         "digest": {"sha256": "12" * 32}},
    ]  # fmt: skip
    statement = Statement((DIGEST,), PROVENANCE, made)
    image = Document.of({"config": {}}, OCI_MANIFEST)
    allowed = ("nvcr.io/nvidia/*", "docker.io/library/*")
    why = Provenance.read(statement).why_not(Policy(bases=allowed), image)
    assert why == "its base is pkg:oci/%24%7BOTHER%7D"
    made["buildDefinition"]["resolvedDependencies"].remove(others[0])
    why = Provenance.read(statement).why_not(Policy(bases=allowed), image)
    assert why == "its base is ghcr.io/acme/tools:1"
    assert Provenance.read(statement).why_not(Policy(bases=(*allowed, "ghcr.io/*")), image) == ""


def test_downloads_are_named_by_their_checksum(tmp_path: Path) -> None:
    text = (
        "FROM scratch AS downloads\n"
        f'ADD --chmod=0644 --checksum=sha256:{"34" * 32} ["https://x.example/a.whl", "/a.whl"]\n'
        "ADD https://x.example/b /b\n"
        "ADD local.txt /c\n"
        f"FROM {BASE}\n"
        "RUN --mount=type=bind,from=downloads,source=/a.whl,target=/a.whl true\n"
    )
    made = predicate(tmp_path, plan_document={"dockerfile": text}, labels={})
    assert made["buildDefinition"]["resolvedDependencies"][1:] == [
        {"name": "download", "uri": "https://x.example/a.whl", "digest": {"sha256": "34" * 32}},
        {"name": "download", "uri": "https://x.example/b"},
    ]


def test_plan_engine_and_builder_are_there(tmp_path: Path) -> None:
    made = predicate(tmp_path)
    internal = made["buildDefinition"]["internalParameters"]
    assert internal["plan"] == "sha256:" + "12" * 32
    assert internal["plan_document"]["dockerfile"] == f"FROM {BASE}"
    assert (internal["engine"], internal["method"]) == ("direct", "wheels")
    assert made["buildDefinition"]["externalParameters"]["l4t"] == "r35.2.1"
    assert made["runDetails"]["builder"] == {
        "id": "https://ci.example/1",
        "version": {"imgctl": "1.2.3"},
    }


def test_policies_understand_what_builds_say(tmp_path: Path) -> None:
    record = build(tmp_path)
    read = Provenance.read(provenance(record, builder="https://ci.example/1"))
    policy = Policy(
        bases=("nvcr.io/nvidia/l4t-pytorch:r35.*",),
        builders=("https://ci.example/1",),
        sources=("https://git.example/acme/*",),
    )
    annotations = {"org.opencontainers.image.base.digest": BASE_DIGEST}
    image = Document.of({"config": {}, "annotations": annotations}, OCI_MANIFEST)
    assert read.why_not(policy, image) == ""


def test_all_statements_of_a_build_are_about_it(tmp_path: Path) -> None:
    record = build(tmp_path, layer({"a": b"1"}))
    made = statements(record, tmp_path, REFERENCE, Maker("1.2.3"))
    assert tuple(made) == KINDS
    assert [item.predicate_type for item in made.values()] == [PROVENANCE, SPDX, CYCLONEDX]
    assert all(item.subjects == (DIGEST,) for item in made.values())
    assert json.loads(made["spdx"].payload())["predicate"]["spdxVersion"] == "SPDX-2.3"
    only = statements(record, tmp_path, REFERENCE, Maker("1.2.3"), ("cyclonedx",))
    assert tuple(only) == ("cyclonedx",)
