"""A Dockerfile as lint reads it: stages with what is known of their bases, steps with their lines.

The instructions themselves come from builder/instructions.py; here they are put into stages, given
their physical lines, their here-documents and the suppressions above them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from builder.bases import BaseImage, published
from builder.instructions import Instruction, parse, physical_lines, words
from builder.lint.shell import (
    Command,
    PipInstall,
    apt_packages,
    commands,
    exec_commands,
    pip_install,
    substitute,
)
from builder.matrix import L4TRelease, Matrix
from registry.errors import BadInput
from registry.reference import Reference

_SUPPRESSION = re.compile(r"#\s*imgctl:\s*ignore\s*=\s*([\w,-]*)\s*(.*)")
_L4T_IN_TAG = re.compile(r"(?:^|-)r?(\d{2}\.\d{1,2}\.\d{1,2})(?:-|$)")
_SUITE = re.compile(r"repo\.download\.nvidia\.com/jetson/\S+\s+r(\d{2})\.(\d{1,2})(?![.\d])")


@dataclass(frozen=True)
class Suppression:
    """A comment `# imgctl: ignore=RULE[,RULE] reason`: where it stands and what it says."""

    line: int
    rules: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Step:
    """One instruction with what surrounds it.

    lines: (number, text) of each of its physical lines that is no comment, here-documents
    included. variables: those of ARG and ENV that hold before it, as far as they are known.
    """

    instruction: Instruction
    lines: tuple[tuple[int, str], ...]
    suppressions: tuple[Suppression, ...]
    variables: Mapping[str, str]

    @property
    def keyword(self) -> str:
        """The instruction's keyword in upper case."""
        return self.instruction.keyword

    @property
    def line(self) -> int:
        """The line it begins on."""
        return self.instruction.line

    @property
    def text(self) -> str:
        """The whole instruction on one line, known variables put in."""
        return substitute(self.instruction.text, self.variables)

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """The shell commands of a RUN; empty for anything else."""
        if self.keyword != "RUN":
            return ()
        listed = self.instruction.exec_form()
        if listed is not None:
            return tuple(exec_commands(listed))
        script = substitute(self.instruction.rest, self.variables)
        bodies = [text for number, text in self.lines if self._is_body(number)]
        return tuple(commands("\n".join([script, *bodies])))

    @cached_property
    def pip_installs(self) -> tuple[PipInstall, ...]:
        """Every `pip install` of a RUN."""
        found = (pip_install(command) for command in self.commands)
        return tuple(install for install in found if install is not None)

    def sets_env(self, name: str) -> bool:
        """Whether this is an ENV that sets the variable."""
        if self.keyword != "ENV":
            return False
        return re.search(rf"(?:^|\s){name}(?:=|\s|$)", self.instruction.rest) is not None

    def line_of(self, text: str) -> int:
        """The first of its lines that holds the text; its own line when none does."""
        return next((number for number, line in self.lines if text in line), self.line)

    def _is_body(self, number: int) -> bool:
        if not self.instruction.heredoc:
            return False
        opened = next((at for at, line in self.lines if "<<" in line), self.line)
        return number > opened


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows.

    image: what FROM names, variables put in. parent: index of the stage it builds on, or None.
    reference: the image under it and its parents; None for scratch or what cannot be parsed.
    base: that image as the matrix knows it. release: the L4T release its base is made for, as far
    as tag, apt suite or the caller tell. steps: its own, FROM first. inherited: its parents'.
    """

    index: int
    name: str
    image: str
    parent: int | None
    reference: Reference | None
    base: BaseImage | None
    release: L4TRelease | None
    steps: tuple[Step, ...]
    inherited: tuple[Step, ...]

    @property
    def start(self) -> Step:
        """The FROM."""
        return self.steps[0]

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """Everything that made this stage, the stages it builds on included."""
        return (*self.inherited, *self.steps)

    @property
    def major(self) -> int | None:
        """32 to 39; None when the release is not known."""
        return self.release.major if self.release else None

    @property
    def python(self) -> str:
        """The base's Python (`3.8`), or an empty string."""
        if self.base is not None:
            return self.base.python
        return self.release.python if self.release else ""

    def env(self, name: str) -> Step | None:
        """The ENV, here or in a stage below, that sets the variable."""
        return next((step for step in self.all_steps if step.sets_env(name)), None)

    def installs(self) -> Iterator[tuple[Step, PipInstall]]:
        """Every `pip install` that made this stage."""
        for step in self.all_steps:
            for install in step.pip_installs:
                yield step, install

    def packages(self) -> Iterator[str]:
        """Every apt package that made this stage, without its version."""
        for step in self.all_steps:
            for command in step.commands:
                for package in apt_packages(command):
                    yield package.partition("=")[0]


@dataclass(frozen=True)
class Document:
    """A whole Dockerfile. steps: all of them, those before the first FROM too."""

    filename: str
    lines: tuple[str, ...]
    steps: tuple[Step, ...]
    stages: tuple[Stage, ...]

    @property
    def final(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]


def read_document(
    text: str, filename: str, matrix: Matrix, release: L4TRelease | None = None
) -> Document:
    """A Dockerfile's text as stages and steps.

    release: the L4T release it is meant for, where its base does not say.
    Raises BadInput when there is no FROM, or nothing in it at all.
    """
    instructions = parse(text)
    lines = tuple(physical_lines(text))
    if not any(item.keyword == "FROM" for item in instructions):
        raise BadInput(
            f"{filename} is no Dockerfile", "it has no FROM", "name a Dockerfile or an image"
        )
    steps = tuple(_steps(instructions, lines))
    return Document(filename, lines, steps, _stages(steps, matrix, release))


def _steps(instructions: tuple[Instruction, ...], lines: tuple[str, ...]) -> Iterator[Step]:
    variables: dict[str, str] = {}
    before: dict[str, str] = {}
    above = 0
    started = False
    for place, item in enumerate(instructions):
        end = instructions[place + 1].line - 1 if place + 1 < len(instructions) else len(lines)
        span = [(number, lines[number - 1]) for number in range(item.line, end + 1)]
        while len(span) > 1 and span[-1][1].strip()[:1] in ("", "#"):
            span.pop()
        if item.keyword == "FROM":
            # A stage sees nothing of the ones before; its FROM sees the ARGs before all.
            variables = dict(before)
            started = True
        yield Step(
            item,
            tuple((number, line) for number, line in span if line.strip()[:1] != "#"),
            tuple(_suppressions(lines, above, span[-1][0])),
            dict(variables),
        )
        above = span[-1][0]
        _declare(item, variables, before)
        if not started:
            before = dict(variables)


def _declare(item: Instruction, variables: dict[str, str], before: Mapping[str, str]) -> None:
    if item.keyword not in ("ARG", "ENV"):
        return
    try:
        found = words(item.rest, variables, item.escape)
    except BadInput:
        return
    if item.keyword == "ENV" and len(found) > 1 and "=" not in found[0]:
        variables[found[0]] = " ".join(found[1:])
        return
    for word in found:
        name, equals, value = word.partition("=")
        if equals:
            variables[name] = value
        elif name in before:
            variables[name] = before[name]


def _suppressions(lines: tuple[str, ...], above: int, end: int) -> Iterator[Suppression]:
    """Those in the comments directly above an instruction and inside it."""
    for number in range(above + 1, end + 1):
        match = _SUPPRESSION.fullmatch(lines[number - 1].strip())
        if match is not None:
            rules = tuple(rule for rule in match[1].split(",") if rule)
            yield Suppression(number, rules, match[2].strip())


def _stages(
    steps: tuple[Step, ...], matrix: Matrix, release: L4TRelease | None
) -> tuple[Stage, ...]:
    starts = [place for place, step in enumerate(steps) if step.keyword == "FROM"]
    stages: list[Stage] = []
    for index, (start, end) in enumerate(zip(starts, [*starts[1:], len(steps)], strict=True)):
        own = steps[start:end]
        image, _, name = _from_words(own[0])
        parent = _parent(image, stages)
        inherited = (*parent.inherited, *parent.steps) if parent else ()
        reference = parent.reference if parent else _reference(image)
        base = parent.base if parent else _base(matrix, reference)
        stage = Stage(
            index=index,
            name=name,
            image=image,
            parent=parent.index if parent else None,
            reference=reference,
            base=base,
            release=None,
            steps=own,
            inherited=inherited,
        )
        stages.append(_with_release(stage, matrix, release))
    return tuple(stages)


def _from_words(step: Step) -> tuple[str, str, str]:
    """(image, "AS", name) of a FROM; empty where it has none."""
    try:
        found = words(step.instruction.rest, step.variables, step.instruction.escape)
    except BadInput:
        found = step.instruction.rest.split()
    image, keyword, name = (*found, "", "", "")[:3]
    return image, keyword, name.lower()


def _parent(image: str, stages: list[Stage]) -> Stage | None:
    return next((stage for stage in stages if stage.name and stage.name == image.lower()), None)


def _reference(image: str) -> Reference | None:
    if not image or image == "scratch":
        return None
    try:
        return Reference.parse(image)
    except BadInput:
        return None


def _base(matrix: Matrix, reference: Reference | None) -> BaseImage | None:
    return None if reference is None else published(matrix, upstream(matrix, reference))


def upstream(matrix: Matrix, reference: Reference) -> Reference:
    """The reference on its own registry when it names a mirror: `harbor/nvcr/nvidia/l4t-base`."""
    for family in matrix.families:
        path = f"/{family.repository}"
        if "nvidia" in path and f"/{reference.repository}".endswith(path):
            return replace(reference, host=family.registry, repository=family.repository)
    return reference


def _with_release(stage: Stage, matrix: Matrix, release: L4TRelease | None) -> Stage:
    """The stage with its release, and a base without CUDA made one for that release."""
    base = stage.base
    if base is not None and base.l4t is not None and base.cuda != "none":
        return replace(stage, release=matrix.known(base.l4t))
    found = release or _release_of_suite(stage, matrix) or _release_of_tag(stage, matrix)
    if found is None and base is not None:
        found = matrix.known(base.l4t or base.release)
    if base is not None and base.cuda == "none" and found is not None:
        base = replace(base, release=found.version)
    return replace(stage, base=base, release=found)


def _release_of_suite(stage: Stage, matrix: Matrix) -> L4TRelease | None:
    for step in stage.all_steps:
        match = _SUITE.search(step.text)
        if match is not None:
            line = (int(match[1]), int(match[2]))
            same = [item for item in matrix.releases if item.line == line]
            return same[-1] if same else None
    return None


def _release_of_tag(stage: Stage, matrix: Matrix) -> L4TRelease | None:
    """From the tag of an image by others, as dustynv/l4t-pytorch:r35.4.1 has it."""
    match = _L4T_IN_TAG.search((stage.reference.tag or "") if stage.reference else "")
    return matrix.known(match[1]) if match else None
