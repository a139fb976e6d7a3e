"""Images really run by hand, by Docker and by containerd, under emulation and on the CPU."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl, Result
from tests.e2e.support.hello import write_hello
from tests.e2e.support.interrupt import start
from tests.e2e.support.processes import run_quietly
from tests.e2e.support.registries import RunningRegistry

# containerd of the engine that `scripts/engine.sh` starts.
SOCKET = "/var/lib/imgctl-engine/exec/containerd/containerd.sock"


@dataclass(frozen=True)
class Pushed:
    """A folder with an image that was built and pushed from there."""

    imgctl: Imgctl
    folder: Path

    def run(self, *arguments: str) -> Result:
        return self.imgctl("run", "hello", "--cpu", *arguments, cwd=self.folder)


@pytest.fixture
def hello(
    imgctl: Imgctl, tmp_path: Path, base_image: RunningRegistry, engine: str
) -> Iterator[Pushed]:
    write_hello(tmp_path)
    imgctl("build", "hello", "--l4t", "r35.2.1", "--engine", "direct",
           "--base-mirror", base_image.host).check()  # fmt: skip
    pinned = imgctl("push", "--registry", f"{base_image.host}/run").check().stdout.strip()
    name = f"{pinned.partition(':1.0.0')[0]}@{pinned.partition('@')[2]}"
    yield Pushed(imgctl, tmp_path)
    run_quietly("docker", "image", "rm", "-f", name)
    run_quietly("ctr", "-a", SOCKET, "images", "rm", name)


RUNTIMES = {
    "docker": (),
    "containerd": ("--runtime", "containerd", "--containerd-address", SOCKET),
}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_image_runs_and_its_output_and_exit_code_come_back(hello: Pushed, runtime: str) -> None:
    done = hello.run("--execute", *RUNTIMES[runtime])
    assert (done.code, done.stdout) == (0, "hello from aarch64\n"), done.stderr
    program = ("--", "python3", "/opt/hello.py", "one", "two words", "$HOME")
    done = hello.run("--execute", *RUNTIMES[runtime], *program)
    assert (done.code, done.stdout) == (3, "hello from aarch64 one two words $HOME\n"), done.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_code_is_mounted_and_nothing_built(hello: Pushed, runtime: str) -> None:
    code = hello.folder / "code"
    code.mkdir()
    (code / "train.py").write_text('open("/code/made", "w").write("by the container")\n')
    done = hello.run("--execute", *RUNTIMES[runtime], "--mount", "code:/code",
                     "--", "python3", "/code/train.py")  # fmt: skip
    assert done.code == 0, done.stderr
    assert (code / "made").read_text() == "by the container"


def test_what_is_printed_is_what_is_executed(hello: Pushed) -> None:
    printed = hello.run(*RUNTIMES["containerd"]).check().stdout.splitlines()
    assert [line.split()[3:5] for line in printed] == [["images", "pull"], ["run", "--rm"]]
    done = run_quietly("sh", "-c", " && ".join(printed))
    assert done.endswith("hello from aarch64\n")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_steps_work_one_after_another(hello: Pushed, runtime: str) -> None:
    name = "imgctl-test-steps"
    printed = hello.run(*RUNTIMES[runtime], "--steps", "--name", name).check().stdout
    said = {}
    for line in printed.splitlines():
        done = subprocess.run(["sh", "-c", line], input="uname -m\n", text=True, timeout=120,
                              capture_output=True, check=False)  # fmt: skip
        assert done.returncode == 0, (line, done.stderr)
        said[line] = done.stdout
    if runtime == "containerd":
        (inside,) = [text for line, text in said.items() if " exec " in line]
        assert inside == "aarch64\n"
    assert name not in run_quietly("docker", "ps", "-a", "--format", "{{.Names}}")
    assert name not in run_quietly("ctr", "-a", SOCKET, "containers", "ls")


def test_the_runtime_that_is_not_there_is_named(hello: Pushed, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "PATH": str(empty)}
    done = hello.imgctl("run", "hello", "--execute", cwd=hello.folder, env=environment)
    assert done.code == 1
    assert "docker is not installed here" in done.stderr


def test_what_would_not_work_is_said_before_it_is_tried(hello: Pushed) -> None:
    for runtime, said in (
        ("docker", "no runtime `nvidia`"),
        ("containerd", "nvidia-container-cli"),
    ):
        done = hello.imgctl("run", "hello", "--execute", *RUNTIMES[runtime], cwd=hello.folder)
        assert done.code == 1
        assert said in done.stderr
        assert "node check" in done.stderr
    done = hello.run("--execute", "--mount", "nosuch:/code")
    assert done.code == 2
    assert "nosuch to mount" in done.stderr


def test_an_interrupt_reaches_the_program_and_leaves_no_container(hello: Pushed) -> None:
    """As Ctrl-C does: the signal goes to the whole foreground group."""
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "for _ in range(600): time.sleep(0.1)\n"
    )
    for runtime, options in RUNTIMES.items():
        command = ["run", "hello", "--cpu", "--execute", "--name", "imgctl-test-interrupt"]
        command += [*options, "--", "python3", "-c", code]
        with start(hello.folder, *command) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) == 7, runtime
    assert "imgctl-test-interrupt" not in run_quietly(
        "docker", "ps", "-a", "--format", "{{.Names}}"
    )
    assert "imgctl-test-interrupt" not in run_quietly("ctr", "-a", SOCKET, "containers", "ls")
