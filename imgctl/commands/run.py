"""`imgctl run`: the command that runs an image by hand, printed or executed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from deploy.run_commands import (
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
from imgctl.output import print_json
from registry.errors import BadInput, ImgctlError


@click.command(name="run", context_settings={"ignore_unknown_options": True})
@click.argument("image")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
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
@click.option("--name", default="imgctl-run", show_default=True, help="The container's name.")
@click.option("--containerd-address", metavar="SOCKET", default="", help="containerd's socket.")
@click.option("--snapshotter", default="", help="containerd's snapshotter.")
@click.option("--platform", default="linux/arm64", show_default=True, help="The image's platform.")
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

    IMAGE is one pushed from here (NAME or NAME:TAG) or any reference; ARGS after -- replace its
    command.
    """
    tty = execute and sys.stdin.isatty() and sys.stdout.isatty()
    reference, own = _image(image, dist)
    request = RunRequest(
        image=reference,
        runtime=runtime,
        gpu=gpu,
        # ctr runs the image's own command too, but only when it was pulled with its config.
        args=args or (own if runtime == "containerd" else ()),
        mounts=tuple(Mount.parse(_absolute(item)) for item in mount),
        host_network=host_network,
        tty=tty or (not execute and sys.stdout.isatty()),
        name=name,
        socket=containerd_address,
        platform=platform if runtime == "containerd" else "",
        snapshotter=snapshotter,
    )
    if steps and execute:
        raise BadInput("--steps prints what to type; it cannot be executed in one go")
    if execute:
        return _execute(request)
    commands = step_commands(request) if steps else [run_command(request)]
    pull = pull_command(request)
    lines = [pull, *commands] if pull else commands
    if output_format == "json":
        print_json({"image": reference, "commands": [list(line) for line in lines]})
        return 0
    for line in lines:
        click.echo(shell_line(line))
    return 0


def _image(text: str, dist: Path) -> tuple[str, tuple[str, ...]]:
    from deploy.records import find_record
    from registry.reference import Reference

    if "/" in text and not Path(text).exists():
        Reference.parse(text)
        return text, ()
    try:
        found = find_record(text, dist).arguments
    except BadInput:
        if (dist / text.split(":")[0]).is_dir() or Path(text).exists():
            raise
        Reference.parse(text)
        return text, ()
    return f"{found['image'].name}@{found['image'].digest}", found["command"]


def _absolute(text: str) -> str:
    source, colon, rest = text.partition(":")
    if not colon:
        return text
    path = Path(source).expanduser()
    return f"{path if path.is_absolute() else Path.cwd() / path}:{rest}"


def _execute(request: RunRequest) -> int:
    """Run it, after pulling it where the runtime does not do that by itself; its exit code."""
    import subprocess

    command, pull = run_command(request), pull_command(request)
    if shutil.which(command[0]) is None:
        raise ImgctlError(
            f"{command[0]} is not installed here", "", "run the printed command on the device"
        )
    if pull:
        look = subprocess.run(look_command(request), capture_output=True, check=False)
        if look.returncode == 0 and not look.stdout.strip():
            # What it prints is progress; stdout is the program's.
            done = subprocess.run(pull, stdout=sys.stderr, check=False)
            if done.returncode != 0:
                hint = "a private registry needs a login that ctr has: crictl pull, or hosts.toml"
                raise ImgctlError(f"ctr cannot pull {request.image}", "see above", hint)
    return subprocess.run(command, check=False).returncode
