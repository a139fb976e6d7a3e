"""`imgctl node`: set a Jetson's container runtime up, and check that it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import format_option, stdin_text
from imgctl.uniform import WholeHelpGroup
from registry.errors import BadInput, ImgctlError

if TYPE_CHECKING:
    from deploy.node_files import Edit, RuntimeWish
    from deploy.node_report import NodeReport

DEFAULT_FILES = {
    "docker": Path("/etc/docker/daemon.json"),
    "containerd": Path("/etc/containerd/config.toml"),
}


@click.group(name="node", cls=WholeHelpGroup)
def command() -> None:
    """Set up and check a Jetson as an edge node."""


@command.command(name="config")
@click.argument("runtime", type=click.Choice(sorted(DEFAULT_FILES)))
@click.argument("file", required=False)
@click.option(
    "--default/--no-default",
    "default",
    default=True,
    show_default=True,
    help="Make nvidia the default runtime; KubeEdge needs it.",
)
@click.option("--sandbox-image", metavar="IMAGE", default="", help="The pause image (containerd).")
@click.option(
    "--systemd-cgroup/--no-systemd-cgroup",
    default=None,
    help="The cgroup driver.  [default: as runc's entry]",
)
@click.option("--cdi/--no-cdi", default=None, help="The CDI switch.  [default: left alone]")
@click.option(
    "--containerd-version",
    type=click.Choice(["1", "2"]),
    default="1",
    show_default=True,
    help="Which containerd a fresh file is for.",
)
@click.option("--fresh", is_flag=True, help="Print a fresh file instead of editing one.")
@click.option("--write", is_flag=True, help="Write the file; without it the diff is shown.")
@format_option
def config(
    runtime: str,
    file: str | None,
    default: bool,
    sandbox_image: str,
    systemd_cgroup: bool | None,
    cdi: bool | None,
    containerd_version: str,
    fresh: bool,
    write: bool,
    output_format: str,
) -> None:
    """Add the nvidia runtime to Docker's or containerd's configuration.

    FILE is the configuration (default: where RUNTIME keeps it), or - for stdin, which prints the
    whole result. All that is there stays, comments included.
    """
    from deploy.node_files import RuntimeWish, read_text
    from registry.reference import Reference

    if sandbox_image:
        Reference.parse(sandbox_image)
    version = 3 if containerd_version == "2" else 2
    wish = RuntimeWish(default, sandbox_image, systemd_cgroup, cdi, containerd_version=version)
    if fresh and file:
        raise BadInput("--fresh edits no file", f"{file} is given too", "leave out one of them")
    if write and (fresh or file == "-"):
        raise BadInput("--write needs a file to write", "", "name FILE, or leave --write out")
    if fresh or file == "-":
        path = None
        edit = _edit(runtime, "" if fresh else stdin_text(), wish, None)
    else:
        path = Path(file) if file else DEFAULT_FILES[runtime]
        edit = _edit(runtime, read_text(path), wish, path)
    _explain(edit)
    if output_format == "text":
        _show(path, edit)
    backup = _write(runtime, path, edit) if path and write and edit.changed else None
    if output_format == "json":
        _print_edit(path, edit, written=write and edit.changed, backup=backup)
    elif path and edit.changed and not write:
        click.echo(f"nothing written; add --write to change {path}", err=True)


@command.command(name="check")
@click.option("--facts", "facts_file", metavar="FILE",
              help="Facts collected on a device (- is stdin), not this machine.")  # fmt: skip
@click.option("--script", is_flag=True, help="Print the script that collects them (POSIX sh).")
@click.option("--kubeedge/--no-kubeedge", default=True, show_default=True,
              help="An edge node: nvidia must be the default runtime.")  # fmt: skip
@format_option
def check(facts_file: str | None, script: bool, kubeedge: bool, output_format: str) -> int:
    """Say which of our images run on a device, and what to set right there.

    Looks at this machine, or at facts that the script has collected on a device:

    \b
      imgctl node check --script | ssh DEVICE sh > facts.txt
      imgctl node check --facts facts.txt

    Exit code 3 when something that images need is missing.
    """
    from builder.definition import catalogue
    from builder.matrix import Matrix
    from deploy.node_check import check_node
    from deploy.node_facts import SCRIPT, parse_facts
    from imgctl.catalogue import image_roots
    from imgctl.output import print_json

    if script:
        click.echo(SCRIPT.read_text(encoding="utf-8"), nl=False)
        return 0
    text = _facts(facts_file) if facts_file else _collected()
    facts = parse_facts(text, facts_file or "this machine's facts")
    report = check_node(facts, Matrix.load(), catalogue(image_roots()), kubeedge=kubeedge)
    if output_format == "json":
        print_json(report.to_json())
    else:
        _print(report)
    return 0 if report.ready else 3


def _facts(name: str) -> str:
    from deploy.node_files import read_text

    if name == "-":
        return stdin_text()
    if not Path(name).exists():
        raise BadInput(f"there is no file {name}", "", "collect facts: imgctl node check --script")
    return read_text(Path(name))


def _collected() -> str:
    """What the script says of this machine."""
    import subprocess

    from deploy.node_facts import SCRIPT

    try:
        done = subprocess.run(["sh", str(SCRIPT)], capture_output=True, timeout=90, check=False)
    except subprocess.TimeoutExpired as error:
        hint = "collect them by hand: imgctl node check --script | sh > facts.txt"
        raise ImgctlError("this machine's facts took over 90 s to collect", "", hint) from error
    return done.stdout.decode("utf-8", errors="replace")


def _print(report: NodeReport) -> None:
    marks = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
    for item in report.checks:
        click.echo(f"{marks[item.state]}  {item.name}: {item.what}")
        for line in item.fix:
            click.echo(f"           $ {line}")
    for image in report.images:
        told = f"{image.base}\n           $ {image.build}" if image.runs else image.why
        click.echo(f"{marks['ok' if image.runs else 'failed']}  image {image.image}: {told}")


def _edit(runtime: str, text: str, wish: RuntimeWish, path: Path | None) -> Edit:
    """The edit of a file's text; path is None for stdin and for a fresh file."""
    from deploy.node_files import read_imported

    if runtime == "docker":
        from deploy.node_docker import edit_daemon_json

        return edit_daemon_json(text, wish, str(path or "stdin"))
    from deploy.node_containerd import edit_config_toml, imported_by

    imported = read_imported(path, imported_by(text)) if path else None
    return edit_config_toml(text, wish, str(path or "stdin"), imported)


def _write(runtime: str, path: Path, edit: Edit) -> Path | None:
    from deploy.node_files import write_text

    backup = write_text(path, edit)
    kept = f" (before: {backup})" if backup else ""
    click.echo(f"{path} written{kept}", err=True)
    click.echo(f"now run: sudo systemctl restart {runtime}", err=True)
    return backup


def _show(path: Path | None, edit: Edit) -> None:
    """The diff of a file; of what came from stdin, or is fresh, the whole."""
    if path is None:
        click.echo(edit.after, nl=False)
    elif edit.changed:
        click.echo(edit.diff(str(path)), nl=False)
    else:
        click.echo(f"{path}: nothing to change")


def _print_edit(path: Path | None, edit: Edit, *, written: bool, backup: Path | None) -> None:
    from imgctl.output import print_json

    print_json({
        "path": str(path) if path else None,
        "changed": edit.changed,
        "written": written,
        "backup": str(backup) if backup else None,
        "notes": list(edit.notes),
        "warnings": list(edit.warnings),
        "diff": edit.diff(str(path or "stdin")),
        "after": edit.after,
    })  # fmt: skip


def _explain(edit: Edit) -> None:
    for note in edit.notes:
        click.echo(f"  {note}", err=True)
    for warning in edit.warnings:
        click.echo(f"warning: {warning}", err=True)
