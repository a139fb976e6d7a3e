"""`imgctl doctor` on a machine without Docker, with registries in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.bases import resolve
from builder.matrix import Matrix
from builder.stand_in import push_stand_in
from imgctl.cli import cli
from imgctl.output import run
from registry.client import RegistryClient, RegistryOptions
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve


@pytest.fixture
def imgctl(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*args: str) -> tuple[int, str, str]:
        code = run(cli, ["doctor", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def without_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.fixture
def registry() -> Iterator[str]:
    with serve(MemoryRegistry()) as host:
        yield host


def checks_of(out: str) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(out)["checks"]}


def test_without_docker_it_fails_with_the_way_out(imgctl: Any, registry: str) -> None:
    code, out, err = imgctl("--base-mirror", registry)
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "failed   docker       there is no docker command"
    assert lines[1].strip().startswith("fix: install Docker")
    assert lines[2].strip().startswith("or: build with --engine direct")


def test_an_image_that_needs_no_docker_is_fine_without(
    imgctl: Any, registry: str, tmp_path: Path
) -> None:
    matrix = Matrix.load()
    base = resolve(matrix, matrix.release("r35.2.1"), "l4t-pytorch", "pytorch")
    (tmp_path / "scratch").mkdir()
    with RegistryClient(RegistryOptions()) as client:
        store = client.repository(registry, f"nvcr/{base.repository}")
        push_stand_in(store, base, tmp_path / "scratch")
    arguments = ("mnist", "--l4t", "r35.2.1", "--base-mirror", f"{registry}/nvcr")
    code, out, _ = imgctl(*arguments, "--format", "json")
    checks = checks_of(out)
    assert code == 0
    assert json.loads(out)["ok"] is True
    assert checks["docker"]["state"] == "warning"
    assert "the direct engine builds this image" in checks["docker"]["says"]
    assert checks["base"]["state"] == "ok"
    assert checks["dist disk"]["state"] == "ok"


def test_an_image_with_steps_to_run_is_not(imgctl: Any, registry: str) -> None:
    arguments = ("tensorflow", "--l4t", "r32.4.2", "--base-mirror", registry)
    code, out, _ = imgctl(*arguments, "--format", "json")
    assert code == 1
    assert checks_of(out)["docker"]["state"] == "failed"


def test_a_base_that_the_mirror_lacks_is_a_failure(imgctl: Any, registry: str) -> None:
    code, out, _ = imgctl(
        "mnist", "--l4t", "r35.2.1", "--base-mirror", registry, "--format", "json"
    )
    base = checks_of(out)["base"]
    assert code == 1
    assert base["state"] == "failed"
    assert "--base-mirror" in base["remedies"][-1]


def test_a_registry_nobody_answers_at_is_a_failure(imgctl: Any) -> None:
    code, out, _ = imgctl("--base-mirror", "127.0.0.1:9", "--format", "json")
    base = checks_of(out)["base"]
    assert code == 1
    assert "connection refused" in base["says"]
    assert "--base-mirror" in base["remedies"][-1]


def test_a_harbor_without_a_login_is_a_warning(imgctl: Any, registry: str) -> None:
    _, out, _ = imgctl("--base-mirror", registry, "--harbor", registry, "--format", "json")
    harbor = checks_of(out)["harbor"]
    assert harbor["state"] == "warning"
    assert harbor["remedies"] == [f"imgctl login {registry}"]


@pytest.mark.parametrize(("password", "state"), [("s3cret", "ok"), ("gu3ssed", "failed")])
def test_the_login_at_harbor_is_tried(
    imgctl: Any, monkeypatch: pytest.MonkeyPatch, password: str, state: str
) -> None:
    monkeypatch.setenv("IMGCTL_PASSWORD", password)
    with serve(MemoryRegistry(credentials=("ci", "s3cret"))) as harbor:
        _, out, _ = imgctl("--harbor", harbor, "--username", "ci", "--format", "json")
        found = checks_of(out)["harbor"]
        assert found["state"] == state
        assert (found["remedies"][:1] == [f"imgctl login {harbor}"]) == (state == "failed")
    assert password not in out


def test_a_release_without_image_or_base_is_bad_input(imgctl: Any) -> None:
    assert imgctl("--l4t", "r35.2.1")[0] == 2
    code, out, err = imgctl("mnist")
    assert (code, out) == (2, "")
    assert "for which L4T release?" in err


def test_the_documentation_has_every_check(imgctl: Any, registry: str) -> None:
    page = (Path(__file__).parents[3] / "docs/doctor.md").read_text()
    documented = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    _, out, _ = imgctl("--base-mirror", registry, "--harbor", registry, "--format", "json")
    # Without an engine there is no disk of its own to look at.
    assert documented == set(checks_of(out)) | {"docker disk"}
