"""The base against the target's release, and what the findings say."""

from __future__ import annotations

import pytest

from builder.lint.check import lint_dockerfile
from builder.lint.finding import Finding
from builder.matrix import Matrix

MATRIX = Matrix.load()


def lint(text: str, *, release: str = "", target: str = "") -> tuple[Finding, ...]:
    return lint_dockerfile(
        text,
        "Dockerfile",
        MATRIX,
        release=MATRIX.release(release) if release else None,
        target=MATRIX.release(target) if target else None,
    )


def mismatches(text: str, **releases: str) -> list[Finding]:
    return [item for item in lint(text, **releases) if item.rule == "base-target-mismatch"]


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3", "r36.4.3"),
        ("nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3", "r32.7.1"),
        ("nvcr.io/nvidia/l4t-jetpack:r36.3.0", "r36.4.0"),
        ("nvcr.io/nvidia/l4t-base:r32.4.2", "r32.7.1"),
        ("nvcr.io/nvidia/pytorch:25.06-py3-igpu", "r35.4.1"),
        ("local-harbor.com/nvcr/nvidia/l4t-jetpack:r36.3.0", "r36.4.0"),
        ("dustynv/l4t-pytorch:r36.4.0", "r35.4.1"),
    ],
)
def test_a_base_that_does_not_run_there(base: str, target: str) -> None:
    (found,) = mismatches(f"FROM {base}\n", target=target)
    assert found.level == "error"
    assert "does not run on" in found.message
    assert found.fix == f"build for the device's own release: --l4t {target}"


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3", "r35.6.1"),
        ("nvcr.io/nvidia/l4t-jetpack:r36.4.0", "r36.4.3"),
        ("nvcr.io/nvidia/l4t-base:r32.7.1", "r32.7.4"),
        ("nvcr.io/nvidia/pytorch:25.06-py3-igpu", "r36.4.3"),
        ("dustynv/l4t-pytorch:r35.4.1", "r35.4.1"),
        ("ghcr.io/someone/something:1.0", "r35.4.1"),
        ("scratch", "r35.4.1"),
    ],
)
def test_a_base_that_does(base: str, target: str) -> None:
    assert mismatches(f"FROM {base}\n", target=target) == []


def test_only_the_last_stage_has_to_run_there() -> None:
    text = (
        "FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0 AS build\nFROM nvcr.io/nvidia/l4t-base:r35.2.1\n"
    )
    assert mismatches(text, target="r35.2.1") == []
    assert len(mismatches(text, target="r36.4.0")) == 1


def test_the_release_built_for_is_the_target_unless_another_is_named() -> None:
    text = "FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0\n"
    assert len(mismatches(text, release="r35.4.1")) == 1
    assert mismatches(text, release="r35.4.1", target="r36.4.0") == []


def test_a_base_without_cuda_is_of_the_release_built_for() -> None:
    text = "FROM nvcr.io/nvidia/l4t-base:r36.2.0\n"
    assert mismatches(text, release="r36.4.3") == []
    suite = "RUN echo 'deb https://repo.download.nvidia.com/jetson/common r36.4 main' > /x\n"
    assert mismatches(text + suite, target="r36.4.3") == []


def test_a_tag_that_does_not_exist_names_those_that_do() -> None:
    (found,) = lint("FROM nvcr.io/nvidia/l4t-base:r35.4.1\n")
    assert found.rule == "base-unknown"
    assert found.level == "error"
    assert found.message == ("The base tag does not exist: nvcr.io/nvidia/l4t-base:r35.4.1")
    assert found.fix.startswith("nearest that exist: nvcr.io/nvidia/l4t-base:35.4.1")


def test_a_list_that_is_not_complete_gives_a_warning_only() -> None:
    (found,) = lint("FROM nvcr.io/nvidia/l4t-tensorrt:r8.4.0-runtime\n")
    assert (found.rule, found.level) == ("base-unknown", "warning")


def test_a_general_base_takes_the_rules_of_the_release_it_is_for() -> None:
    text = "FROM ghcr.io/team/base:1\nRUN pip3 install --no-cache-dir torch\n"
    assert "cpu-torch" not in {item.rule for item in lint(text)}
    assert "cpu-torch" in {item.rule for item in lint(text, release="r36.4.3")}
