"""Everything that is known to exist for one release: what `imgctl l4t RELEASE` answers with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder import bases, host_rules
from builder.matrix import DATA, L4TRelease, Matrix, read_data
from builder.recipes import cuda, pytorch, tensorflow
from registry.errors import Refused

EXACT, STAND_IN, NONE = "exact", "stand-in", "none"


@dataclass(frozen=True)
class FamilyAnswer:
    """What a base family has for the release.

    answer: `exact`, `stand-in` or `none`. why: the reason of a stand-in or a refusal. choices: all
    tags to be had, as --base-tag takes them. evidence: how sure the tag's existence is.
    """

    family: str
    answer: str
    reference: str | None
    why: str
    choices: tuple[str, ...]
    evidence: str
    note: str


@dataclass(frozen=True)
class FrameworkAnswer:
    """A framework that can be installed on a base without one.

    version: the preferred one, None when there is none. others: versions to be asked for.
    status: of its wheel: `alive`, `likely`, `fragile`. torchvision: version of a prebuilt wheel.
    """

    framework: str
    version: str | None
    status: str
    url: str
    torchvision: str | None
    why: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class CommunityImage:
    """An image on Docker Hub that NVIDIA did not publish. gib: compressed size in GiB."""

    reference: str
    gib: float


@dataclass(frozen=True)
class Overview:
    """All about one release. hosts_run: releases whose images run on such a host."""

    release: L4TRelease
    families: tuple[FamilyAnswer, ...]
    frameworks: tuple[FrameworkAnswer, ...]
    apt_suite: str | None
    cuda_comes_from: str
    hosts_run: tuple[str, ...]
    host_rule: str
    device_plugin: str
    device_plugin_why: str
    community: tuple[CommunityImage, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain dicts and lists, the release's name included."""
        return {"name": self.release.name, **asdict(self)}


def overview(matrix: Matrix, release: L4TRelease, folder: Path = DATA) -> Overview:
    """Look everything up for a release."""
    apt = read_data("apt.yaml", folder)
    plugin = matrix.plugin_version(release)
    return Overview(
        release=release,
        families=tuple(_family(matrix, release, family.name) for family in matrix.families),
        frameworks=(_pytorch(release, folder), _tensorflow(release, folder)),
        apt_suite=cuda.suite_of(apt, release),
        cuda_comes_from="the host" if release.major == 32 else "the image",
        hosts_run=tuple(item.name for item in host_rules.runnable(matrix, release)),
        host_rule=host_rules.rule_for(matrix, release).why,
        device_plugin=plugin.version,
        device_plugin_why=plugin.why,
        community=_community(read_data("community.yaml", folder), release),
    )


def _family(matrix: Matrix, release: L4TRelease, name: str) -> FamilyAnswer:
    try:
        base = bases.resolve(matrix, release, name)
    except Refused as refused:
        return FamilyAnswer(name, NONE, None, refused.why, (), "", "")
    return FamilyAnswer(
        family=name,
        answer=EXACT if base.exact else STAND_IN,
        reference=str(base.reference),
        why=base.reason,
        choices=bases.variants(matrix, release, name),
        evidence=base.evidence,
        note=base.note,
    )


def _pytorch(release: L4TRelease, folder: Path) -> FrameworkAnswer:
    data = read_data("pytorch.yaml", folder)
    wheels = pytorch.wheels_for(data, release)
    chosen = pytorch.installation(data, read_data("apt.yaml", folder), release, None)
    vision = next((wheel for wheel in chosen.wheels if wheel.name == "torchvision"), None)
    return FrameworkAnswer(
        framework="pytorch",
        version=chosen.version,
        status=wheels[0].status,
        url=wheels[0].url,
        torchvision=vision.version if vision else None,
        why=chosen.torchvision_why,
        others=tuple(wheel.version for wheel in wheels[1:]),
    )


def _tensorflow(release: L4TRelease, folder: Path) -> FrameworkAnswer:
    data = read_data("tensorflow.yaml", folder)
    versions = tensorflow.versions_for(data, release)
    if not versions:
        return FrameworkAnswer("tensorflow", None, "", "", None, data["none"]["why"], ())
    step = tensorflow.installation(data, release, None).after[-1]
    return FrameworkAnswer(
        framework="tensorflow",
        version=versions[0],
        status=tensorflow.status_for(data, release),
        url=step.extra_index_url,
        torchvision=None,
        why="",
        others=versions[1:],
    )


def _community(data: Mapping[str, Any], release: L4TRelease) -> tuple[CommunityImage, ...]:
    named = re.compile(rf"(?:^|-){re.escape(release.name)}(?:-|$)")
    return tuple(
        CommunityImage(f"docker.io/{data['owner']}/{repository}:{tag}", size)
        for repository, tags in data["images"].items()
        for tag, (size, _pushed) in tags.items()
        if named.search(tag)
    )
