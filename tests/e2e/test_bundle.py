"""Bundles on real engines: a device that has the base gets a few kB, and runs the image."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.bundle.inventory import SCRIPT
from tests.e2e.conftest import Imgctl
from tests.e2e.support import bases
from tests.e2e.support.engines import containerd, docker_engine
from tests.e2e.support.hello import write_hello
from tests.e2e.support.processes import PATH
from tests.e2e.support.registries import RunningRegistry

KINDS = ("docker", "docker-containerd-store", "containerd")


@dataclass(frozen=True)
class Ended:
    """How a command on the device ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Device:
    """A container engine, as scripts on a device find it."""

    engine: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def sh(self, *arguments: str) -> Ended:
        """Run a script, or `-c` a command, on the device."""
        done = subprocess.run(
            ["sh", *arguments],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env={**os.environ, "PATH": PATH, **self.environment},
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def install(self, script: Path) -> Ended:
        """Run a bundle's script."""
        return self.sh(str(script), self.engine)

    def images(self) -> list[str]:
        """The names of all images there."""
        if self.engine == "docker":
            shown = "docker image ls --all --format '{{.Repository}}:{{.Tag}}'"
        else:
            shown = 'ctr --address "$IMGCTL_CONTAINERD" --namespace k8s.io images ls -q'
        done = self.sh("-c", shown)
        assert done.code == 0, done.stderr
        return done.stdout.split()

    def run(self, image: str) -> str:
        """What the image's program prints."""
        if self.engine == "docker":
            command = f"docker run --rm --network host --platform linux/arm64 {image}"
        else:
            command = (
                'ctr --address "$IMGCTL_CONTAINERD" --namespace k8s.io run --rm --net-host'
                f" --platform linux/arm64 {image} t"
            )
        done = self.sh("-c", command)
        assert done.code == 0, done.stderr
        return done.stdout


@contextmanager
def device_of(kind: str) -> Iterator[Device]:
    if kind == "containerd":
        with containerd() as socket:
            yield Device("containerd", {"IMGCTL_CONTAINERD": socket, "CONTAINERD_ADDRESS": socket})
    else:
        with docker_engine(containerd_store=kind.endswith("store")) as host:
            yield Device("docker", {"DOCKER_HOST": host})


@pytest.fixture
def pushed(imgctl: Imgctl, tmp_path: Path, base_image: RunningRegistry) -> str:
    """An image built and pushed from the test's folder; its name with the tag."""
    write_hello(tmp_path)
    imgctl("build", "hello", "--l4t", "r35.2.1", "--engine", "direct",
           "--base-mirror", base_image.host).check()  # fmt: skip
    printed = imgctl("push", "--registry", f"{base_image.host}/bundle").check().stdout
    return printed.strip().partition("@")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_with_the_base_gets_only_our_layer(
    kind: str, pushed: str, imgctl: Imgctl, tmp_path: Path, base_image: RunningRegistry
) -> None:
    base = f"{base_image.host}/{bases.PYTORCH}"
    imgctl("bundle", base, "-o", "base.tar").check()
    with device_of(kind) as device:
        done = device.install(tmp_path / "base.sh")
        assert done.code == 0, done.stderr
        inventory = device.sh(str(SCRIPT))
        (tmp_path / "inventory.txt").write_text(inventory.stdout)
        made = imgctl("bundle", "hello", "--inventory", "inventory.txt").check()
        archive, script = (tmp_path / line for line in made.stdout.split())
        assert archive.name == "hello-1.0.0-l4t-r35.2.1.tar"
        assert archive.stat().st_size < 20_000
        done = device.install(script)
        assert done.code == 0, done.stderr
        assert device.run(pushed) == "hello from aarch64\n"
        if device.engine == "containerd":
            assert f"{pushed.partition(':1.0.0')[0]}@" in " ".join(device.images())
        done = device.install(script)
        assert (done.code, "there already" in done.stderr) == (0, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_without_the_base_is_told_so_and_left_as_it_was(
    kind: str, pushed: str, imgctl: Imgctl, tmp_path: Path
) -> None:
    imgctl("bundle", "hello", "--holds", "base", "-o", "b.tar").check()
    with device_of(kind) as device:
        done = device.install(tmp_path / "b.sh")
        assert done.code == 3
        assert "lacks layers" in done.stderr
        assert device.images() == []


def test_an_archive_that_did_not_arrive_whole_is_not_imported(
    pushed: str, imgctl: Imgctl, tmp_path: Path
) -> None:
    imgctl("bundle", "hello", "-o", "b.tar").check()
    archive = tmp_path / "b.tar"
    whole = archive.read_bytes()
    with device_of("containerd") as device:
        for content, code, said in (
            (whole[:-1], 1, "finish the transfer"),
            (whole[:5000] + b"x" + whole[5001:], 1, "damaged"),
            (None, 2, "is missing"),
        ):
            archive.unlink(missing_ok=True)
            if content is not None:
                archive.write_bytes(content)
            done = device.install(tmp_path / "b.sh")
            assert (done.code, said in done.stderr) == (code, True), done.stderr
        assert device.images() == []
        archive.write_bytes(whole)
        assert device.install(tmp_path / "b.sh").code == 0
        assert device.run(pushed) == "hello from aarch64\n"


def test_what_was_left_out_is_written_down(pushed: str, imgctl: Imgctl, tmp_path: Path) -> None:
    done = imgctl("bundle", "hello", "--holds", "base", "--format", "json").check()
    made = json.loads(done.stdout)
    assert [layer["carried"] for layer in made["layers"]] == [False, True]
    assert made["image"] == pushed
    record = json.loads((tmp_path / "dist/hello/1.0.0-l4t-r35.2.1/push.json").read_text())
    assert made["pinned"].partition("@")[2] == record["digest"]
    listed = subprocess.run(["tar", "-tf", made["archive"]], cwd=tmp_path, capture_output=True,
                            text=True, check=True).stdout.split()  # fmt: skip
    assert listed[:4] == ["bundle.json", "oci-layout", "index.json", "manifest.json"]
    assert len(listed) == 7  # and manifest, config and our layer
