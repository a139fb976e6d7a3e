"""`imgctl render`: the Dockerfile, what it says beside it, and how it refuses."""

from __future__ import annotations

import pytest

from tests.unit.imgctl.records import Call


def first_from(text: str) -> str:
    return next(line for line in reversed(text.splitlines()) if line.startswith("FROM "))


def test_the_dockerfile_alone_is_on_standard_output(call: Call) -> None:
    code, out, err = call("render", "mnist", "--l4t", "35.5.0")
    assert code == 0
    assert out.startswith("FROM nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3\n")
    assert "none was published for r35.5.0; that of r35.2.1 serves it" in err


@pytest.mark.parametrize(
    ("options", "base"),
    [
        (["--l4t", "r36.4.3"], "nvcr.io/nvidia/pytorch:25.06-py3-igpu"),
        (["--l4t", "r38.2.0"], "nvcr.io/nvidia/pytorch:25.08-py3"),
        (["--l4t", "r39.2.0"], "docker.io/library/ubuntu:24.04"),
        (["--l4t", "r36.3.0", "--base-tag", "24.05"], "nvcr.io/nvidia/pytorch:24.05-py3-igpu"),
        (["--l4t", "r36.4.3", "--base-tag", "26.02"], "nvcr.io/nvidia/pytorch:26.02-py3-igpu"),
        (["--l4t", "r36.4.3", "--base", "l4t-jetpack"], "nvcr.io/nvidia/l4t-jetpack:r36.4.0"),
    ],
)  # fmt: skip
def test_the_base_that_is_chosen_or_asked_for(call: Call, options: list[str], base: str) -> None:
    code, out, _ = call("render", "mnist", *options)
    assert code == 0
    assert first_from(out) == f"FROM {base}"


def test_what_a_wheel_lacks_is_said(call: Call) -> None:
    _, _, err = call("render", "mnist", "--l4t", "r36.3.0", "--base", "l4t-base")
    assert "note: torchvision is not in it" in err
    assert "note: torch 2.4.0a0+07cecf4168.nv24.05.14710581: " in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["mnits", "--l4t", "r35.2.1"], 2, "did you mean 'mnist'?"),
        (["mnist", "--l4t", "r35.2.2"], 2, "nearest: r35.2.1"),
        (["mnist", "--l4t", "r35.2.1", "--base", "l4t-tensorflow"], 2, "is not made for the base"),
        (["mnist", "--l4t", "r36.4.3", "--base", "l4t-pytorch"], 3, "--base pytorch-igpu"),
        (["mnist", "--l4t", "r35.1.0", "--base-tag", "2.0"], 3, "r35.1.0-pth1.13-py3"),
        (["mnist", "--l4t", "r32.1.0"], 3, "nvcr.io/nvidia/l4t-base:r32.2, which serves r32.2.0"),
        (["mnist", "--l4t", "r35.2.1", "--target-l4t", "r36.4.3"], 3, "--l4t r36.4.3"),
        (["tensorflow", "--l4t", "r38.2.0"], 3, "there is no TensorFlow for r38.2.0"),
    ],
)
def test_a_refusal_says_what_to_do(call: Call, arguments: list[str], code: int, said: str) -> None:
    ended, out, err = call("render", *arguments)
    assert (ended, out) == (code, "")
    assert said in err
