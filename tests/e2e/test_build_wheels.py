"""Python packages as aarch64 wheels: resolved for the base's Python, never run, never emulated."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl
from tests.e2e.support.images import TAG, built, write_image
from tests.e2e.support.registries import RunningRegistry
from tests.e2e.support.wheels import wheel_store, write_wheel

BUILD = ("build", "app", "--l4t", "r35.2.1", "--engine", "direct")
# The base of r35.2.1 has Python 3.8.
PACKAGES = "usr/local/lib/python3.8/dist-packages"
ARM = "cp38-cp38-manylinux_2_17_aarch64.manylinux2014_aarch64"
# Nothing outside this machine is asked.
OFFLINE = {"PIP_NO_INDEX": "1"}
GREETING = "import platform\ndef main():\n    print('hello from', platform.machine())\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """A wheel store: `greeter` for arm64 and for PCs, what it needs, and what the base has."""
    folder = tmp_path / "wheels"
    files = {"greeter/__init__.py": "", "greeter/cli.py": GREETING}
    needs = ("helper>=1", "numpy", "torch>=1.10", "pc-only; platform_machine=='x86_64'",
             "old-only; python_version<'3.9'")  # fmt: skip
    script = {"greet": "greeter.cli:main"}
    write_wheel(folder, "greeter", "1.0", ARM, files, requires=needs, scripts=script)
    write_wheel(folder, "greeter", "2.0", "cp38-cp38-manylinux_2_17_x86_64", files)
    write_wheel(folder, "greeter", "3.0", "cp311-cp311-manylinux_2_17_aarch64", files)
    write_wheel(folder, "greeter", "4.0", "cp38-cp38-manylinux_2_35_aarch64", files)
    write_wheel(folder, "helper", "1.5", "py3-none-any", {"helper.py": "ANSWER = 42\n"})
    write_wheel(folder, "old_only", "1.0", "py3-none-any", {"old_only.py": ""})
    write_wheel(folder, "numpy", "1.24.0", ARM, {"numpy/__init__.py": "the index's own"})
    write_wheel(folder, "torch", "2.9.0", ARM, {"torch/__init__.py": "a build for CPUs"})
    with wheel_store(folder) as url:
        yield url


def test_packages_come_as_wheels_for_the_python_of_the_base(
    base_image: RunningRegistry, imgctl: Imgctl, tmp_path: Path, store: str
) -> None:
    write_image(tmp_path, "app", {"a.txt": b"a"}, pip=["greeter"], bases=["l4t-pytorch"],
                framework="pytorch")  # fmt: skip
    arguments = (*BUILD, "--base-mirror", base_image.host, "--wheel-mirror", store)
    imgctl(*arguments, env=OFFLINE).check()
    layout = built(tmp_path, "app")
    files = layout.files(1)
    assert files[f"{PACKAGES}/greeter/cli.py"] == ("0", 0o644, 0, 0, GREETING.encode())
    assert files["usr/local/bin/greet"][:4] == ("0", 0o755, 0, 0)
    assert files["usr/local/bin/greet"][4].startswith(b"#!/usr/bin/python3\n")
    record = json.loads((layout.path / "build.json").read_text())
    # The base's torch and numpy stay; what is for PCs is left out.
    assert [(item["name"], item["version"]) for item in record["wheels"]] == [
        ("greeter", "1.0"), ("helper", "1.5"), ("old_only", "1.0"),
    ]  # fmt: skip
    assert not any("/torch/" in path or "/numpy/" in path for path in files)
    again = imgctl(*arguments, "--no-cache", "--dist", "again/dist", env=OFFLINE)
    again.check()
    assert built(tmp_path / "again", "app").digest == layout.digest


def test_the_installed_package_runs_on_aarch64(
    engine: str, base_image: RunningRegistry, imgctl: Imgctl, tmp_path: Path, store: str
) -> None:
    write_image(tmp_path, "app", pip=["greeter"], bases=["l4t-pytorch"], framework="pytorch",
                env={"PYTHONPATH": f"/{PACKAGES}"})  # fmt: skip
    imgctl(*BUILD, "--base-mirror", base_image.host, "--wheel-mirror", store, "--load",
           env=OFFLINE).check()  # fmt: skip
    name = f"app:{TAG}"
    command = ["docker", "run", "--rm", "--network=host", "--platform=linux/arm64", name, "greet"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        subprocess.run(["docker", "rmi", "-f", name], capture_output=True, timeout=60, check=True)
    assert done.stdout == "hello from aarch64\n", done.stderr


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ("greeter==2.0", "greeter==2.0"),  # there is one for PCs only
        ("nobody-made-this", "nobody-made-this"),
        ("torch==2.9.0", "the base's torch 2.0 stays"),
    ],
)
def test_packages_without_a_wheel_for_the_base_are_named(
    base_image: RunningRegistry,
    imgctl: Imgctl,
    tmp_path: Path,
    store: str,
    wanted: str,
    word: str,
) -> None:
    write_image(tmp_path, "app", pip=[wanted], bases=["l4t-pytorch"], framework="pytorch")
    done = imgctl(*BUILD, "--base-mirror", base_image.host, "--wheel-mirror", store, env=OFFLINE)
    assert done.code == 2, done.stderr
    assert word in done.stderr
    assert "Python 3.8, aarch64" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "dist").rglob("*.json"))
