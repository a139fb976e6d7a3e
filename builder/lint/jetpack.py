"""Rule on NVIDIA's wheels: the JetPack they were built for, and that of the base."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from builder.lint.document import Document, Step
from builder.lint.finding import Hit
from builder.lint.requirements import requirement
from builder.matrix import L4TRelease, Matrix, covers, read_data
from builder.recipes import pytorch, tensorflow
from registry.errors import Refused

_TREE = "compute/redist/jp/"


@dataclass(frozen=True)
class _Built:
    """What was built for some releases: its name, and how a step that takes it is known."""

    name: str
    framework: str
    place: re.Pattern[str]
    releases: tuple[L4TRelease, ...]


def check_jetpack(document: Document, matrix: Matrix) -> Iterator[Hit]:
    """Every wheel and index of NVIDIA's that is for other CUDA libraries than the base's."""
    for stage in document.stages:
        if stage.release is not None:
            for step in stage.steps:
                yield from _step(step, stage.release, _known(matrix.releases))


def _step(step: Step, release: L4TRelease, known: tuple[_Built, ...]) -> Iterator[Hit]:
    text = _plain(step.text)
    if "://" not in text:
        return
    taken = [built for built in known if built.place.search(text) and _is_taken(step, text, built)]
    # A step that names one that fits beside others chooses among them.
    if not any(_fits(built, release) for built in taken):
        for built in taken:
            yield _hit(step, release, built)


def _is_taken(step: Step, text: str, built: _Built) -> bool:
    """Whether a step takes it: a wheel that is named is, a folder where TensorFlow is asked for."""
    if built.framework == "pytorch" or f"/{built.framework}-" in text:
        return True
    asked = (text for install in step.pip_installs for text in install.requirements)
    return any(requirement(text)[0] in ("tensorflow", "tensorflow-gpu") for text in asked)


def _fits(built: _Built, release: L4TRelease) -> bool:
    return any(_libraries(item) == _libraries(release) for item in built.releases)


def _hit(step: Step, release: L4TRelease, built: _Built) -> Hit:
    meant = built.releases[-1]
    return Hit(
        "wheel-jetpack",
        step,
        step.line,
        f"{built.name} is for {meant.name}, the base for {release.name}",
        why=f"it was built for {_libraries(meant)}, and {release.name} has {_libraries(release)}",
        fix=_instead(built, release),
    )


def _instead(built: _Built, release: L4TRelease) -> str:
    try:
        if built.framework == "pytorch":
            return f"take {pytorch.wheels_for(read_data('pytorch.yaml'), release)[0].url}"
        step = tensorflow.installation(read_data("tensorflow.yaml"), release, None).after[-1]
    except Refused as refused:
        return refused.hint
    return f"write --extra-index-url {step.extra_index_url} {step.packages[0]}"


def _libraries(release: L4TRelease) -> str:
    cuda = ".".join(release.cuda.split(".")[:2])
    return f"CUDA {cuda} and cuDNN {release.cudnn.split('.')[0] if release.cudnn else '?'}"


@cache
def _known(releases: tuple[L4TRelease, ...]) -> tuple[_Built, ...]:
    return (*_torch_wheels(releases), *_tensorflow_folders(releases))


def _torch_wheels(releases: tuple[L4TRelease, ...]) -> Iterator[_Built]:
    for url, file, lines in pytorch.addresses(read_data("pytorch.yaml")):
        place = re.compile(re.escape(_plain(url)))
        yield _Built(file, "pytorch", place, _covered(releases, lines))


def _tensorflow_folders(releases: tuple[L4TRelease, ...]) -> Iterator[_Built]:
    for name, folder in read_data("tensorflow.yaml")["folders"].items():
        place = re.compile(rf"{re.escape(_TREE)}{name}(?![0-9a-z])(?!/pytorch)")
        yield _Built(f"what is in {name}", "tensorflow", place, _covered(releases, folder["lines"]))


def _covered(releases: tuple[L4TRelease, ...], lines: list[str]) -> tuple[L4TRelease, ...]:
    return tuple(item for item in releases if any(covers(line, item.version) for line in lines))


def _plain(text: str) -> str:
    """Addresses as they are in the data: NVIDIA's tree is on a second host too."""
    text = text.replace("%2B", "+").replace("%2b", "+")
    return text.replace("developer.download.nvidia.cn", "developer.download.nvidia.com")
