"""Where an option's value comes from: flag, then environment, then imgctl.yaml, then default.

`imgctl.yaml` in the working folder (or the file IMGCTL_CONFIG names) holds option names as keys,
dashes or underscores alike; a section named as a command holds for that command only:

    harbor: local-harbor.com
    project: algorithms
    build:
      base-mirror: local-harbor.com/nvcr
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from registry.errors import BadInput

FILE_NAME = "imgctl.yaml"
# Sections that are no command's: how tags are made, what is trusted, how a project is set up.
FREE_SECTIONS = frozenset({"tags", "policy", "harbor_project"})

# The metavar of an option that names something and gives it a value.
_PAIR = re.compile(r"\[?(KEY|NAME)\[?=")


@dataclass(frozen=True)
class SettingsFile:
    """The parsed imgctl.yaml: its path, and its keys with dashes turned into underscores."""

    path: Path
    values: Mapping[str, Any]

    def top_keys(self) -> list[str]:
        """Keys on top that an option or a command must stand behind."""
        return [key for key in self.values if key not in FREE_SECTIONS]

    def section(self, name: str) -> dict[str, Any]:
        """A free-form section, empty when absent; BadInput when it is not a mapping."""
        value = self.values.get(name) or {}
        if not isinstance(value, dict):
            raise BadInput(f"`{name}` in {self.path} must be a mapping", f"it is {value!r}")
        return value


def settings_path() -> Path | None:
    """The settings file in force: IMGCTL_CONFIG, else ./imgctl.yaml if it is there."""
    named = os.environ.get("IMGCTL_CONFIG")
    if named:
        if not Path(named).is_file():
            raise BadInput(f"the settings file {named} does not exist", "IMGCTL_CONFIG names it")
        return Path(named)
    local = Path(FILE_NAME)
    return local if local.is_file() else None


def section(name: str) -> dict[str, Any]:
    """A free-form section of the settings file in force; empty when there is none."""
    path = settings_path()
    return load_settings(path).section(name) if path else {}


def load_settings(path: Path) -> SettingsFile:
    """Read a settings file; raises BadInput when it is not a YAML mapping."""
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = " ".join(str(error).split())[:200]
        raise BadInput(f"{path} is not YAML", place, "see the README for an example") from error
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise BadInput(
            f"{path} must hold `option: value` lines", f"it holds {type(value).__name__}"
        )
    return SettingsFile(path, {str(key).replace("-", "_"): item for key, item in value.items()})


def defaults_for(settings: SettingsFile, names: tuple[str, ...]) -> dict[str, Any]:
    """The file's values for one command, as click's default_map wants them.

    names: the command's path, for example ("harbor", "init"). Keys of the file's sections win
    over its top-level keys, inner sections over outer ones. Mappings are among the values: those
    of options that take KEY=VALUE, and sections.
    """
    found = dict(settings.values)
    level: Any = settings.values
    for name in names:
        level = level.get(name.replace("-", "_"), {}) if isinstance(level, dict) else {}
        if isinstance(level, dict):
            found |= {str(key).replace("-", "_"): item for key, item in level.items()}
    return found


def option_value(option: click.Option, value: Any) -> Any:
    """A value of the file as click takes it; BadInput for a mapping where none can be.

    An option that may be repeated takes one value, a list, or, where it is KEY=VALUE, a mapping.
    """
    if not isinstance(value, dict):
        return [value] if option.multiple and not isinstance(value, list) else value
    if not option.multiple or not _PAIR.match(option.metavar or ""):
        raise BadInput(f"the setting {flag_name(option)!r} cannot be a mapping", f"it is {value!r}")
    return [f"{key}={_word(item)}" for key, item in value.items()]


def _word(value: Any) -> str:
    """As it stands in the file: true is no Python's True."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def flag_name(option: click.Option) -> str:
    """An option's name as users write it, underscored: `format` for --format."""
    flags = [flag for flag in option.opts if flag.startswith("--")]
    return max(flags, key=len)[2:].replace("-", "_") if flags else option.name or ""


def option_names(command: click.Command) -> Iterator[str]:
    """Every option of a command and its subcommands, as underscored names."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield flag_name(parameter)
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from option_names(child)


def check_section(settings: SettingsFile, name: str, command: click.Command) -> None:
    """Refuse a key in a command's own section that is none of its options."""
    section = settings.values.get(name.replace("-", "_"))
    if not isinstance(section, dict):
        return
    known = set(option_names(command))
    subcommands = set(command.commands) if isinstance(command, click.Group) else set()
    for key in section:
        bare = str(key).replace("-", "_")
        if bare not in known and str(key) not in subcommands:
            from difflib import get_close_matches

            near = get_close_matches(bare, known, n=1)
            hint = f"did you mean {near[0].replace('_', '-')!r}?" if near else ""
            raise BadInput(f"`imgctl {name}` has no option {key!r}", f"{settings.path}", hint)


def check_keys(settings: SettingsFile, known: set[str]) -> None:
    """Refuse a key on top that is neither an option of any command, nor a command, nor known."""
    for key in settings.top_keys():
        if key not in known:
            from difflib import get_close_matches

            near = get_close_matches(key, known | FREE_SECTIONS, n=1)
            hint = f"did you mean {near[0].replace('_', '-')!r}?" if near else ""
            raise BadInput(f"imgctl knows no setting {key!r}", f"{settings.path}", hint)


def environment_name(option: click.Option) -> str:
    """The environment variable of an option: IMGCTL_ and its name."""
    return f"IMGCTL_{flag_name(option).upper()}"
