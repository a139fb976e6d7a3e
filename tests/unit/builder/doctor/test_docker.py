"""What the doctor makes of Docker's answers, and how it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.doctor.docker import (
    DockerFacts,
    ask_docker,
    check_buildx,
    check_docker,
    list_builders,
)
from builder.engines.select import Builder
from registry.oci import Platform

NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///nope.sock. Is the docker daemon running?"
)

VERSION = '{"Client":{"Version":"28.2"},"Server":{"Version":"26.1"}}'
INFO = (
    '{"DockerRootDir":"/var/lib/docker",'
    '"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}'
)
RUNNING = '{"Name":"default","Driver":"docker","Nodes":[{"Status":"running"}]}'
INACTIVE = '{"Name":"farm","Driver":"kubernetes","Nodes":[{"Status":"inactive"},{}]}'
BROKEN = '{"Name":"old","Driver":"docker-container","Error":"gone"}'


def docker_that(folder: Path, script: str) -> dict[str, str]:
    """An environment whose docker command is this shell script."""
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_an_engine_that_answers_is_ok() -> None:
    check = check_docker(DockerFacts(0, server="26.1.5+dfsg1", address="unix:///run/d.sock"))
    assert check.state == "ok"
    assert check.says == "Docker 26.1.5+dfsg1 answers at unix:///run/d.sock"


def test_no_docker_command_points_at_installing_it_or_going_without() -> None:
    check = check_docker(DockerFacts(127))
    assert check.state == "failed"
    assert check.remedies[0].startswith("install Docker")
    assert "--engine direct" in check.remedies[1]


def test_a_wrong_docker_host_is_named() -> None:
    check = check_docker(DockerFacts(1, NO_DAEMON, address="unix:///nope.sock"))
    assert check.state == "failed"
    assert "DOCKER_HOST is unix:///nope.sock" in check.says
    assert check.remedies[0].startswith("unset DOCKER_HOST")


@pytest.mark.parametrize(
    ("status", "said", "remedy"),
    [
        (1, NO_DAEMON, "sudo systemctl start docker"),
        (1, "permission denied while trying to connect", "sudo usermod -aG docker $USER"),
        (124, "no answer within 20 s", "sudo systemctl restart docker"),
    ],
)
def test_each_silence_has_its_remedy(status: int, said: str, remedy: str) -> None:
    check = check_docker(DockerFacts(status, said))
    assert check.state == "failed"
    assert check.remedies[0].startswith(remedy)


def test_an_engine_without_buildkit_is_a_warning() -> None:
    assert check_docker(DockerFacts(0, server="20.10.24")).state == "warning"
    assert check_docker(DockerFacts(0, server="23.0.0")).state == "ok"


def test_versions_and_store_are_read_from_the_command(tmp_path: Path) -> None:
    environment = docker_that(
        tmp_path,
        f"""case $1 in
        version) echo 'WARNING: something'; echo '{VERSION}';;
        info) echo '{INFO}';;
        esac""",
    )
    facts = ask_docker(environment)
    assert facts == DockerFacts(0, "", "", "28.2", "26.1", "/var/lib/docker", True)


def test_a_client_without_a_daemon_is_told_by_its_last_line(tmp_path: Path) -> None:
    environment = docker_that(
        tmp_path,
        f"""echo '{{"Client":{{"Version":"28.2"}},"Server":null}}'; echo '{NO_DAEMON}'; exit 1""",
    )
    facts = ask_docker(environment)
    assert not facts.answers
    assert (facts.client, facts.said) == ("28.2", NO_DAEMON)


def test_no_command_at_all_is_127(tmp_path: Path) -> None:
    assert ask_docker({"PATH": str(tmp_path)}).status == 127


def test_builders_are_listed_with_driver_and_state(tmp_path: Path) -> None:
    environment = docker_that(
        tmp_path,
        f"""echo '{RUNNING}'; echo '{INACTIVE}'; echo '{BROKEN}'""",
    )
    assert list_builders(environment) == (
        "default (docker, running)",
        "farm (kubernetes, inactive)",
        "old (docker-container, broken)",
    )


def test_a_usable_builder_is_told_with_driver_and_platforms() -> None:
    builder = Builder("default", "docker", (Platform(), Platform()), "0.29.1", usable=True)
    check = check_buildx(builder, ("default (docker, running)", "farm (kubernetes, inactive)"))
    assert check.state == "ok"
    assert "driver docker for linux/arm64;" in check.says
    assert "farm (kubernetes, inactive)" in check.says


def test_an_unusable_builder_says_why_and_what_to_do() -> None:
    builder = Builder("", why="docker has no buildx plugin", hint="install docker-buildx")
    check = check_buildx(builder, ())
    assert (check.state, check.says) == ("failed", "docker has no buildx plugin")
    assert check.remedies == ("install docker-buildx",)
