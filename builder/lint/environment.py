"""Rules on the environment the image leaves for its programs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.lint.document import Document, Stage
from builder.lint.finding import Hit
from builder.lint.requirements import is_nvidia_wheel, requirement, wheel
from builder.matrix import Matrix

_STUBS = re.compile(r"LD_LIBRARY_PATH[=\s]\S*/stubs")
_PLAIN = ("library/ubuntu", "library/debian", "library/python")


def check_environment(document: Document, matrix: Matrix) -> Iterator[Hit]:
    """Everything about ENV in what becomes the image."""
    stage = document.final
    for step in stage.all_steps:
        if step.keyword == "ENV" and _STUBS.search(step.text):
            yield Hit("stubs-in-library-path", step, step.line_of("stubs"))
    yield from _run_time(stage, matrix)
    if _is_plain(stage) and _uses_gpu(stage) and stage.env("NVIDIA_VISIBLE_DEVICES") is None:
        yield Hit("gpu-not-visible", stage.start, stage.start.line, stage.image)


def _run_time(stage: Stage, matrix: Matrix) -> Iterator[Hit]:
    if stage.release is None or stage.base is None or stage.base.cuda != "host":
        return
    for name, value in matrix.env(stage.release).items():
        if name == "NVIDIA_REQUIRE_JETPACK" and stage.env(name) is None:
            detail = f"the base is {stage.image}"
            fix = f"add ENV {name}={value}"
            yield Hit("require-jetpack", stage.start, stage.start.line, detail, fix=fix)


def _is_plain(stage: Stage) -> bool:
    return stage.reference is not None and stage.reference.repository in _PLAIN


def _uses_gpu(stage: Stage) -> bool:
    if any(name.startswith(("cuda-", "libcudnn", "nvidia-cuda")) for name in stage.packages()):
        return True
    for _, install in stage.installs():
        for item in install.requirements:
            found = wheel(item)
            if is_nvidia_wheel(item) or (found is not None and found.name == "torch"):
                return True
            if requirement(item)[0] == "torch" and "/whl/cu" in install.indexes:
                return True
    return False
