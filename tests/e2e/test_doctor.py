"""`imgctl doctor` against the real engine, and against none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Imgctl, TokenRegistry
from tests.e2e.support.certificates import Authority
from tests.e2e.support.registries import RunningRegistry


def checks_of(stdout: str) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(stdout)["checks"]}


def test_everything_works_here(imgctl: Imgctl, engine: str, base_image: RunningRegistry) -> None:
    result = imgctl("doctor", "--base-mirror", base_image.host, "--format", "json").check()
    checks = checks_of(result.stdout)
    assert [name for name, check in checks.items() if check["state"] != "ok"] == []
    assert {"docker", "buildx", "binfmt", "arm64", "docker disk", "dist disk", "base"} == set(
        checks
    )
    assert "says aarch64 in a RUN of builder" in checks["arm64"]["says"]
    assert "F" in checks["binfmt"]["says"].partition("flags ")[2].partition(":")[0]


def test_room_is_judged_by_the_base_that_is_asked_about(
    imgctl: Imgctl, engine: str, base_image: RunningRegistry
) -> None:
    result = imgctl("doctor", "mnist", "--l4t", "r35.2.1", "--base-mirror", base_image.host).check()
    assert f"{base_image.host}/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3 is there" in result.stdout


def test_a_docker_host_that_does_not_answer_is_named_with_the_remedy(
    imgctl: Imgctl, base_image: RunningRegistry
) -> None:
    broken = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    result = imgctl("doctor", "--base-mirror", base_image.host, env=broken)
    assert result.code == 1
    assert "Traceback" not in result.stderr
    first, remedy = result.stdout.splitlines()[:2]
    assert first.startswith("failed   docker")
    assert "DOCKER_HOST is unix:///nowhere/docker.sock" in first
    assert "unset DOCKER_HOST" in remedy


def test_an_image_that_needs_no_engine_is_fine_without_one(
    imgctl: Imgctl, base_image: RunningRegistry
) -> None:
    broken = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    arguments = ("mnist", "--l4t", "r35.2.1", "--base-mirror", base_image.host)
    imgctl("doctor", *arguments, env=broken).check()
    imgctl("build", *arguments, env=broken).check()


def test_a_builder_that_is_not_there_is_a_failure(
    imgctl: Imgctl, engine: str, base_image: RunningRegistry
) -> None:
    result = imgctl(
        "doctor", "--builder", "nobody", "--base-mirror", base_image.host, "--format", "json"
    )
    assert result.code == 1
    assert checks_of(result.stdout)["buildx"]["state"] == "failed"


@pytest.mark.parametrize("right", [True, False])
def test_the_login_at_a_registry_with_tokens_is_tried(
    imgctl: Imgctl, token_registry: TokenRegistry, right: bool
) -> None:
    registry = token_registry.registry
    result = imgctl(
        "doctor", "--harbor", registry.host, "--username", registry.username, "--password-stdin",
        "--format", "json", stdin=registry.password if right else "gu3ssed",
    )  # fmt: skip
    harbor = checks_of(result.stdout)["harbor"]
    assert harbor["state"] == ("ok" if right else "failed")
    assert registry.password not in result.stdout + result.stderr
    if not right:
        assert harbor["remedies"][0] == f"imgctl login {registry.host}"


def test_an_authority_nobody_trusts_is_named_with_the_option(
    imgctl: Imgctl, tls_registry: RunningRegistry, authority: Authority
) -> None:
    asked = ("doctor", "--harbor", tls_registry.host, "--format", "json")
    harbor = checks_of(imgctl(*asked).stdout)["harbor"]
    assert harbor["state"] == "failed"
    assert "--ca-cert" in harbor["remedies"][0]
    trusted = imgctl(*asked, "--ca-cert", str(authority.path))
    assert checks_of(trusted.stdout)["harbor"]["state"] == "warning"
