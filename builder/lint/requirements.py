"""Python requirements as pip's command line has them: names, versions, wheels."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(.*)", re.DOTALL)
_WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-/\s]+)(?:-\d[^-]*)?"
    r"-(?P<python>[a-z0-9.]+)-(?P<abi>[a-z0-9_.]+)-(?P<platform>[a-z0-9_.]+)\.whl"
)
_CLAUSE = re.compile(r"(==|~=|<=|<|>=|>|!=)\s*([0-9]+(?:\.[0-9]+)*)")


@dataclass(frozen=True)
class Wheel:
    """The parts of a wheel's file name (PEP 427) that decide where it installs."""

    name: str
    version: str
    python: str
    abi: str
    platform: str


def requirement(text: str) -> tuple[str, str]:
    """(normalised name, version specifier) of a requirement; empty name for URLs and paths."""
    if "://" in text or "/" in text or text.endswith(".whl"):
        return "", ""
    match = _REQUIREMENT.fullmatch(text.strip())
    if match is None:
        return "", ""
    return re.sub(r"[-_.]+", "-", match[1]).lower(), match[2].strip()


def wheel(text: str) -> Wheel | None:
    """The wheel a URL or path names; %2B and the like stand for themselves."""
    match = _WHEEL.search(text.replace("%2B", "+").replace("%2b", "+"))
    if match is None:
        return None
    return Wheel(match["name"], match["version"], match["python"], match["abi"], match["platform"])


def is_nvidia_wheel(text: str) -> bool:
    """Whether this installs a framework that expects CUDA from apt, not from packages of pip."""
    of_jetson = "compute/redist/jp" in text or "jetson-ai-lab" in text or "nvidia.box.com" in text
    if of_jetson and wheel(text) is not None:
        return True
    name, version = requirement(text)
    return name == "tensorflow" and "+nv" in version


def allows(specifier: str, version: tuple[int, ...]) -> bool:
    """Whether a version may satisfy a specifier, by its numbers alone.

    Unknown clauses are taken as satisfied: `` allows everything, `==1.19.4` only that.
    """
    for operator, text in _CLAUSE.findall(specifier):
        bound = tuple(int(part) for part in text.split("."))
        width = max(len(bound), len(version))
        left = version + (0,) * (width - len(version))
        right = bound + (0,) * (width - len(bound))
        holds = {
            "==": left == right,
            "!=": left != right,
            "<": left < right,
            "<=": left <= right,
            ">": left > right,
            ">=": left >= right,
            "~=": left >= right and left[: len(bound) - 1] == right[: len(bound) - 1],
        }[operator]
        if not holds:
            return False
    return True
