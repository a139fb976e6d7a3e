"""Several images for several releases at once: one run of BuildKit, a failure that stays alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl
from tests.e2e.support.images import built, write_image, write_template
from tests.e2e.support.processes import tool
from tests.e2e.support.registries import RunningRegistry
from tests.e2e.support.watched import Watched

RELEASES = ("r35.2.1", "r35.4.1")
NAMES = ("gpu-test", "mnist")


@pytest.fixture
def docker_calls(tmp_path: Path) -> tuple[Mapping[str, str], Path]:
    """An environment whose `docker` notes each call, and the file it notes them in."""
    folder, calls = tmp_path / "bin", tmp_path / "calls.txt"
    folder.mkdir()
    script = folder / "docker"
    script.write_text(f'#!/bin/sh\necho "$*" >> {calls}\nexec {tool("docker")} "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}, calls


def builds(calls: Path) -> list[str]:
    """`buildx bake` or `buildx build` for each time one was called."""
    words = [line.split()[:2] for line in calls.read_text().splitlines()]
    return [" ".join(pair) for pair in words if pair[1:] in (["bake"], ["build"])]


def test_images_and_releases_go_out_as_one_bake(
    engine: str,
    base_image: RunningRegistry,
    imgctl: Imgctl,
    tmp_path: Path,
    docker_calls: tuple[Mapping[str, str], Path],
) -> None:
    environment, calls = docker_calls
    arguments = ("build", *NAMES, "--l4t", RELEASES[0], "--l4t", RELEASES[1],
                 "--base-mirror", base_image.host)  # fmt: skip
    done = imgctl(*arguments, "--engine", "buildx", "--no-cache", env=environment).check()
    assert builds(calls) == ["buildx bake"]
    assert done.stdout.count("built by buildx") == 4
    imgctl(*arguments, "--engine", "direct", "--dist", "other/dist").check()
    for name in NAMES:
        for release in RELEASES:
            tag = f"1.0.0-l4t-{release}"
            alone = built(tmp_path / "other", name, tag)
            assert built(tmp_path, name, tag).digest == alone.digest
    assert imgctl(*arguments).check().stdout.count("up to date") == 4


def test_a_base_of_several_is_read_once(base: Watched, imgctl: Imgctl, tmp_path: Path) -> None:
    releases = [word for release in RELEASES for word in ("--l4t", release)]
    imgctl("build", *NAMES, *releases, "--base-mirror", base.host, "--engine", "direct").check()
    # One manifest and one config, for four images of two releases.
    assert len(base.reads) == 2


def test_a_step_that_fails_stops_its_own_image_only(
    engine: str,
    base_image: RunningRegistry,
    imgctl: Imgctl,
    tmp_path: Path,
    docker_calls: tuple[Mapping[str, str], Path],
) -> None:
    environment, calls = docker_calls
    for name in ("broken", "copied", "running"):
        write_image(tmp_path, name, {"a.txt": b"a"})
    write_template(
        tmp_path,
        "l4t-base",
        '{% if image.name == "broken" %}',
        "RUN echo the reason >&2; exit 7",
        '{% elif image.name == "running" %}',
        "RUN uname -m > /machine",
        "{% endif %}",
    )
    done = imgctl("build", "broken", "copied", "running", "--l4t", "r35.2.1", "--network", "host",
                  "--base-mirror", base_image.host, "--no-cache", env=environment)  # fmt: skip
    assert done.code == 1
    assert builds(calls)[0] == "buildx bake"
    assert "failed    broken for r35.2.1" in done.stdout
    assert "2 of 3 built, 1 failed" in done.stderr
    assert "RUN echo the reason" in done.stderr
    assert done.stderr.count("the reason") >= 2  # the step, and what it printed
    assert "exit code: 7" in done.stderr
    assert built(tmp_path, "running").files(1)["machine"][4] == b"aarch64\n"
    assert built(tmp_path, "copied").files()["opt/copied/a.txt"][4] == b"a"
    assert not list((tmp_path / "dist" / "broken").iterdir())


def test_a_base_that_is_missing_stops_its_own_release_only(
    base_image: RunningRegistry, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_image(tmp_path, "app", {"a.txt": b"a"})
    done = imgctl("build", "app", "--l4t", "r35.4.1", "--l4t", "r35.2.1", "--engine", "direct",
                  "--base-mirror", base_image.host, "--format", "json")  # fmt: skip
    assert done.code == 1
    failed, fine = json.loads(done.stdout)
    assert failed["l4t"] == "r35.4.1"
    assert "nvidia/l4t-base:35.4.1" in failed["error"]["what"]
    assert fine["digest"] == built(tmp_path, "app").digest
    assert "1 of 2 built, 1 failed" in done.stderr


def test_all_builds_every_image_of_the_catalogue_that_can_be(
    base_image: RunningRegistry, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_image(tmp_path, "our-own", {"a.txt": b"a"})
    done = imgctl("build", "--all", "--l4t", "r35.2.1", "--engine", "direct",
                  "--base-mirror", base_image.host)  # fmt: skip
    assert done.code == 1
    for name in ("mnist", "gpu-test", "our-own"):
        assert f"{name}:1.0.0-l4t-r35.2.1  {built(tmp_path, name).digest}" in done.stdout
    # TensorFlow is installed on a plain base by steps that must run.
    assert "failed    tensorflow for r35.2.1" in done.stdout
    assert "the direct engine cannot build this image" in done.stderr
