"""Prepull jobs fit the image and the link, and carry credentials edged can read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from deploy.prepull import Prepull, needs, parse_link, prepull_job, prepull_secret
from registry.errors import BadInput
from registry.reference import Reference

IMAGE = Reference("local-harbor.com", "algorithms/mnist", "1.0.0", "sha256:" + "ab" * 32)


def prepull(**changes: Any) -> Prepull:
    values: dict[str, Any] = {
        "name": "mnist-1.0.0",
        "image": IMAGE,
        "size": 6_000_000_000,
        "link": parse_link("20Mbit"),
        "nodes": ("nano-1",),
    }
    return Prepull(**(values | changes))


def test_time_limit_covers_twice_the_transfer_and_the_unpacking() -> None:
    # 6 GB at 2.5 MB/s is 2400 s on a clear link.
    assert prepull().timeout >= 2 * 2400
    assert prepull(size=1000).timeout == 300


def test_the_time_limit_fits_its_field() -> None:
    assert prepull(size=10**15, link=1.0).timeout == 2**32 - 1


def test_what_the_job_needs_is_told() -> None:
    (manager,) = needs(prepull())
    assert "edgecore" in manager
    assert "edgecore" not in needs(prepull(api_version="v1alpha1"))[0]
    assert "anonymously" in needs(prepull(secret="default/prepull"))[1]


def test_a_node_named_twice_is_one_and_no_label_is_empty() -> None:
    job = prepull_job(prepull(nodes=("a", "a", "b"), image=replace(IMAGE, tag=None)))
    assert job["spec"]["imagePrePullTemplate"]["nodeNames"] == ["a", "b"]
    assert job["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "imgctl"}


def test_job_names_the_digest_and_exactly_one_way_to_choose_nodes() -> None:
    template = prepull_job(prepull())["spec"]["imagePrePullTemplate"]
    assert template["images"] == ["local-harbor.com/algorithms/mnist@sha256:" + "ab" * 32]
    assert template["nodeNames"] == ["nano-1"]
    assert "labelSelector" not in template
    assert template["failureTolerate"] == "0.3"


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": ()},
        {"selector": (("a", "b"),)},
        {"link": 0.0},
        {"api_version": "v1"},
        {"concurrency": 0},
        {"retries": 2**31},
        {"nodes": (), "selector": (("a", "b"), ("a", "c"))},
    ],
)
def test_jobs_no_cluster_would_take_are_bad_input(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        prepull(**changes)


def test_secret_holds_bare_credentials_as_edged_unmarshals_them() -> None:
    secret = prepull_secret("prepull", "default", "robot$edge", "s3cret")
    value = json.loads(secret["stringData"][".dockerconfigjson"])
    assert value == {"username": "robot$edge", "password": "s3cret"}


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("20Mbit", 2_500_000),
        ("256kbit", 32_000),
        ("1Gbit/s", 125_000_000),
        ("2MB/s", 2_000_000),
        ("2.5 MB", 2_500_000),
        ("20Mb", 2_500_000),
        ("20Mbps", 2_500_000),
        ("20MBit/s", 2_500_000),
    ],
)
def test_link_speeds(text: str, bytes_per_second: float) -> None:
    assert parse_link(text) == bytes_per_second


@pytest.mark.parametrize(
    "text", ["", "fast", "0Mbit", "-1Mbit", "20", "nanMbit", "infMbit", "1e9Mbit", "0.000001kbit"]
)
def test_what_is_no_link_speed_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        parse_link(text)
