"""Python packages for a base whose Python cannot run here: aarch64 wheels, resolved and unpacked.

pip resolves for the base's Python (wheel_resolver.py), only wheels, only their metadata; what the
base has already, its GPU framework above all, stays the base's. The wheels are then fetched,
checked against their hashes, and laid out as an installer would. Spec: the binary distribution
format (packaging.python.org/specifications/binary-distribution-format).
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.engines.child import run_child
from builder.engines.direct import WheelLayer
from builder.plan import BuildPlan
from builder.wheel_resolver import canonical
from builder.wheel_unpack import Scheme, wheel_entries
from registry.errors import BadInput, CorruptContent, ImgctlError, Refused
from registry.progress import Progress

# By the Python of an Ubuntu release: its version in full, and the newest glibc (2.N) that wheels
# may ask for.
_UBUNTU = {
    "3.6": ("3.6.9", 27),
    "3.8": ("3.8.10", 31),
    "3.10": ("3.10.12", 35),
    "3.12": ("3.12.3", 39),
}
_OLDEST_GLIBC = 17
_OF_BASE = "+base"  # marks the version that stands in for the base's own framework
# Distributions that NVIDIA builds for the GPU and installs in its bases, and numpy, which they are
# compiled against: a wheel from an index would put one without CUDA in their place.
_HELD = {
    "pytorch": ("torch", "torchvision", "torchaudio", "numpy"),
    "tensorflow": ("tensorflow", "tensorflow-gpu", "keras", "tensorboard", "numpy"),
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;\s]?)")


@dataclass(frozen=True)
class Wheel:
    """One resolved wheel: where it is, and the sha256 it must have."""

    name: str
    version: str
    url: str
    sha256: str

    @property
    def file(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[-1].split("#")[0]


def unpack_wheels(
    plan: BuildPlan,
    folder: Path,
    progress: Progress,
    environment: Mapping[str, str],
    find_links: str = "",
) -> WheelLayer:
    """Resolve the plan's requirements, fetch the wheels into folder, list what they hold.

    environment: for pip, whose own settings (index, proxies) hold. find_links: a team's own wheel
    store. Raises Refused for what the base holds, ImgctlError when pip finds nothing.
    """
    check_held(plan)
    folder.mkdir(parents=True)
    progress.start("wheels", f"Python packages for {plan.base.python} on aarch64")
    try:
        report = folder / "report.json"
        arguments = [*resolve_arguments(plan, report, find_links), *_links(plan, folder)]
        _pip(arguments, environment, plan)
        wheels = read_report(report)
        files = _download(wheels, folder, environment, plan, find_links)
    finally:
        progress.finish("wheels")
    scheme = Scheme(plan.base.python)
    entries = [
        entry for file in files for entry in wheel_entries(file, scheme, folder / f"in-{file.name}")
    ]
    named = tuple(
        {"name": item.name, "version": item.version, "file": item.file, "sha256": item.sha256}
        for item in wheels
    )
    return WheelLayer(tuple(entries), named)


def resolve_arguments(plan: BuildPlan, report: Path, find_links: str = "") -> list[str]:
    """The command that resolves a plan's requirements."""
    python = plan.base.python
    return [
        sys.executable,
        str(Path(__file__).with_name("wheel_resolver.py")),
        json.dumps(marker_environment(python)),
        json.dumps(sorted(held(plan))),
        str(report),
        "install",
        "--dry-run",
        "--ignore-installed",
        "--progress-bar=off",
        f"--report={report}",
        f"--target={report.parent / 'nowhere'}",
        *target_arguments(python),
        *([f"--find-links={find_links}"] if find_links else []),
        "--no-input",
        "--disable-pip-version-check",
        *plan.requirements,
    ]


def target_arguments(python: str) -> list[str]:
    """pip's options for CPython on an arm64 Ubuntu of the age of this Python."""
    plain = python.replace(".", "")
    full, glibc = _ubuntu(python)
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(glibc, _OLDEST_GLIBC - 1, -1)]
    abis = [f"cp{plain}", *([f"cp{plain}m"] if python in ("3.6", "3.7") else []), "abi3", "none"]
    return [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={full}",
        *(f"--abi={abi}" for abi in abis),
        *(f"--platform={item}" for item in (*platforms, "manylinux2014_aarch64", "linux_aarch64")),
    ]


def marker_environment(python: str) -> dict[str, str]:
    """What requirements' markers (PEP 508) see on the base."""
    full, _ = _ubuntu(python)
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": "aarch64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": full,
        "python_version": python,
        "sys_platform": "linux",
    }


def _ubuntu(python: str) -> tuple[str, int]:
    """(the version in full, N of glibc 2.N) of the Ubuntu that has this Python."""
    return _UBUNTU.get(python, (f"{python}.0", min(glibc for _, glibc in _UBUNTU.values())))


def held(plan: BuildPlan) -> set[str]:
    """The distributions that stay the base's."""
    return {name for framework in plan.base.provides for name in _HELD.get(framework, ())}


def check_held(plan: BuildPlan) -> None:
    """Raise Refused when a version is asked for of what stays the base's and nobody can check."""
    checked = _framework(plan)[:1]
    for requirement in plan.requirements:
        match = _REQUIREMENT.match(requirement)
        name = canonical(match[1]) if match else ""
        if match and match[2] and name in held(plan) and name not in checked:
            raise Refused(
                f"{requirement!r} cannot be promised: {name} stays the one of the base",
                f"{plan.base.reference} brings it, built for its GPU framework",
                "leave the version out, or build with --engine buildx, which looks into the base",
            )


def read_report(path: Path) -> list[Wheel]:
    """The wheels of pip's report, by name; raises CorruptContent when it has no hashes."""
    found = []
    for item in json.loads(path.read_text("utf-8"))["install"]:
        info, metadata = item["download_info"], item["metadata"]
        digest = info.get("archive_info", {}).get("hashes", {}).get("sha256", "")
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise CorruptContent(
                f"the package index gives no sha256 for {metadata['name']}",
                info.get("url", "").rsplit("/", 1)[-1],
                "serve wheels by an index with hashes (PEP 503)",
            )
        found.append(Wheel(metadata["name"], metadata["version"], info["url"], digest))
    return sorted(found, key=lambda wheel: wheel.name.lower())


def _download(
    wheels: Sequence[Wheel],
    folder: Path,
    environment: Mapping[str, str],
    plan: BuildPlan,
    find_links: str,
) -> list[Path]:
    """Have pip fetch exactly these wheels; returns the files, in the wheels' order."""
    if not wheels:
        return []
    pins, into = folder / "pins.txt", folder / "files"
    pins.write_text(
        "".join(f"{item.name}=={item.version} --hash=sha256:{item.sha256}\n" for item in wheels),
        encoding="utf-8",
    )
    arguments = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    arguments += ["--quiet", "--no-input", "--disable-pip-version-check", f"--dest={into}"]
    arguments += [*target_arguments(plan.base.python), f"--requirement={pins}"]
    arguments += [f"--find-links={find_links}"] if find_links else []
    _pip(arguments, environment, plan)
    by_digest = {}
    for path in into.iterdir():
        with path.open("rb") as stream:
            by_digest[hashlib.file_digest(stream, "sha256").hexdigest()] = path
    return [by_digest[item.sha256] for item in wheels]


def _links(plan: BuildPlan, folder: Path) -> list[str]:
    """Options that let pip know the framework's version in the base.

    An empty wheel of that version stands in for it, so that pip refuses a package that needs
    another one, and does not go through the dependencies of the index's own build.
    """
    known = _framework(plan)
    if not known:
        return []
    name, version = known
    links, constraint = folder / "base", folder / "base.txt"
    links.mkdir()
    write_stand_in(links, name, f"{version}{_OF_BASE}")
    constraint.write_text(f"{name}=={version}{_OF_BASE}\n", encoding="utf-8")
    return [f"--find-links={links}", f"--constraint={constraint}"]


def _framework(plan: BuildPlan) -> tuple[str, ...]:
    """(distribution, version) of the base's framework; empty when that is not known."""
    version = plan.base.framework_version
    names = [_HELD[item][0] for item in plan.base.provides if item in _HELD]
    known = len(names) == 1 and re.fullmatch(r"\d+(\.\d+)+", version)
    return (names[0], version) if known else ()


def write_stand_in(folder: Path, name: str, version: str) -> None:
    """An empty wheel of a distribution."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def _pip(arguments: Sequence[str], environment: Mapping[str, str], plan: BuildPlan) -> None:
    said: list[str] = []
    status = run_child(arguments, environment, said.append)
    if status == 0:
        return
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR:")]
    if any("No module named pip" in line for line in said):
        raise ImgctlError(
            "Python packages cannot be resolved: there is no pip beside imgctl",
            sys.executable,
            "install pip into the same environment, or build with --engine buildx",
        )
    framework = _framework(plan)
    if framework and any("(constraint)" in line and _OF_BASE in line for line in said):
        name, version = framework
        errors = [f"the base's {name} {version} stays, and they ask for another"]
    raise BadInput(
        f"no wheels for {' '.join(plan.requirements)} on Python {plan.base.python}, aarch64",
        "; ".join(errors or said[-1:])[:400],
        "ask for other versions, name a store with --wheel-mirror, or build with --engine buildx",
    )
