"""CUDA in an image: the apt packages, their source, and the environment a base lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.bases import BaseImage
from builder.matrix import L4TRelease, number
from builder.recipes.values import AptSource, Archive
from registry.errors import Refused


@dataclass(frozen=True)
class CudaPackages:
    """Packages of NVIDIA's suite, and the source to write when the base does not carry it."""

    packages: tuple[str, ...]
    source: AptSource | None


def cuda_packages(data: Mapping[str, Any], release: L4TRelease, base: BaseImage) -> CudaPackages:
    """What a framework needs of CUDA on this base; nothing where it is in the base or the host.

    data: apt.yaml. Raises Refused when the release has no apt suite.
    """
    if release.major == 32:
        # The host mounts what the image lacks, cuDNN on l4t-cuda included.
        return CudaPackages((), None)
    if base.cuda == "none":
        sets = ["libraries", "profiling", "nvtx", "cudnn"]
    else:
        sets = data["lacks"].get(base.family, {}).get(base.flavor, [])
    if not sets:
        return CudaPackages((), None)
    if _line(release.version) not in data["suites"]:
        known = ", ".join(entry["suite"] for entry in data["suites"].values())
        raise Refused(
            f"CUDA for {release.name} cannot be installed on {base.reference}",
            f"no apt suite of its line is known, only {known}",
            "choose another release of the line with --l4t, or a base that holds the framework",
        )
    row = _row(data, release.version)
    source = None if _carries(data, release, base) else apt_source(data, release)
    return CudaPackages(_expand(data, row, sets), source)


def apt_source(data: Mapping[str, Any], release: L4TRelease) -> AptSource:
    """The suite of a release's line (`common` only), with its key."""
    suite = data["suites"][_line(release.version)]["suite"]
    return AptSource(
        suite=suite,
        line=data["line"].format(keyring=data["keyring"], suite=suite),
        list_path=data["list"],
        keyring=data["keyring"],
        key_url=data["key"]["url"],
        key_sha256=data["key"]["sha256"],
        key_fingerprint=data["key"]["fingerprint"],
        host=data["host"],
    )


def suite_of(data: Mapping[str, Any], release: L4TRelease) -> str | None:
    """The apt suite of a release (`r35.2`), or None when none is known."""
    entry = data["suites"].get(_line(release.version))
    return entry["suite"] if entry else None


def cusparselt(data: Mapping[str, Any]) -> Archive:
    """cuSPARSELt for JetPack 6, which does not ship it."""
    raw = data["cusparselt"]
    return Archive("cusparselt", raw["url"], raw["file"], raw["sha256"], raw["directory"])


def driver_directories(
    data: Mapping[str, Any], release: L4TRelease, base: BaseImage
) -> tuple[str, ...]:
    """Folders for ld.so.conf.d where the host's driver appears; none where the base lists them."""
    if base.registry == "nvcr.io":
        return ()
    majors = [major for major in data["driver_directories"] if major <= release.major]
    return tuple(data["driver_directories"][max(majors)])


def environment(
    data: Mapping[str, Any], release: L4TRelease, base: BaseImage, *, installs: bool
) -> dict[str, str]:
    """ENV the base lacks. installs: whether a framework is put on it. Values may use ${PATH}."""
    env: dict[str, str] = {}
    if base.registry != "nvcr.io":
        env |= data["env"]["devices"]
    if release.major == 32:
        env |= data["env"]["r32"]
    if installs and base.cuda == "host":
        cuda = ".".join(release.cuda.split(".")[:2])
        for key, value in data["env"]["r32_paths"].items():
            env[key] = value.replace("{cuda}", cuda)
    elif installs and base.family != "l4t-jetpack":
        env |= data["env"]["paths"]
    return env


def _line(version: str) -> str:
    return version.rsplit(".", 1)[0]


def _row(data: Mapping[str, Any], version: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(row for row in data["cuda"] if _line(version) in row["lines"])
    return found


def _carries(data: Mapping[str, Any], release: L4TRelease, base: BaseImage) -> bool:
    """Whether the base's own apt line offers the CUDA of this release."""
    if base.family not in data["carry_source"] or base.l4t is None or number(base.l4t)[0] < 34:
        return False
    return _row(data, base.l4t) is _row(data, release.version)


def _expand(data: Mapping[str, Any], row: Mapping[str, Any], sets: list[str]) -> tuple[str, ...]:
    packages: list[str] = []
    for name in sets:
        if name == "cudnn":
            packages.append(row["cudnn"])
        elif name != "nvtx" or row["nvtx"]:
            packages += [item.replace("{v}", row["cuda"]) for item in data["sets"][name]]
    return tuple(packages)
