"""Policies and the package URLs they look at."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput
from registry.oci import sha256
from registry.reference import Reference
from registry.signing.policy import Policy, Provenance
from registry.signing.purl import image_of, image_purl, wheel_purl
from registry.signing.statement import PROVENANCE, Statement

DIGEST = sha256(b"base")


@pytest.mark.parametrize(
    "text",
    ["nvcr.io/nvidia/l4t-base:r35.2.1", "127.0.0.1:5000/a/b:1_x", "docker.io/library/ubuntu:22.04",
     "h.example/only"],
)  # fmt: skip
def test_an_image_survives_its_package_url(text: str) -> None:
    reference = Reference.parse(text)
    purl = image_purl(reference, DIGEST, "arm64")
    assert image_of(purl, DIGEST) == reference.with_digest(DIGEST)
    assert purl.startswith(f"pkg:oci/{reference.repository.rsplit('/')[-1]}@sha256%3A")


def test_package_urls_are_written_as_their_specification_has_them() -> None:
    reference = Reference.parse("nvcr.io/nvidia/l4t-base:r35.2.1")
    assert image_purl(reference, "sha256:ab", "arm64") == (
        "pkg:oci/l4t-base@sha256%3Aab?arch=arm64&repository_url=nvcr.io/nvidia/l4t-base&tag=r35.2.1"
    )
    assert wheel_purl("Ruamel_YAML.clib", "0.2+local") == "pkg:pypi/ruamel-yaml-clib@0.2%2Blocal"


def test_buildkits_package_urls_are_read() -> None:
    found = image_of("pkg:docker/nvcr.io/nvidia/l4t-base@r35.2.1?platform=linux%2Farm64", DIGEST)
    assert str(found) == f"nvcr.io/nvidia/l4t-base:r35.2.1@{DIGEST}"


@given(st.text(max_size=60))
def test_what_names_no_image_is_none(text: str) -> None:
    assert image_of(text, DIGEST) is None


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {"base": ["x"]}, {"bases": []}, {"bases": [1]}, {"bases": {"a": 1}},
     {"bases": [""]}, {"platforms": ["arm64"]}, {"require": ["vex"]}, {1: ["x"]}],
)  # fmt: skip
def test_a_policy_that_cannot_be_meant_is_bad_input(value: Any) -> None:
    with pytest.raises(BadInput):
        Policy.parse(value, "policy.yaml")


def test_a_policy_is_read_as_written() -> None:
    value = {"bases": "nvcr.io/*", "builders": ["a", "b"], "platforms": ["linux/arm64"]}
    policy = Policy.parse(value, "policy.yaml")
    assert policy == Policy(("nvcr.io/*",), ("a", "b"), platforms=("linux/arm64",))
    assert policy.wants_provenance
    assert not Policy.parse({"require": ["sbom"]}, "p").wants_provenance


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["buildDefinition", "runDetails", "builder", "id", "resolvedDependencies", "uri",
                 "digest", "sha256"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["buildDefinition", "runDetails"]), json_values))
def test_provenance_of_any_shape_is_read_without_failing(predicate: dict[str, Any]) -> None:
    found = Provenance.read(Statement((DIGEST,), PROVENANCE, predicate))
    assert all(names for names in found.images)


@pytest.mark.parametrize(
    ("uri", "repository"),
    [
        ("git+https://git.example/a/b@refs/tags/v1", "git+https://git.example/a/b"),
        ("git+https://git.example/a/b", "git+https://git.example/a/b"),
        ("git+ssh://git@git.example/a/b", "git+ssh://git@git.example/a/b"),
        ("git+ssh://git@git.example/a/b@main", "git+ssh://git@git.example/a/b"),
    ],
)
def test_a_source_is_its_repository_without_the_ref(uri: str, repository: str) -> None:
    dependencies = [{"uri": uri, "digest": {"gitCommit": "ab"}}]
    predicate = {"buildDefinition": {"resolvedDependencies": dependencies}}
    found = Provenance.read(Statement((DIGEST,), PROVENANCE, predicate))
    assert found.sources == (repository,)


def test_the_policy_of_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[4] / "docs/signing.md").read_text()
    text = page.split("```yaml\n")[1].split("```")[0]
    policy = Policy.parse(yaml.safe_load(text), "docs/signing.md")
    assert all(getattr(policy, item.name) for item in fields(Policy))
