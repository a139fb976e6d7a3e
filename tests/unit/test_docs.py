"""What the documents say can be typed: commands that exist, options that they have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from imgctl.cli import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "dockerfiles/README.md")),
]
# A command in code, or on a line of a console block; benchmarks.md is written by a program.
COMMAND = re.compile(r"(?:`|^\$ |\| )imgctl ([^`\n|<>#]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:\s]+)\)")


def typed(text: str) -> Iterator[list[str]]:
    """The words after `imgctl`, of every command in a document."""
    for match in COMMAND.finditer(text.replace("\\\n", " ")):
        # What stands in quotes is a value, or a command of somebody else.
        words = re.sub(r"([\"']).*?(\1|$)", "VALUE", match[1]).split()
        if words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
            yield words


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(path: Path) -> None:
    for words in typed(path.read_text(encoding="utf-8")):
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, words
        rest = words[1:]
        while isinstance(command, click.Group) and rest and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]
        options = {flag for item in command.params for flag in (*item.opts, *item.secondary_opts)}
        given = [word.partition("=")[0].rstrip(",") for word in rest if re.match(r"--?\w", word)]
        assert set(given) <= options | {"--help"}, words


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    names = LINK.findall(path.read_text(encoding="utf-8"))
    assert [name for name in names if not (path.parent / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_rows_of_tables_belong_to_a_table(path: Path) -> None:
    """A row after an empty line is shown as text: a table begins with a head and a rule."""
    outside = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for block in re.split(r"\n\s*\n", outside):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        if rows:
            assert re.fullmatch(r"\|[\s|:-]+\|", rows[1] if len(rows) > 1 else ""), rows[0]
