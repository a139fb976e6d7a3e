"""Rules on COPY and on what keeps our layer apart from the base's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder import symlinks
from builder.instructions import Instruction, words
from builder.lint.document import Document, Stage, Step
from builder.lint.finding import Hit
from builder.stage import obstacle
from registry.errors import BadInput

_SYNTAX = re.compile(r"#\s*syntax\s*=", re.IGNORECASE)


def check_layers(document: Document) -> Iterator[Hit]:
    """Everything about COPY, ADD and the syntax line."""
    for stage in document.stages:
        for step in stage.steps:
            if step.keyword in ("COPY", "ADD"):
                yield from _copy(step, stage)
    why = obstacle([step.instruction for step in document.final.all_steps])
    if why is not None:
        line = int(re.findall(r"\d+", why)[0])
        step = next(step for step in document.final.all_steps if step.line == line)
        yield Hit("not-graftable", step, line, why.partition(", ")[2])
    yield from _syntax(document)


def _copy(step: Step, stage: Stage) -> Iterator[Hit]:
    item = step.instruction
    if any("qemu-aarch64" in source for source in _paths(item, step)[:-1]):
        yield Hit("copies-qemu", step, step.line_of("qemu-aarch64"))
    if item.flags.get("link", "false") not in ("true", "1"):
        return
    if "chmod" in item.flags:
        yield Hit("chmod-undoes-link", step, step.line_of("--chmod"))
    owner = item.flags.get("chown", "")
    if owner and "$" not in owner and not re.fullmatch(r"\d+(:\d+)?", owner):
        yield Hit("link-owner-name", step, step.line_of("--chown"), f"--chown={owner}")
    yield from _symlinks(step, stage)


def _symlinks(step: Step, stage: Stage) -> Iterator[Hit]:
    known = dict(symlinks.ALWAYS)
    if stage.major != 32:
        known |= symlinks.MERGED
    if stage.base is not None and stage.base.cuda == "image":
        known |= symlinks.CUDA
    paths = _paths(step.instruction, step)
    target = paths[-1] if len(paths) > 1 else ""
    if found := symlinks.behind(target, known):
        link, real = found
        detail = f"{target} is under {link}, a symlink to {known[link]}"
        yield Hit("link-over-symlink", step, step.line_of(target), detail, fix=f"copy to {real}")


def _paths(item: Instruction, step: Step) -> list[str]:
    listed = item.exec_form()
    if listed is not None:
        return listed
    try:
        return words(item.rest, step.variables, item.escape)
    except BadInput:
        return item.rest.split()


def _syntax(document: Document) -> Iterator[Hit]:
    for number, line in enumerate(document.lines, start=1):
        if not line.startswith("#"):
            return
        if _SYNTAX.match(line):
            yield Hit("syntax-line", document.steps[0], number, line.lstrip("# ").strip())
            return
