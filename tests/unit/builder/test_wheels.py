"""pip is asked as if it ran on the base: its Python, its platform, what it has already."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.bases import resolve
from builder.wheel_resolver import canonical, wanted
from builder.wheels import (
    Wheel,
    check_held,
    held,
    marker_environment,
    read_report,
    resolve_arguments,
    target_arguments,
)
from registry.errors import CorruptContent, Refused
from tests.unit.builder import plans


def item(name: str, *requires: str, requested: bool = False, **more: Any) -> dict[str, Any]:
    """An entry of pip's installation report."""
    return {
        "requested": requested,
        "metadata": {"name": name, "version": "1.0", "requires_dist": list(requires)},
        "download_info": {
            "url": f"https://wheels.example.com/{name}-1.0-py3-none-any.whl",
            "archive_info": {"hashes": {"sha256": "a" * 64}},
        },
        **more,
    }


def names(report: list[dict[str, Any]], *base: str) -> set[str]:
    from pip._vendor.packaging.requirements import Requirement

    return wanted({"install": report}, set(base), Requirement)


def test_wheels_are_asked_for_by_the_bases_python_and_age() -> None:
    arguments = target_arguments("3.8")
    # The whole version: there are packages for 3.8.1 and later.
    assert "--python-version=3.8.10" in arguments
    assert "--only-binary=:all:" in arguments
    assert {"--abi=cp38", "--abi=abi3", "--abi=none"} < set(arguments)
    # Ubuntu 20.04 has glibc 2.31: nothing newer, everything older.
    assert "--platform=manylinux_2_31_aarch64" in arguments
    assert "--platform=manylinux_2_17_aarch64" in arguments
    assert "--platform=manylinux_2_32_aarch64" not in arguments
    assert not any("x86_64" in word for word in arguments)


def test_pythons_before_3_8_have_their_old_abi() -> None:
    assert "--abi=cp36m" in target_arguments("3.6")
    assert "--abi=cp38m" not in target_arguments("3.8")


def test_markers_are_those_of_the_base_not_of_this_machine() -> None:
    values = marker_environment("3.8")
    assert values["platform_machine"] == "aarch64"
    assert values["python_version"] == "3.8"
    assert values["python_full_version"] == "3.8.10"
    assert values["sys_platform"] == "linux"


def test_the_framework_of_the_base_and_numpy_stay(tmp_path: Path) -> None:
    plan = plans.plan(plans.remote(plans.put_base(tmp_path)), "ENV A=1\n", requirements=("x",))
    assert held(plan) == {"torch", "torchvision", "torchaudio", "numpy"}
    words = resolve_arguments(plan, tmp_path / "report.json", "https://wheels.example.com/jp5")
    assert words[-1] == "x"
    assert "--find-links=https://wheels.example.com/jp5" in words
    assert {"install", "--dry-run", "--ignore-installed"} < set(words)


def test_a_base_without_a_framework_holds_nothing_back(tmp_path: Path) -> None:
    bare = resolve(plans.MATRIX, plans.RELEASE, "l4t-base")
    base = plans.remote(plans.put_base(tmp_path))
    plan = replace(plans.plan(base, "ENV A=1\n", requirements=("numpy==1.24",)), base=bare)
    assert held(plan) == set()
    check_held(plan)


@pytest.mark.parametrize(
    ("requirement", "refused"),
    [
        ("numpy", False),
        ("NumPy ; python_version < '3.9'", False),
        ("numpy==1.26", True),
        ("Torch_Vision>=0.15", False),  # another distribution
        ("torchvision [extra] >= 0.15", True),
        ("torchaudio@https://example.com/torchaudio.whl", True),
        ("torch>=1.10", False),  # its version in the base is known, so pip can tell
        ("pandas==2.0", False),
    ],
)
def test_a_version_of_what_the_base_holds_is_refused_unless_it_can_be_checked(
    tmp_path: Path, requirement: str, refused: bool
) -> None:
    base = plans.remote(plans.put_base(tmp_path))
    plan = plans.plan(base, "ENV A=1\n", requirements=(requirement,))
    if not refused:
        return check_held(plan)
    with pytest.raises(Refused, match="stays the one of the base"):
        check_held(plan)


def test_what_only_held_packages_asked_for_is_left_out() -> None:
    report = [
        item("App", "torch", "helper[fast]", requested=True),
        item("torch", "nvidia-cublas", "sympy"),
        item("nvidia-cublas"),
        item("sympy"),
        item("helper", "speedup; extra == 'fast'", "slow; extra == 'slow'", "Sym.Py"),
        item("speedup"),
        item("slow"),
    ]
    assert names(report, "torch") == {"app", "helper", "speedup"}
    report[4]["metadata"]["requires_dist"].append("sympy")
    assert "sympy" in names(report, "torch")


def test_a_package_that_was_asked_for_by_name_but_is_held_stays_the_bases() -> None:
    assert names([item("numpy", requested=True), item("app", requested=True)], "numpy") == {"app"}


def test_a_circle_of_requirements_ends() -> None:
    assert names([item("a", "b", requested=True), item("b", "a")]) == {"a", "b"}


@pytest.mark.parametrize(
    ("name", "same"), [("Flask", "flask"), ("a.b_c--d", "a-b-c-d"), ("X_-.Y", "x-y")]
)
def test_names_are_compared_as_pep_503_says(name: str, same: str) -> None:
    assert canonical(name) == same


def test_the_report_gives_name_version_place_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"install": [item("b"), item("A")]}))
    assert read_report(path) == [
        Wheel("A", "1.0", "https://wheels.example.com/A-1.0-py3-none-any.whl", "a" * 64),
        Wheel("b", "1.0", "https://wheels.example.com/b-1.0-py3-none-any.whl", "a" * 64),
    ]
    assert read_report(path)[0].file == "A-1.0-py3-none-any.whl"


def test_a_wheel_without_a_hash_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    bare = item("a")
    bare["download_info"]["archive_info"] = {}
    path.write_text(json.dumps({"install": [bare]}))
    with pytest.raises(CorruptContent, match="no sha256 for a"):
        read_report(path)


def write_wheel(folder: Path, name: str, version: str, python: str) -> None:
    """An empty wheel whose metadata says which Pythons it is for."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}\n"
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(
    ("python", "taken"), [(">=3.8,<3.9", True), (">=3.8.1", True), ("<3.8", False)]
)
def test_what_a_package_asks_of_python_is_held_against_the_bases(
    tmp_path: Path, python: str, taken: bool
) -> None:
    store = tmp_path / "store"
    write_wheel(store, "imgctl_tool", "3.0", ">=3.11")  # fits the Python that runs the test
    write_wheel(store, "imgctl_tool", "2.0", python)
    write_wheel(store, "imgctl_tool", "1.0", ">=3.6")
    plan = plans.plan(plans.remote(plans.put_base(tmp_path / "base")), "ENV A=1\n",
                      requirements=("imgctl-tool",))  # fmt: skip
    report = tmp_path / "report.json"
    words = resolve_arguments(plan, report, str(store))
    subprocess.run([*words, "--no-index"], check=True, timeout=60)
    assert [wheel.version for wheel in read_report(report)] == ["2.0" if taken else "1.0"]


def test_the_resolver_answers_for_the_base_with_the_pip_that_is_here(tmp_path: Path) -> None:
    plan = plans.plan(plans.remote(plans.put_base(tmp_path / "base")), "ENV A=1\n",
                      requirements=("nobody-made-this",))  # fmt: skip
    words = resolve_arguments(plan, tmp_path / "report.json")
    done = subprocess.run([*words, "--no-index"], capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    assert words[0] == sys.executable
    assert done.returncode != 0
    assert "nobody-made-this" in done.stderr
    assert "markers" not in done.stderr
