"""Rules on what a RUN cannot do: there is no GPU, no driver and, on r32, no CUDA in a build."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.lint.document import Document, Stage, Step
from builder.lint.finding import Hit, Level
from builder.lint.shell import Command

_LIBRARIES = "torch|torchvision|tensorflow|tensorrt|cv2|cupy|pycuda|jetson_inference|jetson_utils"
_IMPORT = re.compile(
    rf"(?<![-\w])(?:import|from)\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*({_LIBRARIES})\b"
)
_NEEDS_DRIVER = ("nvidia-smi", "trtexec", "deviceQuery", "tegrastats")
_COMPILERS = ("cuda-nvcc", "cuda-toolkit", "cuda-compiler", "cuda-minimal-build")


def check_build_time(document: Document) -> Iterator[Hit]:
    """Every RUN that uses the GPU, or a compiler that is not there."""
    for stage in document.stages:
        if stage.major is None:
            continue
        for step in stage.steps:
            for command in step.commands:
                yield from _command(step, command, stage)


def _command(step: Step, command: Command, stage: Stage) -> Iterator[Hit]:
    text = " ".join(command.words)
    if command.program in _NEEDS_DRIVER:
        yield Hit("gpu-import", step, step.line_of(command.program), command.program)
    is_python = re.fullmatch(r"python[\d.]*", command.program) or command.words[0] in (
        "import",
        "from",
    )
    match = _IMPORT.search(text) if is_python else None
    if match is not None and not (match[1] == "cv2" and stage.major != 32):
        # From r34 on CUDA is in the image and only the driver's own libraries are missing.
        level: Level | None = None if stage.major == 32 else "warning"
        yield Hit("gpu-import", step, step.line_of(match[1]), match[0], level=level)
    compiles = command.program == "nvcc" and "--version" not in command.words
    if stage.major == 32 and compiles and not _has_compiler(stage):
        yield Hit("nvcc-r32", step, step.line_of("nvcc"))


def _has_compiler(stage: Stage) -> bool:
    return any(name.startswith(_COMPILERS) for name in stage.packages())
