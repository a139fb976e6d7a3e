"""Docker engines of another kind than the one the tests share."""

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
def classic_engine() -> Iterator[str]:
    """A Docker daemon with the classic image store, as most are set up; yields its DOCKER_HOST."""
    # Not pytest's folder: paths of sockets have to be short.
    folder = Path(tempfile.mkdtemp(prefix="engine-"))
    host = f"unix://{folder}/docker.sock"
    settings = {
        "features": {"containerd-snapshotter": False},
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/docker.pid",
        "hosts": [host],
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [tool("dockerd"), "--config-file", str(folder / "daemon.json")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": PATH},
            start_new_session=True,
        )
    try:
        _wait(daemon, host, folder / "log")
        yield host
    finally:
        daemon.terminate()
        daemon.wait(30)
        _unmount(folder)
        shutil.rmtree(folder)


def _wait(daemon: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    asked = ["docker", "--host", host, "version"]
    while subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd does not answer:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _unmount(folder: Path) -> None:
    """Undo what the daemon mounted below folder and left, its network namespace above all."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted(places, reverse=True):
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", place], check=True, timeout=30)
