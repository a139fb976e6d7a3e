"""Rules on FROM: whether the base exists, and whether what it becomes runs on the target."""

from __future__ import annotations

from collections.abc import Iterator

from builder import host_rules
from builder.bases import check_host, nearest
from builder.families import Family
from builder.lint.document import Document, Stage, upstream
from builder.lint.finding import Hit, Level
from builder.lint.requirements import is_nvidia_wheel
from builder.matrix import L4TRelease, Matrix

# Lists of these are complete; those of l4t-cuda and l4t-tensorrt are what public files name.
_COMPLETE = "L4T"
_MONTHLY = "month"
_CUDA_PACKAGES = ("cuda-", "libcudnn", "nvidia-cuda", "nvidia-cudnn")


def check_bases(document: Document, matrix: Matrix, target: L4TRelease | None) -> Iterator[Hit]:
    """Everything about the FROM lines."""
    for stage in document.stages:
        if stage.parent is None:
            yield from _existence(stage, matrix)
    yield from _platform(document.final)
    yield from _host(document.final, matrix, target)
    yield from _libraries(document.final)


def _existence(stage: Stage, matrix: Matrix) -> Iterator[Hit]:
    if stage.reference is None or "$" in stage.image:
        return
    reference = upstream(matrix, stage.reference)
    step = stage.start
    family = _family(matrix, reference.host, reference.repository)
    if (reference.tag or "latest") == "latest":
        if reference.digest is None:
            level: Level | None = "error" if family else None
            yield Hit("base-latest", step, step.line, stage.image, level=level)
        return
    if family is None or stage.base is not None:
        return
    missing = any(item.tag == reference.tag for item in family.missing)
    if family.numbered_by == _MONTHLY and not missing:
        return
    certain = missing or family.numbered_by == _COMPLETE
    near = ", ".join(str(name) for name in nearest(matrix, reference))
    yield Hit(
        "base-unknown",
        step,
        step.line,
        stage.image,
        level="error" if certain else "warning",
        fix=f"nearest that exist: {near}" if near else "",
    )


def _family(matrix: Matrix, host: str, repository: str) -> Family | None:
    """NVIDIA's family of this repository; None for Docker Hub's."""
    for family in matrix.families:
        if family.registry != "docker.io" and (family.registry, family.repository) == (
            host,
            repository,
        ):
            return family
    return None


def _platform(stage: Stage) -> Iterator[Hit]:
    asked = stage.start.instruction.flags.get("platform", "")
    foreign = asked and "arm64" not in asked and "aarch64" not in asked
    if foreign and "TARGETPLATFORM" not in asked:
        yield Hit("base-platform", stage.start, stage.start.line, f"--platform={asked}")


def _host(stage: Stage, matrix: Matrix, target: L4TRelease | None) -> Iterator[Hit]:
    if target is None:
        return
    if stage.base is not None:
        refusal = check_host(matrix, stage.base, target)
    elif stage.release is not None:
        refusal = host_rules.check(matrix, stage.release.version, target)
    else:
        return
    if refusal is not None:
        yield Hit(
            "base-target-mismatch",
            stage.start,
            stage.start.line,
            refusal.what,
            why=refusal.why,
            fix=refusal.hint,
        )


def _libraries(stage: Stage) -> Iterator[Hit]:
    base = stage.base
    if base is None:
        return
    packages = tuple(stage.packages())
    for step, install in stage.installs():
        wheels = [item for item in install.requirements if is_nvidia_wheel(item)]
        if not wheels:
            continue
        has_cuda = any(name.startswith(_CUDA_PACKAGES) for name in packages)
        if base.cuda == "none" and not has_cuda:
            yield Hit("base-without-cuda", step, step.line, stage.image)
            return
        runtime = base.flavor == "runtime" and any("torch-" in wheel for wheel in wheels)
        if runtime and not any(name.startswith("cuda-cupti") for name in packages):
            yield Hit("base-without-cupti", step, step.line, stage.image)
            return
