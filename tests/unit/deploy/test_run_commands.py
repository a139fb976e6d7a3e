"""Run commands: the right ones for each runtime, a terminal only where there is one."""

from __future__ import annotations

import csv
import shlex

import pytest

from deploy.run_commands import RunRequest, run_command, shell_line, step_commands
from deploy.workload import Mount
from registry.errors import BadInput

IMAGE = "local-harbor.com/algorithms/mnist:1.0"


def test_docker_names_the_nvidia_runtime() -> None:
    assert run_command(RunRequest(IMAGE)) == [
        "docker", "run", "--rm", "--runtime", "nvidia", "--network", "host", IMAGE,
    ]  # fmt: skip


def test_containerd_hooks_the_gpu_in() -> None:
    command = run_command(RunRequest(IMAGE, "containerd", args=("python3", "/home/x.py")))
    assert command[:3] == ["ctr", "run", "--rm"]
    assert command[command.index("--gpus") + 1] == "0"
    assert command[-4:] == [IMAGE, "imgctl-run", "python3", "/home/x.py"]


@pytest.mark.parametrize("runtime", ["docker", "containerd"])
def test_cpu_runs_ask_for_no_gpu(runtime: str) -> None:
    text = shell_line(run_command(RunRequest(IMAGE, runtime, gpu=False)))
    assert "nvidia" not in text
    assert "--gpus" not in text


@pytest.mark.parametrize(("runtime", "flag"), [("docker", "-it"), ("containerd", "--tty")])
def test_a_terminal_is_asked_for_only_on_a_terminal(runtime: str, flag: str) -> None:
    assert flag in run_command(RunRequest(IMAGE, runtime, tty=True))
    assert flag not in run_command(RunRequest(IMAGE, runtime, tty=False))


def test_code_can_be_mounted_instead_of_built() -> None:
    mount = Mount("/home/user/project", "/location/in/container")
    docker = run_command(RunRequest(IMAGE, mounts=(mount,)))
    assert docker[docker.index("-v") + 1] == "/home/user/project:/location/in/container"
    ctr = run_command(RunRequest(IMAGE, "containerd", mounts=(mount,)))
    assert ctr[ctr.index("--mount") + 1] == (
        "type=bind,src=/home/user/project,dst=/location/in/container,options=rbind:rw"
    )


def test_a_comma_in_a_path_is_part_of_it() -> None:
    mount = Mount('/a,"b', "/c", read_only=True)
    ctr = run_command(RunRequest(IMAGE, "containerd", mounts=(mount,)))
    (fields,) = csv.reader([ctr[ctr.index("--mount") + 1]])
    assert fields == ["type=bind", 'src=/a,"b', "dst=/c", "options=rbind:ro"]


def test_steps_create_start_exec_and_kill_the_same_container() -> None:
    steps = step_commands(RunRequest(IMAGE, "containerd", name="gpu-demo"))
    assert [step[1:3] for step in steps] == [
        ["containers", "create"],
        ["tasks", "start"],
        ["tasks", "exec"],
        ["tasks", "kill"],
        ["containers", "rm"],
    ]
    assert all("gpu-demo" in step for step in steps)


def test_shell_line_survives_the_shell() -> None:
    command = run_command(RunRequest(IMAGE, args=("sh", "-c", "echo 'a b' $HOME; true")))
    assert shlex.split(shell_line(command)) == command


@pytest.mark.parametrize("changes", [{"runtime": "podman"}, {"name": "-x"}, {"name": "a b"}])
def test_what_no_runtime_takes_is_bad_input(changes: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        RunRequest(IMAGE, **changes)  # type: ignore[arg-type]
