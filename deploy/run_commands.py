"""The commands that run one image by hand on a Jetson, for Docker and for containerd.

Docker's documented form on Jetson is `--runtime nvidia`; with containerd `ctr run --gpus 0` hooks
the GPU in. Without them a program silently computes on the CPU.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from deploy.workload import Mount
from registry.errors import BadInput
from registry.url import is_loopback

DOCKER = "docker"
CONTAINERD = "containerd"
RUNTIMES = (DOCKER, CONTAINERD)
_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


@dataclass(frozen=True)
class RunRequest:
    """What to run.

    image: a reference as the runtime knows it; containerd wants it whole, with host and tag.
    args: the program, empty for the image's own. tty: the caller sits at a terminal. name: the
    container's, empty for the runtime's choice or ours. socket: containerd's socket, empty for its
    default. platform: of an image for several, empty for the runtime's own. loaded: the image was
    loaded into the engine, and no registry has it.
    """

    image: str
    runtime: str = DOCKER
    gpu: bool = True
    args: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    host_network: bool = True
    tty: bool = False
    name: str = ""
    socket: str = ""
    platform: str = ""
    snapshotter: str = ""
    loaded: bool = False

    def __post_init__(self) -> None:
        """Refuse what neither runtime takes; raises BadInput."""
        if self.runtime not in RUNTIMES:
            raise BadInput(f"unknown runtime {self.runtime!r}", "", f"one of {', '.join(RUNTIMES)}")
        if self.name and not _TASK_NAME.fullmatch(self.name):
            raise BadInput(
                f"{self.name!r} cannot be the name of a container",
                "letters, digits, '_', '.' and '-', at most 63, a letter or digit first",
            )

        targets = [mount.target for mount in self.mounts]
        if twice := sorted({item for item in targets if targets.count(item) > 1}):
            raise BadInput(f"two mounts are at {twice[0]}", "", "give each a place of its own")

    @property
    def container(self) -> str:
        """The container's name, where it needs one."""
        return self.name or "imgctl-run"


def pull_command(request: RunRequest) -> list[str] | None:
    """What brings the image onto the device; None where running it does.

    containerd's client pulls nothing by itself, and knows no plain http but by a flag.
    """
    if request.runtime == DOCKER:
        return None
    host = request.image.partition("/")[0]
    plain = ["--plain-http"] if is_loopback(host) else []
    platform = ["--platform", request.platform] if request.platform else []
    snapshotter = ["--snapshotter", request.snapshotter] if request.snapshotter else []
    return [*_ctr(request), "images", "pull", *plain, *platform, *snapshotter, request.image]


def look_command(request: RunRequest) -> list[str]:
    """What prints the image's name if containerd has it."""
    return [*_ctr(request), "images", "ls", "-q", f"name=={request.image}"]


def run_command(request: RunRequest) -> list[str]:
    """The one command that runs the program and removes the container after it."""
    if request.runtime == DOCKER:
        return _docker(request)
    # `ctr containers create` knows neither of these.
    own = ["--platform", request.platform] if request.platform else []
    own += ["--tty"] if request.tty else []
    return [*_ctr(request), "run", "--rm", *_ctr_flags(request), *own, request.image,
            request.container, *request.args]  # fmt: skip


def step_commands(request: RunRequest) -> list[list[str]]:
    """The same in steps, to look inside: create, start, exec a shell, kill, remove."""
    if request.runtime == DOCKER:
        inside = ["docker", "exec", *(["-it"] if request.tty else []), request.container, "sh"]
        return [
            ["docker", "create", "--name", request.container, *_docker_flags(request),
             request.image, *(request.args or ("sleep", "infinity"))],
            ["docker", "start", request.container],
            inside,
            ["docker", "kill", request.container],
            ["docker", "rm", request.container],
        ]  # fmt: skip
    ctr = _ctr(request)
    shell = ["--exec-id", "shell", *(["-t"] if request.tty else []), request.container, "sh"]
    return [
        [*ctr, "containers", "create", *_ctr_flags(request), request.image,
         request.container, *(request.args or ("sleep", "infinity"))],
        [*ctr, "tasks", "start", "-d", request.container],
        [*ctr, "tasks", "exec", *shell],
        [*ctr, "tasks", "kill", "--signal", "SIGKILL", request.container],
        [*ctr, "containers", "rm", request.container],
    ]  # fmt: skip


def shell_line(command: list[str]) -> str:
    """The command as one line for a POSIX shell."""
    return shlex.join(command)


def _docker(request: RunRequest) -> list[str]:
    flags = ["-it"] if request.tty else []
    flags += ["--name", request.name] if request.name else []
    return ["docker", "run", "--rm", *flags, *_docker_flags(request), request.image,
            *request.args]  # fmt: skip


def _docker_flags(request: RunRequest) -> list[str]:
    flags = ["--runtime", "nvidia"] if request.gpu else []
    flags += ["--network", "host"] if request.host_network else []
    flags += ["--platform", request.platform] if request.platform else []
    flags += ["--pull", "never"] if request.loaded else []
    for mount in request.mounts:
        read_only = ":ro" if mount.read_only else ""
        flags += ["-v", f"{mount.source}:{mount.target}{read_only}"]
    return flags


def _ctr(request: RunRequest) -> list[str]:
    return ["ctr", *(["-a", request.socket] if request.socket else [])]


def _ctr_flags(request: RunRequest) -> list[str]:
    flags = ["--gpus", "0"] if request.gpu else []
    flags += ["--net-host"] if request.host_network else []
    flags += ["--snapshotter", request.snapshotter] if request.snapshotter else []
    for mount in request.mounts:
        options = "rbind:ro" if mount.read_only else "rbind:rw"
        fields = ("type=bind", f"src={mount.source}", f"dst={mount.target}", f"options={options}")
        flags += ["--mount", ",".join(_csv_field(field) for field in fields)]
    return flags


def _csv_field(text: str) -> str:
    """A field as encoding/csv reads it, which is how ctr reads a mount."""
    return '"' + text.replace('"', '""') + '"' if re.search(r'[,"]', text) else text
