"""Rules on Python packages: the right PyTorch and TensorFlow, and what displaces them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.lint.document import Document, Stage, Step
from builder.lint.finding import Hit, Level
from builder.lint.requirements import allows, is_nvidia_wheel, requirement, wheel
from builder.lint.shell import PipInstall

_TORCH = ("torch", "torchvision", "torchaudio")
_REDIST = "compute/redist/jp"
_CPU_INDEX = "download.pytorch.org/whl/cpu"
# Packages that ask for torch among their requirements.
_PULLS_TORCH = {
    "accelerate", "easyocr", "facenet-pytorch", "fastai", "kornia", "lightning", "openai-whisper",
    "pytorch-lightning", "segment-anything", "sentence-transformers", "timm", "torchmetrics",
    "ultralytics", "xformers",
}  # fmt: skip
_NEEDS_CUSPARSELT = re.compile(r"jp/v61/pytorch/torch-|jp/v60/pytorch/torch-\S*nv24\.0[67]")
# A file name that is given out, and that no variable or pattern may still turn into another.
_NAMELESS = re.compile(r"(?:^|/)[^/$*?\[{]*\.whl(?:#.*)?$")
_GET_PIP = "bootstrap.pypa.io/get-pip.py"
_GET_PIP_OLD = ("3.6", "3.7", "3.8")
_GENERAL = re.compile(
    r"//pypi\.(?:org|python)\b|(?=\S*pypi)\S*(?:\.edu\.cn|aliyun|tencent|huaweicloud|douban)"
)
_LAST_GOOD_NUMPY_R32 = (1, 19, 5)


def check_python(document: Document) -> Iterator[Hit]:
    """Everything about pip, in every stage."""
    for stage in document.stages:
        own = {id(step) for step in stage.steps}
        yield from _get_pip(stage)
        for step, install in stage.installs():
            if id(step) in own:
                yield from _torch(step, install, stage)
                yield from _tensorflow(step, install, stage)
                yield from _wheels(step, install, stage)
                yield from _numpy(step, install, stage)
                yield from _manners(step, install, stage)


def _names(install: PipInstall) -> list[tuple[str, str, str]]:
    """(as written, name, specifier) of every requirement that is no URL or path."""
    found = [(text, *requirement(text)) for text in install.requirements]
    return [item for item in found if item[1]]


def _indexes(step: Step, install: PipInstall, option: str, variable: str) -> str:
    """What an option names, else the variable that stands for it."""
    own = [item.partition("=")[2] for item in install.environment if item.startswith(variable)]
    return install.value(option) or " ".join(own) or step.variables.get(variable, "")


def _asked(step: Step, install: PipInstall) -> tuple[bool, str]:
    """Whether the general index is asked, and every other index and link page that is."""
    index = _indexes(step, install, "--index-url", "PIP_INDEX_URL")
    extra = _indexes(step, install, "--extra-index-url", "PIP_EXTRA_INDEX_URL")
    links = _indexes(step, install, "--find-links", "PIP_FIND_LINKS")
    places = f"{index} {extra} {links}".split()
    general = [place for place in places if _GENERAL.search(place)]
    asked = (not index or bool(general)) and "--no-index" not in install.flags
    return asked, " ".join(place for place in places if place not in general)


def _torch(step: Step, install: PipInstall, stage: Stage) -> Iterator[Hit]:
    if stage.major is None:
        return
    names = _names(install)
    for text, name, specifier in names:
        if name in _TORCH:
            yield from _torch_by_name(step, install, stage, (text, specifier))
    held = any(name in _TORCH or "torch-" in text for text, name, _ in names) or any(
        "torch-" in text for text in install.requirements
    )
    pinned = "--no-deps" in install.flags or install.value("--constraint")
    if held or pinned or "PIP_CONSTRAINT" in step.variables or _constrained(stage):
        return
    for text, name, _ in names:
        if name in _PULLS_TORCH:
            yield Hit("pulls-torch", step, step.line_of(text), text)


def _torch_by_name(
    step: Step, install: PipInstall, stage: Stage, wanted: tuple[str, str]
) -> Iterator[Hit]:
    text, specifier = wanted
    line = step.line_of(text)
    general, others = _asked(step, install)
    # From 2.11 on the general wheel has CUDA for JetPack 7.
    level: Level | None = "warning" if stage.major and stage.major >= 38 else None
    if _REDIST in others:
        yield Hit("torch-by-index", step, line, text)
    elif _CPU_INDEX in others or (general and not others):
        yield Hit("cpu-torch", step, line, text, level=level)
    elif general and not _is_certain(install, specifier, others, level):
        why = "the general index is asked as well, and pip prefers its manylinux wheel, a CPU build"
        fix = "name the other index alone (--index-url), or better the wheel by URL and sha256"
        yield Hit("cpu-torch", step, line, text, level=level, why=why, fix=fix)


def _is_certain(install: PipInstall, specifier: str, others: str, level: Level | None) -> bool:
    """Whether the general index cannot win: a local version, uv's order, JetPack 7."""
    exact = re.match(r"===?[^,]*\+", specifier) is not None
    return exact or install.program == "uv" or (level is not None and "/whl/cu" in others)


def _constrained(stage: Stage) -> bool:
    """NVIDIA's monthly images set PIP_CONSTRAINT to their own versions."""
    return stage.base is not None and stage.base.family in ("pytorch-igpu", "pytorch-sbsa")


def _tensorflow(step: Step, install: PipInstall, stage: Stage) -> Iterator[Hit]:
    if stage.major is None:
        return
    for text, name, specifier in _names(install):
        if name not in ("tensorflow", "tensorflow-gpu"):
            continue
        line = step.line_of(text)
        if stage.major >= 38:
            why = "nobody publishes a GPU wheel for JetPack 7"
            yield Hit("cpu-tensorflow", step, line, text, why=why, fix="use JetPack 6 or PyTorch")
        elif not _asked(step, install)[1]:
            yield Hit("cpu-tensorflow", step, line, text)
        elif _REDIST in install.indexes and "+nv" not in specifier and stage.major > 32:
            why = "the general index has newer CPU builds, and pip takes the newest"
            yield Hit("cpu-tensorflow", step, line, text, level="warning", why=why)


def _wheels(step: Step, install: PipInstall, stage: Stage) -> Iterator[Hit]:
    for text in install.requirements:
        found = wheel(text)
        line = step.line_of(text)
        if found is None:
            if _NAMELESS.search(text):
                yield Hit("wheel-name", step, line, text.rsplit("/", 1)[-1])
            continue
        if found.platform != "any" and "aarch64" not in found.platform:
            yield Hit("wheel-python", step, line, f"{found.name} is for {found.platform}")
        elif not _fits_python(found.python, found.abi, stage):
            detail = f"{found.name} is for {found.python}, the base has Python {stage.python}"
            yield Hit("wheel-python", step, line, detail)
        if _NEEDS_CUSPARSELT.search(text.replace("%2B", "+")) and not _mentions(
            stage, "cusparselt"
        ):
            yield Hit("cusparselt-missing", step, line, found.version)


def _fits_python(tags: str, abi: str, stage: Stage) -> bool:
    match = re.fullmatch(r"cp3(\d+)", tags)
    if match is None or not stage.python:
        return True
    minor = int(stage.python.split(".")[1])
    if abi == "abi3":
        return int(match[1]) <= minor
    # Another Python beside the base's own is a common way to newer wheels on JetPack 4.
    return int(match[1]) == minor or f"python3.{match[1]}" in set(stage.packages())


def _get_pip(stage: Stage) -> Iterator[Hit]:
    if stage.python not in _GET_PIP_OLD:
        return
    for step in stage.steps:
        if _GET_PIP in step.text:
            fix = f"take {_GET_PIP.replace('/get', f'/pip/{stage.python}/get')}"
            detail = f"the base has Python {stage.python}"
            yield Hit("get-pip", step, step.line_of(_GET_PIP), detail, fix=fix)


def _mentions(stage: Stage, word: str) -> bool:
    return any(word in step.text.lower() for step in stage.all_steps)


def _numpy(step: Step, install: PipInstall, stage: Stage) -> Iterator[Hit]:
    for text, name, specifier in _names(install):
        if name != "numpy":
            continue
        line = step.line_of(text)
        safe = "OPENBLAS_CORETYPE" in step.variables or _mentions(stage, "openblas_coretype")
        if stage.major == 32 and not safe and _may_crash(specifier):
            yield Hit("numpy-illegal-instruction", step, line, text)
        if stage.major == 36 and _has_nvidia_torch(stage) and allows(specifier, (2, 0)):
            yield Hit("numpy-2", step, line, text)


def _may_crash(specifier: str) -> bool:
    """Whether a numpy of 1.19.5 or newer satisfies the specifier."""
    exact = re.search(r"==\s*(\d+(?:\.\d+)*)", specifier)
    if exact is not None:
        return tuple(int(part) for part in exact[1].split(".")) >= _LAST_GOOD_NUMPY_R32
    return allows(specifier, _LAST_GOOD_NUMPY_R32)


def _has_nvidia_torch(stage: Stage) -> bool:
    return any(
        is_nvidia_wheel(text) and "torch-" in text
        for _, install in stage.installs()
        for text in install.requirements
    )


def _manners(step: Step, install: PipInstall, stage: Stage) -> Iterator[Hit]:
    line = step.line_of("install")
    uncached = {"--no-cache-dir", "--no-cache"} & install.flags
    text = step.instruction.text
    told = "PIP_NO_CACHE_DIR" in text or "PIP_NO_CACHE_DIR" in step.variables
    if not uncached and not told and "--mount=type=cache" not in text:
        yield Hit("pip-cache", step, line)
    if _is_managed(stage) and not _may_break(step, install, stage):
        yield Hit("pip-managed-environment", step, line)
    dusty = stage.reference is not None and stage.reference.repository.startswith("dustynv/")
    reset = "PIP_INDEX_URL" in step.variables or stage.env("PIP_INDEX_URL") is not None
    if dusty and not reset and not install.value("--index-url"):
        yield Hit("stale-index", step, line, stage.image)


def _is_managed(stage: Stage) -> bool:
    """Whether Python is that of Ubuntu 24.04."""
    return not _constrained(stage) and stage.major is not None and stage.major >= 38


def _may_break(step: Step, install: PipInstall, stage: Stage) -> bool:
    name = "PIP_BREAK_SYSTEM_PACKAGES"
    own = "--break-system-packages" in install.flags or install.value("--target")
    return bool(own) or name in step.variables or name in step.text or _mentions(stage, "venv")
