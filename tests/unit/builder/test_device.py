"""Reading a device: the files a Jetson has, as they are on one."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.device import detect
from builder.matrix import Matrix
from registry.errors import ImgctlError

MATRIX = Matrix.load()


def device(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


ORIN_NANO = {
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, "
    "EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n",
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0"
    "nvidia,tegra234\0",
}


def test_a_jetson_says_its_release_and_module(tmp_path: Path) -> None:
    found = detect(MATRIX, device(tmp_path, ORIN_NANO))
    assert (found.l4t, found.read_from) == ("36.4.3", "/etc/nv_tegra_release")
    assert (found.module, found.soc) == ("orin-nano", "tegra234")
    assert found.model == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit"


@pytest.mark.parametrize(
    ("line", "l4t"),
    [
        ("# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64", "32.7.1"),
        ("# R35 (release), REVISION: 3.1, GCID: 32827747, BOARD: t186ref", "35.3.1"),
        ("# R32 (release), REVISION: 1.0, GCID: 14531094, BOARD: t186ref", "32.1.0"),
        ("# R39 (release), REVISION: 2.0", "39.2.0"),
        ("# R38 (release), REVISION: 4", "38.4.0"),
    ],
)
def test_the_release_line_of_every_generation(tmp_path: Path, line: str, l4t: str) -> None:
    assert detect(MATRIX, device(tmp_path, {"etc/nv_tegra_release": line})).l4t == l4t


@pytest.mark.parametrize(
    ("compatible", "model", "module"),
    [
        ("nvidia,p3449-0000-b00+p3448-0002-b00\0nvidia,jetson-nano\0nvidia,tegra210\0", "", "nano"),
        ("nvidia,p2771-0000\0nvidia,quill\0nvidia,tegra186\0", "quill", "tx2"),
        ("nvidia,p2972-0000\0nvidia,tegra194\0", "Jetson AGX Xavier", "agx-xavier"),
        ("nvidia,p3509-0000+p3668-0001\0nvidia,tegra194\0", "", "xavier-nx"),
        ("nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0", "", "agx-orin"),
        ("nvidia,p3768-0000+p3767-0000\0nvidia,tegra234\0", "", "orin-nx"),
        ("nvidia,p3971-0080+p3834-0008\0nvidia,tegra264\0", "", "agx-thor"),
        ("acme,carrier\0nvidia,tegra234\0", "A board of our own", None),
    ],
)
def test_the_module_is_that_of_the_device_tree(
    tmp_path: Path, compatible: str, model: str, module: str | None
) -> None:
    files = ORIN_NANO | {
        "proc/device-tree/compatible": compatible,
        "proc/device-tree/model": f"{model}\0",
    }
    assert detect(MATRIX, device(tmp_path, files)).module == module


STATUS = """Package: libc6
Status: install ok installed
Version: 2.31-0ubuntu9.9

Package: nvidia-l4t-core
Status: {status}
Architecture: arm64
Version: 35.4.1-20230801124926
Description: NVIDIA Core Package
 See: the line that looks like a field
"""


def test_dpkg_says_it_where_the_file_does_not(tmp_path: Path) -> None:
    status = STATUS.format(status="install ok installed")
    found = detect(MATRIX, device(tmp_path, {"var/lib/dpkg/status": status}))
    assert (found.l4t, found.read_from) == ("35.4.1", "package nvidia-l4t-core")
    assert found.module is None


def test_a_removed_package_says_nothing(tmp_path: Path) -> None:
    status = STATUS.format(status="deinstall ok config-files")
    with pytest.raises(ImgctlError, match="not a Jetson"):
        detect(MATRIX, device(tmp_path, {"var/lib/dpkg/status": status}))


def test_another_machine_is_told_it_is_no_jetson(tmp_path: Path) -> None:
    with pytest.raises(ImgctlError, match="not a Jetson"):
        detect(MATRIX, tmp_path)


def test_a_jetson_without_l4t_is_told_so(tmp_path: Path) -> None:
    tree = {"proc/device-tree/compatible": "nvidia,p3701-0000\0nvidia,tegra234\0"}
    with pytest.raises(ImgctlError, match="does not say which L4T release"):
        detect(MATRIX, device(tmp_path, tree))
