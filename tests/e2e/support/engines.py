"""Container engines of a test's own, of any kind that devices have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.support.processes import PATH, tool


@contextmanager
def containerd() -> Iterator[str]:
    """A containerd without images; yields its socket."""
    # Not pytest's folder: paths of sockets have to be short.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    socket = f"{folder}/c.sock"
    settings = f"""\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{socket}"
"""
    (folder / "config.toml").write_text(settings)
    command = [tool("containerd"), "--config", str(folder / "config.toml")]
    with _daemon(command, folder, ["ctr", "--address", socket, "version"]):
        yield socket


@contextmanager
def classic_engine() -> Iterator[str]:
    """A Docker daemon with the classic image store, as most are set up; yields its DOCKER_HOST."""
    with docker_engine(containerd_store=False) as host:
        yield host


@contextmanager
def docker_engine(*, containerd_store: bool) -> Iterator[str]:
    """A Docker daemon without images; yields its DOCKER_HOST."""
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    host = f"unix://{folder}/docker.sock"
    settings = {
        "features": {"containerd-snapshotter": containerd_store},
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/docker.pid",
        "hosts": [host],
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    command = [tool("dockerd"), "--config-file", str(folder / "daemon.json")]
    with _daemon(command, folder, ["docker", "--host", host, "version"]):
        yield host


@contextmanager
def _daemon(command: list[str], folder: Path, asked: list[str]) -> Iterator[None]:
    """Run a daemon that keeps all it has below folder, from when asked succeeds to the end."""
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": PATH},
            start_new_session=True,
        )
    try:
        _wait(daemon, asked, folder / "log")
        yield
    finally:
        daemon.terminate()
        daemon.wait(30)
        _unmount(folder)
        shutil.rmtree(folder)


def _wait(daemon: subprocess.Popen[bytes], asked: list[str], log: Path) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{asked[0]} gets no answer:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _unmount(folder: Path) -> None:
    """Undo what the daemon mounted below folder and left, its network namespace above all."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted(places, reverse=True):
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", place], check=True, timeout=30)
