"""The instructions of a Dockerfile: split, joined over line ends, flags apart, words expanded.

Follows the Dockerfile reference (docs.docker.com/reference/dockerfile): escape directive,
comments inside continued instructions, here-documents, flags, exec and shell form, and the
`$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` substitutions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry.errors import BadInput

_DIRECTIVE = re.compile(r"#\s*([A-Za-z]+)\s*=\s*(\S+)\s*$")
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?(?:\s+|$)")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")
_HEREDOC_KEYWORDS = ("RUN", "COPY", "ADD")
# A number, one of the shell's special parameters (all empty here), or a name.
_NAME = re.compile(r"\d+|[@*#?$!-]|\w+")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    keyword: in upper case. flags: `--name=value` pairs, value "true" for a bare `--name`.
    rest: everything after the flags. line: of its first word, from 1. text: the whole on one
    line. escape: the Dockerfile's escape character. heredoc: whether a here-document follows.
    exact: the rest with the spaces that continued lines begin with, which are part of values.
    """

    keyword: str
    flags: Mapping[str, str] = field(hash=False)
    rest: str
    line: int
    text: str
    escape: str = "\\"
    heredoc: bool = False
    exact: str = ""

    def exec_form(self) -> list[str] | None:
        """The rest as a JSON list of strings; None when it is in shell form."""
        if not self.rest.startswith("["):
            return None
        try:
            value = json.loads(self.rest)
        except ValueError:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        return None


def physical_lines(text: str) -> list[str]:
    """The lines of a Dockerfile, without their ends.

    Only a line feed ends one: str.splitlines would break values at form feeds and U+2028 too.
    """
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def parse(text: str) -> tuple[Instruction, ...]:
    """Every instruction of a Dockerfile, in order; never raises for what BuildKit would refuse."""
    lines = physical_lines(text)
    escape = _escape(lines)
    continued = re.compile(rf"(?:^|(?<=[^{re.escape(escape)}])){re.escape(escape)}[ \t]*$")
    found: list[Instruction] = []
    number = 0
    while number < len(lines):
        first = number
        parts: list[str] = []
        while number < len(lines):
            line = lines[number]
            number += 1
            stripped = line.strip()
            if stripped.startswith("#") or (not stripped and parts):
                continue
            parts.append(continued.sub("", line))
            if continued.search(line) is None:
                break
        if not "".join(parts).strip():
            continue
        while first < number and lines[first].strip()[:1] in ("", "#"):
            first += 1
        instruction = _instruction(parts, first + 1, escape)
        if instruction.heredoc:
            number = _after_heredocs(lines, number, instruction.rest)
        found.append(instruction)
    return tuple(found)


def _escape(lines: Sequence[str]) -> str:
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in ("\\", "`"):
            return match[2]
    return "\\"


def _instruction(parts: Sequence[str], line: int, escape: str) -> Instruction:
    text = _on_one_line(parts)
    keyword, rest, flags = _split(text)
    _, exact, _ = _split("".join(parts).strip())
    heredoc = keyword in _HEREDOC_KEYWORDS and _HEREDOC.search(rest) is not None
    return Instruction(keyword, flags, rest, line, text, escape, heredoc, exact)


def _split(text: str) -> tuple[str, str, dict[str, str]]:
    """(keyword in upper case, what follows the flags, the flags)."""
    keyword, *found = re.split(r"\s+", text, maxsplit=1)
    rest = found[0] if found else ""
    flags: dict[str, str] = {}
    while match := _FLAG.match(rest):
        flags[match[1]] = "true" if match[2] is None else match[2]
        rest = rest[match.end() :]
    return keyword.upper(), rest.strip(), flags


def _on_one_line(parts: Sequence[str]) -> str:
    """The parts of a continued line, with one space where there were some between two."""
    text = ""
    for part in parts:
        spaced = text != text.rstrip() or part != part.lstrip()
        text = text.rstrip() + (" " if text and spaced else "") + part.lstrip()
    return text.strip()


def _after_heredocs(lines: Sequence[str], number: int, rest: str) -> int:
    """The number of the line after the here-documents that an instruction opens."""
    for _, word in _HEREDOC.findall(rest):
        while number < len(lines) and lines[number].strip() != word:
            number += 1
        number += 1
    return number


def final_stage(instructions: Sequence[Instruction]) -> tuple[Instruction, ...]:
    """The last FROM and all that follows it; raises BadInput when there is no FROM."""
    starts = [place for place, item in enumerate(instructions) if item.keyword == "FROM"]
    if not starts:
        raise BadInput("the Dockerfile has no FROM")
    return tuple(instructions[starts[-1] :])


def words(text: str, variables: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Split at spaces outside quotes, quotes taken off, variables put in."""
    return [expand(word, variables, escape) for word in raw_words(text, escape)]


def raw_words(text: str, escape: str = "\\") -> list[str]:
    """Split at spaces outside quotes; quotes, escapes and variables stay as they are."""
    found: list[str] = []
    word, quote, quoted = "", "", False
    place = 0
    while place < len(text):
        char = text[place]
        if char == escape and quote != "'":
            # An escape at the very end stands for nothing.
            word += text[place : place + 2] if place + 1 < len(text) else ""
            place += 2
            continue
        place += 1
        if not quote and char.isspace():
            if word or quoted:
                found.append(word)
            word, quoted = "", False
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote, quoted = char, True
        word += char
    return [*found, word] if word or quoted else found


def expand(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The text as one word: quotes taken off, variables put in, spaces kept."""
    parts: list[str] = []
    quote = ""
    place = 0
    while place < len(text):
        char = text[place]
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == escape and quote != "'":
            place += 1
            following = text[place : place + 1]
            # Inside double quotes only these lose the escape, as in a POSIX shell.
            kept = escape if quote and following and following not in f'"${escape}' else ""
            parts.append(kept + following)
        elif char == "$" and quote != "'":
            value, place = _variable(text, place, variables)
            parts.append(value)
            continue
        else:
            parts.append(char)
        place += 1
    if quote:
        raise BadInput(f"a {quote} is not closed", text[:120])
    return "".join(parts)


def pairs(instruction: Instruction, variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """The `KEY=value` pairs of ENV, LABEL or ARG; ENV's old form `KEY value` is one pair.

    Raises BadInput for anything else.
    """
    found = raw_words(instruction.exact, instruction.escape)
    escape = instruction.escape
    if found and "=" not in found[0]:
        key, *value = re.split(r"\s+", instruction.exact, maxsplit=1)
        if not value:
            raise BadInput(f"line {instruction.line}: {instruction.keyword} {key} has no value")
        return [(expand(key, variables, escape), expand(value[0], variables, escape))]
    result = []
    for word in found:
        key, equals, text = word.partition("=")
        name = expand(key, variables, escape)
        if not equals or not name:
            raise BadInput(f"line {instruction.line}: {word!r} is not KEY=value")
        result.append((name, expand(text, variables, escape)))
    return result


def _variable(text: str, place: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """The value of the variable at `$`, and the place behind it."""
    if text[place + 1 : place + 2] != "{":
        match = _NAME.match(text, place + 1)
        if match is None:
            return "$", place + 1
        return variables.get(match[0], ""), match.end()
    end = _closing(text, place + 2)
    body = text[place + 2 : end]
    name = _NAME.match(body)
    if name is None:
        raise BadInput(f"{text[place : end + 1]!r} is not a variable")
    operator, word = body[name.end() : name.end() + 2], body[name.end() + 2 :]
    value = variables.get(name[0], "")
    if operator == "":
        return value, end + 1
    if operator == ":-":
        return value or expand(word, variables), end + 1
    if operator == ":+":
        return expand(word, variables) if value else "", end + 1
    raise BadInput(
        f"the substitution {text[place : end + 1]!r} is not known here",
        "of the forms with a word it is :- and :+",
        "build it with --engine buildx",
    )


def _closing(text: str, place: int) -> int:
    depth = 1
    for end in range(place, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return end
    raise BadInput(f"a {{ is not closed: {text[:120]}")
