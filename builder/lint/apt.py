"""Rules on apt: what must not enter an image, and sources that do not fit the base."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder import host_rules
from builder.lint.document import Document, Stage, Step
from builder.lint.finding import Hit, Level
from builder.lint.shell import Command, apt_packages, apt_verb
from builder.matrix import Matrix

_UPGRADES = ("upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade")
_BOARD = re.compile(r"nvidia-(jetpack|l4t-)[a-z0-9.+*-]*|nvidia-jetpack|nvidia-container")
# NVIDIA's preinst skips its check for the board when this file is there.
_PREINST_MARKER = ".nv-l4t-disable-boot-fw-update-in-preinstall"
_SOURCE = re.compile(r"repo\.download\.nvidia\.com/jetson/(\w+)\s+(?:r(\d{2}\.\d{1,2})(?![.\d]))?")
# Their ENV sets DEBIAN_FRONTEND already.
_QUIET_FAMILIES = ("l4t-pytorch", "l4t-tensorflow", "l4t-ml")


def check_apt(document: Document, matrix: Matrix) -> Iterator[Hit]:
    """Everything about apt, in every stage."""
    for stage in document.stages:
        marked = any(_PREINST_MARKER in step.text for step in stage.all_steps)
        for step in stage.steps:
            for command in step.commands:
                yield from _command(step, command, marked)
            yield from _sources(step, stage, matrix)
        yield from _frontend(stage)
    stays = document.final.env("DEBIAN_FRONTEND")
    if stays is not None:
        yield Hit("apt-frontend-stays", stays, stays.line)


def _command(step: Step, command: Command, marked: bool) -> Iterator[Hit]:
    verb = apt_verb(command)
    if verb in _UPGRADES:
        yield Hit("apt-upgrade", step, step.line_of(verb), f"{command.program} {verb}")
    for package in apt_packages(command):
        if _BOARD.fullmatch(package.partition("=")[0]):
            level: Level | None = "warning" if marked else None
            line = step.line_of(package)
            yield Hit("apt-l4t-packages", step, line, package, level=level)
    if command.program == "apt-key":
        yield Hit("apt-key", step, step.line_of("apt-key"))


def _sources(step: Step, stage: Stage, matrix: Matrix) -> Iterator[Hit]:
    for number, line in step.lines:
        for component, suite in _SOURCE.findall(line):
            is_soc = re.fullmatch(r"t\d{3}|som", component) and component != "t264"
            if is_soc and stage.major != 32:
                yield Hit("apt-soc-source", step, number, f"jetson/{component}")
            if suite and not _fits(stage, matrix, suite):
                yield Hit("apt-suite-mismatch", step, number, f"r{suite} on {stage.image}")


def _fits(stage: Stage, matrix: Matrix, suite: str) -> bool:
    """Whether an image of the stage's base may take packages of the suite's line."""
    base = stage.base
    if base is None:
        return True
    line = tuple(int(part) for part in suite.split("."))
    releases = [item for item in matrix.releases if item.line == line]
    if base.l4t is None:
        return not base.runs_on or suite in base.runs_on
    has_cuda = base.cuda != "none"
    return not releases or any(
        host_rules.check(matrix, base.l4t, item, carries_cuda=has_cuda) is None for item in releases
    )


def _frontend(stage: Stage) -> Iterator[Hit]:
    quiet = stage.base is not None and stage.base.family in _QUIET_FAMILIES
    if quiet or any(step.sets_env("DEBIAN_FRONTEND") for step in stage.inherited):
        return
    for step in stage.steps:
        if "DEBIAN_FRONTEND" in step.variables or "DEBIAN_FRONTEND" in step.text:
            continue
        if any(apt_packages(command) for command in step.commands):
            yield Hit("apt-frontend", step, step.line)
            return
