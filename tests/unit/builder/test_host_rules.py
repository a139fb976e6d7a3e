"""Which image runs on which host, as JetPack's layout of CUDA demands."""

from __future__ import annotations

import pytest

from builder import host_rules
from builder.matrix import L4TRelease, Matrix

MATRIX = Matrix.load()


def runs(image: str, host: str, *, carries_cuda: bool = True) -> bool:
    target = MATRIX.release(host)
    return host_rules.check(MATRIX, image, target, carries_cuda=carries_cuda) is None


@pytest.mark.parametrize("release", MATRIX.releases, ids=lambda item: item.name)
def test_every_release_runs_its_own_images(release: L4TRelease) -> None:
    assert runs(release.version, release.version)


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("32.7.1", "r32.7.6"),
        ("32.5.0", "r32.5.2"),
        ("34.1.0", "r34.1.1"),
        ("35.2.1", "r35.6.4"),
        ("35.5.0", "r35.2.1"),
        ("36.2.0", "r36.3.0"),
        ("36.4.0", "r36.5.2"),
        ("38.2.0", "r39.2.1"),
        ("36.4.0", "r39.2.0"),  # Orin runs r39 too: jetson-containers lets any image on it
    ],
)
def test_a_compatible_image_is_let_through(image: str, host: str) -> None:
    assert runs(image, host)


@pytest.mark.parametrize(
    ("image", "host", "why"),
    [
        ("35.2.1", "r32.7.1", "CUDA 11.4"),  # jetson-containers forgets to compare majors here
        ("36.4.0", "r32.7.6", "CUDA 12.6"),
        ("32.6.1", "r32.7.1", "mounted from the host"),
        ("32.4.3", "r32.4.4", "same release"),
        ("32.5.1", "r32.5.2", "mounted from the host"),
        ("34.1.1", "r35.1.0", "CUDA 11.4"),
        ("36.3.0", "r36.4.0", "CUDA 12.2"),
        ("36.4.0", "r36.3.0", "CUDA 12.6"),
        ("35.2.1", "r36.2.0", "CUDA 11.4"),
        ("36.4.0", "r38.2.0", "sm_110"),  # built for Orin, the host is Thor
        ("32.7.1", "r39.2.0", "sm_53"),
    ],
)
def test_an_incompatible_image_is_refused_with_the_cause(image: str, host: str, why: str) -> None:
    refused = host_rules.check(MATRIX, image, MATRIX.release(host))
    assert refused is not None
    assert why in refused.why
    assert f"--l4t {host}" in refused.hint
    assert refused.exit_code == 3


def test_an_image_without_cuda_crosses_the_cuda_boundary_but_not_a_major() -> None:
    assert runs("36.2.0", "r36.4.3", carries_cuda=False)
    assert not runs("36.2.0", "r36.4.3")
    assert not runs("35.4.1", "r36.4.3", carries_cuda=False)


def test_what_a_host_runs_is_a_list_of_releases() -> None:
    host = MATRIX.release("r36.3.0")
    assert [item.name for item in host_rules.runnable(MATRIX, host)] == ["r36.2.0", "r36.3.0"]
