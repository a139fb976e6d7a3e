"""What every command has alike: variables, the words in its help, completion of image names."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from imgctl.settings import environment_name, flag_name

# How the value of an option is called, by the option: alike in all commands.
_VALUES = {
    "api_version": "VERSION",
    "at_once": "N",
    "concurrency": "N",
    "days": "N",
    "dist": "DIR",
    "gpu": "N",
    "harbor": "HOST",
    "keep": "DIR",
    "l4t": "RELEASE",
    "name": "NAME",
    "namespace": "NAME",
    "platform": "OS/ARCH",
    "project": "NAME",
    "pull_policy": "POLICY",
    "replicas": "N",
    "retries": "N",
    "root": "DIR",
    "snapshotter": "NAME",
    "username": "NAME",
}


class WholeHelpGroup(click.Group):
    """A group whose help shows the whole first sentence of each command."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command, by name."""
        rows = [
            (name, found.get_short_help_str(limit=1000))
            for name in self.list_commands(ctx)
            if (found := self.get_command(ctx, name)) is not None
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def prepare(command: click.Command) -> None:
    """Give a command and those below it what all have."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            parameter.envvar = parameter.envvar or environment_name(parameter)
            if not parameter.is_flag and not isinstance(parameter.type, click.Choice):
                parameter.metavar = parameter.metavar or _VALUES.get(flag_name(parameter))
        elif parameter.name in ("image", "images", "sources"):
            parameter.shell_complete = _images  # type: ignore[method-assign]
    if isinstance(command, click.Group):
        for child in command.commands.values():
            prepare(child)


def _images(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The images of the catalogue; references and files are for the user to know."""
    from imgctl.catalogue import image_roots

    found = {path.parent.name for root in image_roots() for path in root.glob("*/image.yaml")}
    return [CompletionItem(name) for name in sorted(found) if name.startswith(incomplete)]
