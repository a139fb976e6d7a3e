"""Which image runs on which Jetson: the host rules of builder/data/l4t.yaml, applied.

Up to r32 an image borrows CUDA, cuDNN and TensorRT from its host, so both must match to the release
or, where NVIDIA kept the libraries the same, to the line. From r34 on CUDA is in the image and the
boundaries are those of the driver. The table is that of jetson-containers, with one difference: it
compares majors first (there, an r32.7 host also "runs" r35 and r36 images).
"""

from __future__ import annotations

from builder.matrix import HostRule, L4TRelease, Matrix, covers, number
from registry.errors import Refused


def rule_for(matrix: Matrix, host: L4TRelease) -> HostRule:
    """The rule that decides for hosts of this release."""
    return next(
        rule
        for rule in matrix.host_rules
        if any(covers(pattern, host.version) for pattern in rule.hosts)
    )


def check(
    matrix: Matrix, base_l4t: str, target: L4TRelease, *, carries_cuda: bool = True
) -> Refused | None:
    """Why an image of release base_l4t (`35.2.1`) must not go to a host of release target, or None.

    carries_cuda: False for images that hold no CUDA (l4t-base from r34 on): a boundary that CUDA
    draws inside one major does not bind them.
    """
    rule = rule_for(matrix, target)
    same_major = number(base_l4t)[0] == target.major
    if not any(_allows(pattern, base_l4t, target) for pattern in rule.runs):
        if rule.bound == "cuda" and same_major and not carries_cuda:
            return None
        return _refusal(base_l4t, target, _why(matrix, base_l4t, target, rule))
    base = matrix.known(base_l4t)
    if rule.bound == "gpu" and carries_cuda and base and not set(base.sm) & set(target.sm):
        held, needed = _architectures(base), _architectures(target)
        return _refusal(base_l4t, target, f"it has GPU code for {held}, the host needs {needed}")
    return None


def runnable(matrix: Matrix, host: L4TRelease) -> tuple[L4TRelease, ...]:
    """Every release whose images run on this host."""
    return tuple(item for item in matrix.releases if check(matrix, item.version, host) is None)


def _allows(pattern: str, base_l4t: str, target: L4TRelease) -> bool:
    if pattern == "same":
        return base_l4t == target.version
    return covers(pattern, base_l4t)


def _why(matrix: Matrix, base_l4t: str, target: L4TRelease, rule: HostRule) -> str:
    if number(base_l4t)[0] == target.major:
        return rule.why
    base = matrix.known(base_l4t)
    held = f"the image is built for CUDA {base.cuda}, " if base else ""
    return f"{held}the host's driver is that of JetPack {target.jetpack} with CUDA {target.cuda}"


def _architectures(release: L4TRelease) -> str:
    return ", ".join(f"sm_{sm}" for sm in release.sm)


def _refusal(base_l4t: str, target: L4TRelease, why: str) -> Refused:
    return Refused(
        f"an image of r{base_l4t} does not run on an {target.name} host",
        why,
        f"build for the device's own release: --l4t {target.name}",
    )
