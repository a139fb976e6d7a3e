"""Rules on COPY and on what keeps our layer apart from the base's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.instructions import Instruction, words
from builder.lint.document import Document, Stage, Step
from builder.lint.finding import Hit
from builder.stage import obstacle
from registry.errors import BadInput

_SYNTAX = re.compile(r"#\s*syntax\s*=", re.IGNORECASE)
# Folders that are symlinks in every Ubuntu image, with what they point to.
_ALWAYS = {"/var/run": "/run", "/var/lock": "/run/lock"}
# Since 20.04 (L4T r34) these are, too.
_MERGED = {"/bin": "/usr/bin", "/sbin": "/usr/sbin", "/lib": "/usr/lib", "/lib64": "/usr/lib64"}
# Where CUDA is in the image its own folder carries the version.
_CUDA = {"/usr/local/cuda": "/usr/local/cuda-X.Y"}


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
    known = dict(_ALWAYS)
    if stage.major != 32:
        known |= _MERGED
    if stage.base is not None and stage.base.cuda == "image":
        known |= _CUDA
    paths = _paths(step.instruction, step)
    target = paths[-1] if len(paths) > 1 else ""
    for link, real in known.items():
        if target.rstrip("/") == link or target.startswith(f"{link}/"):
            detail = f"{target} is under {link}, a symlink to {real}"
            fix = f"copy to {target.replace(link, real, 1)}"
            yield Hit("link-over-symlink", step, step.line_of(target), detail, fix=fix)


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
