"""Which engine builds, and what is said when none can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.engines.select import Builder, choose_engine, inspect_builder, parse_inspect
from registry.errors import ImgctlError
from registry.oci import Platform

CONTAINERD = """\
Name:          default
Driver:        docker
Last Activity: 2024-05-01 10:00:00 +0000 UTC

Nodes:
Name:             default
Endpoint:         default
Status:           running
BuildKit version: v0.13.2
Platforms:        linux/amd64, linux/amd64/v2, linux/arm64*, linux/arm/v7
Labels:
 org.mobyproject.buildkit.worker.moby.host-gateway-ip: 172.17.0.1
 org.mobyproject.buildkit.worker.snapshotter:          overlayfs
"""
GRAPHDRIVER = CONTAINERD.replace("snapshotter", "something")
STOPPED = "Name: default\nDriver: docker\n\nNodes:\nError: Cannot connect to the Docker daemon\n"
FARM = (
    "Name: farm\nDriver: kubernetes\n\nNodes:\nName: farm0\nPlatforms: linux/amd64\n\n"
    "Name: farm1\nPlatforms: linux/arm64\n"
)

READY = Builder("default", "docker", (Platform(),), "0.29.1", usable=True)
ABSENT = Builder("", why="there is no docker command", hint="install Docker")


def test_a_daemon_with_the_containerd_store_is_usable() -> None:
    builder = parse_inspect(CONTAINERD, "", "0.29.1")
    assert builder.usable
    assert builder.can_run(Platform())
    assert not builder.can_run(Platform.parse("linux/riscv64"))
    assert replace(builder, platforms=()).can_run(Platform())
    assert not replace(builder, usable=False).can_run(Platform())


def test_a_daemon_that_cannot_write_layouts_says_what_to_turn_on() -> None:
    builder = parse_inspect(GRAPHDRIVER, "", "0.29.1")
    assert not builder.usable
    assert "containerd-snapshotter" in builder.hint


def test_a_daemon_that_is_down_is_told_from_one_that_is_too_old() -> None:
    builder = parse_inspect(STOPPED, "", "0.29.1")
    assert not builder.usable
    assert "daemon" in builder.why


def test_the_platforms_of_every_node_count() -> None:
    builder = parse_inspect(FARM, "farm", "0.29.1")
    assert builder.usable
    assert [str(item) for item in builder.platforms] == ["linux/amd64", "linux/arm64"]


def script(folder: Path, text: str) -> dict[str, str]:
    """An environment with this program as its only `docker`."""
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("exit 1", "no buildx plugin", "docker-buildx"),
        ("echo github.com/docker/buildx v0.10.4 abc", "0.10.4 is too old", "0.13"),
        (
            '[ "$2" = version ] && echo buildx v0.29.1 && exit; '
            "echo 'ERROR: no builder \"farm\" found'; exit 1",
            'no builder "farm" found',
            "docker buildx ls",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    tmp_path: Path, text: str, why: str, hint: str
) -> None:
    builder = inspect_builder("farm", script(tmp_path, text))
    assert not builder.usable
    assert why in builder.why
    assert hint in builder.hint


def test_no_docker_at_all(tmp_path: Path) -> None:
    builder = inspect_builder("", {"PATH": str(tmp_path)})
    assert (builder.usable, builder.why) == (False, "there is no docker command")


@pytest.mark.parametrize(
    ("wanted", "builder", "blocked", "engine"),
    [
        ("auto", READY, None, "buildx"),
        ("auto", READY, "line 2, RUN", "buildx"),
        ("auto", ABSENT, None, "direct"),
        ("direct", None, None, "direct"),
        ("buildx", READY, None, "buildx"),
    ],
)
def test_the_best_engine_that_works_is_taken(
    wanted: str, builder: Builder | None, blocked: str | None, engine: str
) -> None:
    assert choose_engine(wanted, builder, blocked) == engine  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "builder", "blocked", "words"),
    [
        ("auto", ABSENT, "line 2, RUN", ("line 2, RUN", "no docker", "install Docker")),
        ("direct", None, "line 2, RUN", ("line 2, RUN", "--engine buildx")),
        ("buildx", ABSENT, None, ("no docker", "install Docker")),
    ],
)
def test_an_engine_that_is_not_there_is_an_error_that_says_what_to_do(
    wanted: str, builder: Builder | None, blocked: str | None, words: tuple[str, ...]
) -> None:
    with pytest.raises(ImgctlError) as caught:
        choose_engine(wanted, builder, blocked)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)
