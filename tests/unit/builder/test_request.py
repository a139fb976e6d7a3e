"""From an image and a release to its base, as the built-in definitions ask for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder import definition
from builder.matrix import Matrix
from builder.request import Request, resolve_base
from registry.errors import BadInput, Refused

MATRIX = Matrix.load()
IMAGES = Path(__file__).resolve().parents[3] / "images"


def request(name: str, l4t: str, family: str | None = None, variant: str | None = None) -> Request:
    return Request(definition.load(IMAGES / name), MATRIX.release(l4t), family, variant)


@pytest.mark.parametrize("name", ["mnist", "gpu-test"])
@pytest.mark.parametrize(
    ("l4t", "family"),
    [
        ("r32.3.1", "l4t-base"),
        ("r35.6.4", "l4t-pytorch"),
        ("r36.5.2", "pytorch-igpu"),
        ("r38.2.0", "pytorch-sbsa"),
        ("r39.2.1", "ubuntu"),
        # No apt suite is known, so CUDA cannot be installed on Ubuntu there.
        ("r39.0.0", "pytorch-sbsa"),
    ],
)
def test_the_built_in_images_take_the_base_that_holds_pytorch(
    name: str, l4t: str, family: str
) -> None:
    assert resolve_base(MATRIX, request(name, l4t), None).family == family


def test_every_release_with_any_base_builds_the_pytorch_images() -> None:
    refused = []
    for release in MATRIX.releases:
        try:
            resolve_base(MATRIX, request("mnist", release.version), None)
        except Refused:
            refused.append(release.name)
    # Before r32.4 only an image of the very release runs, and none was published of these.
    assert refused == ["r32.1.0", "r32.2.3"]


@pytest.mark.parametrize("family", [None, "l4t-base"])
def test_where_no_wheel_lives_that_is_the_reason(family: str | None) -> None:
    with pytest.raises(Refused, match=r"no TensorFlow for r39\.2\.0"):
        resolve_base(MATRIX, request("tensorflow", "r39.2.0", family), None)


def test_a_definition_whose_bases_hold_another_framework_learns_which_do() -> None:
    wrong = replace(
        request("mnist", "r35.2.1").definition, framework="tensorflow", bases=("l4t-pytorch",)
    )
    with pytest.raises(Refused, match="l4t-pytorch has no tensorflow") as caught:
        resolve_base(MATRIX, Request(wrong, MATRIX.release("r35.2.1")), None)
    assert "l4t-tensorflow (nvcr.io/nvidia/l4t-tensorflow:r35.2.1-tf2.11-py3)" in caught.value.hint


def test_a_tag_by_name_is_looked_for_in_every_base() -> None:
    assert resolve_base(MATRIX, request("mnist", "r38.2.0", None, "25.10"), None).tag == "25.10-py3"
    with pytest.raises(Refused, match=r"no base '24\.12' for r36\.4\.3") as caught:
        resolve_base(MATRIX, request("mnist", "r36.4.3", None, "24.12"), None)
    assert "25.02-py3-igpu" in caught.value.why


def test_a_base_the_definition_does_not_allow_is_bad_input() -> None:
    with pytest.raises(BadInput, match="not made for the base l4t-cuda"):
        resolve_base(MATRIX, request("mnist", "r35.2.1", "l4t-cuda"), None)
