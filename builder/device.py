"""Which Jetson this is: its L4T release and module, read from the running system."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.matrix import Matrix, Module
from registry.errors import ImgctlError

_TEGRA_RELEASE = re.compile(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)*)")
_DPKG_VERSION = re.compile(r"(\d+\.\d+(?:\.\d+)?)")
_ROOT = Path("/")


@dataclass(frozen=True)
class Device:
    """A Jetson as it describes itself.

    l4t: `35.3.1`, whether or not the matrix knows it; read_from: the file that says so;
    model: the device tree's name, empty when there is none; soc: `tegra234`, or empty;
    module: its id in the matrix, None when the device tree does not tell.
    """

    l4t: str
    read_from: str
    model: str
    soc: str
    module: str | None


def detect(matrix: Matrix, root: Path = _ROOT) -> Device:
    """This device. root: where its file system is mounted.

    Raises ImgctlError when it is not a Jetson, or does not say which release it runs.
    """
    tegra_release = _text(root / "etc/nv_tegra_release")
    core = "" if _TEGRA_RELEASE.search(tegra_release) else _core_version(root)
    tree = _device_tree_text(root / "proc/device-tree/compatible").split("\0")
    model = _device_tree_text(root / "proc/device-tree/model")
    return identify(matrix, tegra_release, core, tree, model)


def identify(
    matrix: Matrix, tegra_release: str, core: str, compatible: Sequence[str], model: str
) -> Device:
    """The device that says this of itself; raises ImgctlError as detect() does.

    tegra_release: /etc/nv_tegra_release. core: the version of nvidia-l4t-core, or empty.
    compatible, model: of the device tree.
    """
    tree = [entry.rsplit(",", 1)[-1] for entry in compatible if entry]
    found = _from_tegra_release(tegra_release) or _from_package(core)
    soc = next((name for name in tree if name.startswith("tegra")), "")
    if found is None:
        if soc:
            raise ImgctlError(
                "this Jetson does not say which L4T release it runs",
                "neither /etc/nv_tegra_release nor the package nvidia-l4t-core is there",
                "name the release with --l4t",
            )
        raise ImgctlError(
            "this is not a Jetson",
            "there is no /etc/nv_tegra_release, no package nvidia-l4t-core, no Tegra device tree",
            "run it on the device, or name the release: imgctl l4t r35.2.1",
        )
    version, read_from = found
    module = _module(matrix, tree, model, soc)
    return Device(version, read_from, model, soc, module.id if module else None)


def _from_tegra_release(text: str) -> tuple[str, str] | None:
    match = _TEGRA_RELEASE.search(text)
    if match is None:
        return None
    revision = match[2] if "." in match[2] else f"{match[2]}.0"
    return f"{match[1]}.{revision}", "/etc/nv_tegra_release"


def _from_package(version: str) -> tuple[str, str] | None:
    match = _DPKG_VERSION.match(version)
    if match is None:
        return None
    whole = match[1] if match[1].count(".") == 2 else f"{match[1]}.0"
    return whole, "package nvidia-l4t-core"


def _core_version(root: Path) -> str:
    """The version of nvidia-l4t-core, from dpkg's own status file: no dpkg needs to run."""
    for paragraph in _text(root / "var/lib/dpkg/status").split("\n\n"):
        fields = dict(
            line.split(": ", 1)
            for line in paragraph.splitlines()
            if ": " in line and not line.startswith(" ")
        )
        installed = fields.get("Status", "").endswith(" installed")
        if fields.get("Package") == "nvidia-l4t-core" and installed:
            return fields.get("Version", "")
    return ""


def _module(matrix: Matrix, tree: list[str], model: str, soc: str) -> Module | None:
    for module in matrix.modules:
        if any(board in entry for entry in tree for board in module.boards):
            return module
    for module in matrix.modules:
        if any(name in model for name in module.names):
            return module
    candidates = [module for module in matrix.modules if module.soc == soc]
    return candidates[0] if len(candidates) == 1 else None


def _device_tree_text(path: Path) -> str:
    """A device tree property: strings ended, and in lists separated, by NUL."""
    return _text(path).strip("\0")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
