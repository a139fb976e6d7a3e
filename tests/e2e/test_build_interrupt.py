"""Ctrl-C in every phase of a build: it ends at once, nothing half-made, nobody left running."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl
from tests.e2e.support import bases
from tests.e2e.support.images import TAG, built, write_image, write_template
from tests.e2e.support.interrupt import interrupt, start
from tests.e2e.support.watched import Watched

PROBE = ("build", "probe", "--l4t", "r35.2.1", "--network", "host")


@pytest.fixture
def beacon() -> Iterator[socket.socket]:
    """A port that a step of a build connects to once it runs, and holds on to while it does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def write_endless(folder: Path, beacon: socket.socket) -> None:
    """An image whose RUN tells the beacon that it runs, then sleeps."""
    port = beacon.getsockname()[1]
    write_image(folder, "probe", {"a.txt": b"a"})
    step = f"RUN bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; echo started >&3; sleep 300'"
    write_template(folder, "l4t-base", '{% if image.name == "probe" %}', step, "{% endif %}")


def strays(folder: Path) -> list[str]:
    """Command lines of processes that still work in folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def files(folder: Path) -> list[Path]:
    """Every file of dist/, hidden ones too."""
    return sorted(path for path in (folder / "dist").rglob("*") if path.is_file())


def check_ended(folder: Path, kept: list[Path]) -> None:
    """Nothing half-made, nobody running, what was there before still there."""
    assert files(folder) == kept
    assert not list(folder.glob("dist/*/.*"))
    assert strays(folder) == []


def test_while_the_base_is_read(base: Watched, imgctl: Imgctl, tmp_path: Path) -> None:
    base.held = "/manifests/"
    process = start(tmp_path, "build", "mnist", "--l4t", "r35.2.1", "--base-mirror", base.host)
    assert base.waiting.wait(30)
    interrupt(process)
    check_ended(tmp_path, [])


def test_while_layers_are_fetched(base: Watched, imgctl: Imgctl, tmp_path: Path) -> None:
    arguments = ("build", "mnist", "--l4t", "r35.2.1", "--base-mirror", base.host, "--engine",
                 "direct")  # fmt: skip
    imgctl(*arguments).check()
    kept, digest = files(tmp_path), built(tmp_path).digest
    base.held = built(tmp_path).manifest["layers"][0]["digest"]
    process = start(tmp_path, *arguments, "--full", "--no-cache")
    assert base.waiting.wait(30)
    interrupt(process)
    check_ended(tmp_path, kept)
    assert built(tmp_path).digest == digest


def test_while_wheels_are_looked_for(
    base: Watched, beacon: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    write_image(tmp_path, "app", pip=["anything"])
    store = f"http://127.0.0.1:{beacon.getsockname()[1]}"
    process = start(tmp_path, "build", "app", "--l4t", "r35.2.1", "--engine", "direct",
                    "--base-mirror", base.host, "--wheel-mirror", store)  # fmt: skip
    asked, _ = beacon.accept()
    with asked:
        interrupt(process)
        check_ended(tmp_path, [])


def test_while_it_is_loaded_into_docker(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_image(tmp_path, "app", {"a.txt": b"a"})
    layer = bases.push_own_base(base.upstream, "loading", tmp_path)
    arguments = ("build", "app", "--l4t", "r35.2.1", "--engine", "direct",
                 "--base-mirror", f"{base.host}/loading")  # fmt: skip
    imgctl(*arguments).check()
    kept = files(tmp_path)
    base.held = layer
    process = start(tmp_path, *arguments, "--load")
    assert base.waiting.wait(30)
    interrupt(process)
    check_ended(tmp_path, kept)
    shown = ["docker", "image", "inspect", f"app:{TAG}"]
    assert subprocess.run(shown, capture_output=True, timeout=60, check=False).returncode != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_a_step_runs_on_the_builder(
    engine: str, base: Watched, beacon: socket.socket, tmp_path: Path, number: signal.Signals
) -> None:
    write_endless(tmp_path, beacon)
    process = start(tmp_path, *PROBE, "--base-mirror", base.host)
    step, _ = beacon.accept()
    with step:
        step.settimeout(30)
        assert step.recv(100) == b"started\n"
        interrupt(process, number)
        check_ended(tmp_path, [])
        # The step has let go of its connection: the builder killed it.
        assert step.recv(100) == b""


def test_while_many_are_baked(
    engine: str, base: Watched, beacon: socket.socket, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_endless(tmp_path, beacon)
    write_image(tmp_path, "other", {"b.txt": b"b"})
    imgctl("build", "other", *PROBE[2:], "--base-mirror", base.host, "--engine", "direct").check()
    kept = files(tmp_path)
    process = start(tmp_path, "build", "probe", "other", *PROBE[2:], "--no-cache",
                    "--base-mirror", base.host)  # fmt: skip
    step, _ = beacon.accept()
    with step:
        step.settimeout(30)
        assert step.recv(100) == b"started\n"
        interrupt(process)
        check_ended(tmp_path, kept)
        assert step.recv(100) == b""


def test_a_killed_build_ends_what_it_started_and_the_next_one_sweeps_up(
    engine: str, base: Watched, beacon: socket.socket, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_endless(tmp_path, beacon)
    process = start(tmp_path, *PROBE, "--base-mirror", base.host)
    step, _ = beacon.accept()
    with step:
        step.settimeout(30)
        assert step.recv(100) == b"started\n"
        process.kill()
        process.communicate(timeout=30)
        assert step.recv(100) == b""
    assert list(tmp_path.glob("dist/probe/.*"))
    write_template(tmp_path, "l4t-base", "RUN true")
    imgctl(*PROBE, "--base-mirror", base.host).check()
    assert [path.name for path in tmp_path.glob("dist/probe/*")] == ["1.0.0-l4t-r35.2.1"]
    check_ended(tmp_path, files(tmp_path))
