"""`imgctl run`: the command that runs an image by hand, printed or executed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from deploy.run_commands import (
    CONTAINERD,
    DOCKER,
    RUNTIMES,
    RunRequest,
    look_command,
    pull_command,
    run_command,
    shell_line,
    step_commands,
)
from deploy.workload import Mount
from imgctl.options import format_option
from registry.errors import BadInput, ImgctlError

JETSON = "linux/arm64"


@click.command(name="run")
@click.argument("image")
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]...")
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default="docker",
    show_default=True,
    help="What runs containers on the device.",
)
@click.option("--gpu/--cpu", default=True, show_default=True, help="With the GPU or without.")
@click.option(
    "--mount",
    multiple=True,
    metavar="SRC:DST[:ro]",
    help="Mount a folder: run your code without building an image.",
)
@click.option(
    "--host-network/--no-host-network",
    default=True,
    show_default=True,
    help="Use the device's network.",
)
@click.option(
    "--name", default="", help="The container's name.  [default: imgctl-run, or Docker's]"
)
@click.option("--containerd-address", metavar="SOCKET", default="", help="containerd's socket.")
@click.option("--snapshotter", default="", help="containerd's snapshotter.")
@click.option("--platform", default="",
              help=f"The image's platform.  [default: {JETSON}, or Docker's own]")  # fmt: skip
@click.option("--steps", is_flag=True, help="Create, start, exec, kill and remove, one by one.")
@click.option("--execute", is_flag=True, help="Run it instead of printing it.")
@click.option("--dist", type=click.Path(path_type=Path), default=Path("dist"), show_default=True,
              help="Where builds are.")  # fmt: skip
@format_option
def command(
    image: str,
    args: tuple[str, ...],
    runtime: str,
    gpu: bool,
    mount: tuple[str, ...],
    host_network: bool,
    name: str,
    containerd_address: str,
    snapshotter: str,
    platform: str,
    steps: bool,
    execute: bool,
    dist: Path,
    output_format: str,
) -> int:
    """Print the command that runs IMAGE on this device, or run it with --execute.

    IMAGE is one pushed or loaded from here (NAME or NAME:TAG) or any reference; ARGS after --
    replace its command.
    """
    if steps and execute:
        raise BadInput("--steps prints what to type; it cannot be executed in one go")
    if execute and output_format == "json":
        raise BadInput("--execute prints what the program prints", "", "leave --format json out")
    at_terminal = sys.stdout.isatty() and (sys.stdin.isatty() or not execute)
    reference, own, loaded = _image(image, dist, runtime)
    request = RunRequest(
        image=reference,
        runtime=runtime,
        gpu=gpu,
        # ctr runs the image's own command too, but only when it was pulled with its config.
        args=args or (own if runtime == CONTAINERD and not steps else ()),
        mounts=tuple(Mount.parse(_absolute(item)) for item in mount),
        host_network=host_network,
        tty=at_terminal,
        name=name,
        socket=containerd_address,
        platform=platform or (JETSON if runtime == CONTAINERD else ""),
        snapshotter=snapshotter,
        loaded=loaded,
    )
    if execute:
        _execute(request)
    commands = step_commands(request) if steps else [run_command(request)]
    pull = pull_command(request)
    _print(reference, [pull, *commands] if pull else commands, output_format)
    return 0


def _print(image: str, commands: list[list[str]], output_format: str) -> None:
    if output_format == "json":
        from imgctl.output import print_json

        print_json({"image": image, "commands": commands})
        return
    for line in commands:
        click.echo(shell_line(line))


def _image(text: str, dist: Path, runtime: str) -> tuple[str, tuple[str, ...], bool]:
    """The image as the runtime knows it, its command, and whether only the engine has it."""
    from deploy.records import find_record, is_reference, loaded_name

    if is_reference(text):
        return _reference(text, runtime), (), False
    if ":" in text and not Path(text).exists() and not (dist / text.split(":")[0]).is_dir():
        return _reference(text, runtime), (), False
    if runtime == DOCKER and (name := loaded_name(text, dist)):
        click.echo(f"{name} is not pushed: `imgctl build --load` puts it into Docker", err=True)
        return name, (), True
    found = find_record(text, dist).arguments
    return f"{found['image'].name}@{found['image'].digest}", found["command"], False


def _reference(text: str, runtime: str) -> str:
    from registry.reference import Reference

    image = Reference.parse(text)
    if runtime == DOCKER:
        return text
    tag = image.tag or ("" if image.digest else "latest")
    return image.name + (f":{tag}" if tag else "") + (f"@{image.digest}" if image.digest else "")


def _absolute(text: str) -> str:
    source, colon, rest = text.partition(":")
    if not colon or not source:
        return text
    path = Path(source).expanduser()
    return f"{path if path.is_absolute() else Path.cwd() / path}:{rest}"


def _execute(request: RunRequest) -> NoReturn:
    """Become the command that runs it, after pulling where the runtime does not by itself.

    So signals, terminal and exit code are the program's.
    """
    command = run_command(request)
    program = shutil.which(command[0])
    if program is None:
        raise ImgctlError(
            f"{command[0]} is not installed here", "", "run the printed command on the device"
        )
    for mount in request.mounts:
        if not Path(mount.source).exists():
            raise BadInput(f"there is no {mount.source} to mount", "", "correct --mount")
    _check_gpu(request)
    _pull(request)
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores it, and what is ignored stays so across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(program, command)  # noqa: S606 - no shell is the point


def _check_gpu(request: RunRequest) -> None:
    """Say beforehand that the runtime cannot bring a GPU in, so far as can be told."""
    fix = "imgctl node check says what to install; --cpu runs it without the GPU"
    if not request.gpu:
        return
    if request.runtime == CONTAINERD:
        if shutil.which("nvidia-container-cli") is None:
            raise ImgctlError(
                "`ctr run --gpus` needs nvidia-container-cli, which is not here", "", fix
            )
        return
    said = _answer(["docker", "info", "--format", "{{json .Runtimes}}"])
    if said and '"nvidia"' not in said:
        raise ImgctlError("Docker has no runtime `nvidia` here", "", fix)


def _pull(request: RunRequest) -> None:
    import subprocess

    pull = pull_command(request)
    if pull is None or _answer(look_command(request)) != "":
        return
    # What it prints is progress; stdout is the program's.
    if subprocess.run(pull, stdout=sys.stderr, check=False).returncode != 0:
        hint = "a private registry needs a login that ctr has: crictl pull, or hosts.toml"
        raise ImgctlError(f"ctr cannot pull {request.image}", "see above", hint)


def _answer(command: list[str]) -> str | None:
    """What a command prints on stdout; None when it fails, or does not end within a minute."""
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
