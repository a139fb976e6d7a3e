"""The command group: finds commands by name and loads each only when it is used."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from imgctl import __version__
from imgctl.settings import (
    FREE_SECTIONS,
    SettingsFile,
    check_keys,
    check_section,
    defaults_for,
    flag_name,
    load_settings,
    option_names,
    option_value,
    settings_path,
)
from imgctl.uniform import prepare

PACKAGE = "imgctl.commands"
# What `imgctl --help` shows together, in the order of an image's life.
STAGES = {
    "Build": "demo doctor l4t images render lint build",
    "Registry": "login logout push copy base harbor",
    "Edge": "manifests deploy pin prepull bundle device-plugin node run",
    "Release": "init release sign attest verify promote rollback rebase",
    "Look back": "history diff outdated report",
}


def command_modules() -> dict[str, str]:
    """Command name -> module, one per file in imgctl/commands; `device_plugin.py` is device-plugin.

    Each module holds a click command named `command`; files that start with `_` are helpers.
    """
    files = sorted((Path(__file__).parent / "commands").glob("[a-z]*.py"))
    return {file.stem.replace("_", "-"): f"{PACKAGE}.{file.stem}" for file in files}


class LazyGroup(click.Group):
    """A click group whose commands are imported on first use, so that start-up stays short."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command name, sorted."""
        return list(command_modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; None for an unknown name."""
        module = command_modules().get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(module).command
        prepare(command)
        settings = _settings()
        if settings is not None:
            check_section(settings, cmd_name, command)
            _check_top(settings, command)
            ctx.default_map = {cmd_name: _default_map(settings, command, (cmd_name,))}
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command's first sentence, uncut, by stage."""
        for stage, names in STAGES.items():
            commands = ((name, self.get_command(ctx, name)) for name in names.split())
            with formatter.section(stage):
                formatter.write_dl(
                    [(name, it.get_short_help_str(limit=1000)) for name, it in commands if it]
                )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name when there is no such command."""
        name = args[0]
        known = command_modules()
        if name not in known and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


def _settings() -> SettingsFile | None:
    path = settings_path()
    return load_settings(path) if path else None


def _check_top(settings: SettingsFile, command: click.Command) -> None:
    """Refuse a key that no command knows. The others are loaded only for keys not its own."""
    modules = command_modules()
    known = {name.replace("-", "_") for name in modules} | set(option_names(command))
    if all(key in known for key in settings.top_keys()):
        return
    for module in modules.values():
        known |= set(option_names(import_module(module).command))
    check_keys(settings, known)


def _default_map(
    settings: SettingsFile, command: click.Command, names: tuple[str, ...]
) -> dict[str, Any]:
    given = defaults_for(settings, names)
    options = [item for item in command.params if isinstance(item, click.Option)]
    sections = {*command_modules(), *FREE_SECTIONS}
    values: dict[str, Any] = {
        str(item.name): option_value(item, given[flag_name(item)])
        for item in options
        if flag_name(item) in given
        # `harbor` is an option, and a section of settings as well.
        and not (isinstance(given[flag_name(item)], dict) and flag_name(item) in sections)
    }
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            values[name] = _default_map(settings, child, (*names, name))
    return values


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="imgctl", message="%(prog)s %(version)s")
def cli() -> None:
    """Build GPU images for NVIDIA Jetson, push them to Harbor, run exactly them at the edge."""


def main() -> None:
    """Run the command line and exit with the code design gives each kind of ending."""
    from imgctl.output import run

    # A cancelled CI job or a closed terminal ends like Ctrl-C: children ended, nothing left behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that lacks a character gets its code instead of ending the program.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(cli))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
