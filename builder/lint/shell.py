"""The commands in a RUN: split at the shell's operators, and what they install.

Not a shell: no expansion beyond the variables given, no control flow. Every command that stands in
the text counts as run, which is what a check on what a build may do wants.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1")
_OPERATORS = ";&|()`"
# Words that may stand before a command without changing what it is.
_PREFIXES = {"!", "{", "if", "then", "else", "elif", "while", "until", "do", "time", "sudo", "env",
             "exec", "command", "nice", "xvfb-run"}  # fmt: skip
_SHELLS = {"sh", "bash", "dash", "/bin/sh", "/bin/bash"}
# Options of pip install whose value is a word of its own.
_PIP_VALUES = {
    "-i": "--index-url", "--index-url": "--index-url", "--extra-index-url": "--extra-index-url",
    "-f": "--find-links", "--find-links": "--find-links", "-c": "--constraint",
    "--constraint": "--constraint", "-r": "--requirement", "--requirement": "--requirement",
    "-e": "--editable", "--editable": "--editable", "-t": "--target", "--target": "--target",
    "--prefix": "--prefix", "--root": "--root", "--trusted-host": "--trusted-host",
    "--timeout": "--timeout", "--retries": "--retries", "--no-binary": "--no-binary",
    "--only-binary": "--only-binary", "--index": "--index-url", "--python": "--python",
    "--default-index": "--index-url",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One simple command: its words (program first) and the variables set for it alone."""

    words: tuple[str, ...]
    environment: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """The program's name without its folder."""
        return self.words[0].rsplit("/", 1)[-1]


@dataclass(frozen=True)
class PipInstall:
    """One `pip install`: requirements as written, option names, and (option, value) pairs.

    program: `pip`, or `uv`, which takes a package from the first index that has it.
    """

    requirements: tuple[str, ...]
    flags: frozenset[str]
    values: tuple[tuple[str, str], ...]
    environment: tuple[str, ...]
    program: str = "pip"

    def value(self, option: str) -> str:
        """All values of an option, separated by spaces."""
        return " ".join(value for name, value in self.values if name == option)

    @property
    def indexes(self) -> str:
        """Every index and link page the command names."""
        names = ("--index-url", "--extra-index-url", "--find-links")
        return " ".join(value for name, value in self.values if name in names)


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """The text with the variables that are known put in, and the others left as they are."""

    def value(match: re.Match[str]) -> str:
        return variables.get(match[1] or match[2], match[0])

    return _VARIABLE.sub(value, text)


def exec_commands(listed: Sequence[str]) -> Iterator[Command]:
    """The command of an exec form, or those it gives to a shell."""
    yield from _command(list(listed))


def commands(script: str) -> Iterator[Command]:
    """Every simple command of a script, those given to `sh -c` included."""
    for line in script.split("\n"):
        if line.lstrip().startswith("#"):
            continue
        yield from _line_commands(line)


def _line_commands(line: str) -> Iterator[Command]:
    words: list[str] = []
    for word in [*_split(_HEREDOC.sub("", line)), ";"]:
        if word.strip(_OPERATORS) == "":
            yield from _command(words)
            words = []
        else:
            words.append(word)


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        # An open quote: the command is broken, and still worth looking at.
        return [word for word in re.split(rf"([{re.escape(_OPERATORS)}])|\s+", line) if word]


def _command(words: list[str]) -> Iterator[Command]:
    rest = list(words)
    environment: list[str] = []
    wrapped = False
    while rest:
        if _ASSIGNMENT.match(rest[0]):
            environment.append(rest.pop(0))
        elif rest[0].rsplit("/", 1)[-1] in _PREFIXES:
            wrapped = True
            rest.pop(0)
        elif wrapped and rest[0].startswith("-"):
            rest.pop(0)
        else:
            break
    if not rest:
        return
    inner = [place for place, word in enumerate(rest) if re.fullmatch(r"-[a-z]*c", word)]
    if rest[0] in _SHELLS and inner and len(rest) > inner[0] + 1:
        yield from commands(rest[inner[0] + 1])
        return
    yield Command(tuple(rest), tuple(environment))


def apt_verb(command: Command) -> str:
    """The verb of an apt command (`install`, `dist-upgrade`), else an empty string."""
    if command.program not in ("apt", "apt-get", "aptitude"):
        return ""
    return next((word for word in _apt_words(command)), "")


def apt_packages(command: Command) -> tuple[str, ...]:
    """The packages an `apt install` names, versions included; empty for other commands."""
    words = _apt_words(command)
    return tuple(words[1:]) if apt_verb(command) in ("install", "reinstall") else ()


def _apt_words(command: Command) -> list[str]:
    words: list[str] = []
    skip = False
    for word in command.words[1:]:
        if skip:
            skip = False
        elif word in ("-o", "-t", "-c", "--target-release", "--option"):
            skip = True
        elif not word.startswith(("-", ">", "<", "2>")):
            words.append(word)
    return words


def pip_install(command: Command) -> PipInstall | None:
    """What a `pip install` (or `python -m pip`, `uv pip`) is asked for; None for other commands."""
    words = list(command.words)
    program = command.program
    if re.fullmatch(r"python[\d.]*", program) and words[1:3] == ["-m", "pip"]:
        words = words[3:]
    elif re.fullmatch(r"pip[\d.]*", program):
        words = words[1:]
    elif program == "uv" and words[1:2] == ["pip"]:
        words = words[2:]
    else:
        return None
    if "install" not in words:
        return None
    words.remove("install")
    return _pip_words(words, command.environment, "uv" if program == "uv" else "pip")


def _pip_words(words: list[str], environment: tuple[str, ...], program: str) -> PipInstall:
    requirements: list[str] = []
    flags: set[str] = set()
    values: list[tuple[str, str]] = []
    pending = ""
    for text in words:
        # A short option may have its value in the same word.
        attached = re.fullmatch(r"(-[ifcr])(.+)", text)
        word = f"{_PIP_VALUES[attached[1]]}={attached[2]}" if attached else text
        name, equals, value = word.partition("=")
        if pending:
            values.append((pending, word))
            pending = ""
        elif word.startswith("-") and equals and name in _PIP_VALUES:
            values.append((_PIP_VALUES[name], value))
        elif word in _PIP_VALUES:
            pending = _PIP_VALUES[word]
        elif word.startswith("-"):
            flags.add(word)
        else:
            requirements.append(word)
    return PipInstall(tuple(requirements), frozenset(flags), tuple(values), environment, program)
