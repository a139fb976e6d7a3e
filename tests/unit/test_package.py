"""The wheel holds what the program needs: catalogue, templates, matrix, the double of Harbor."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `pip install` unpacks."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, folder: Path, *words: str) -> str:
    """Run the installed program, far from the checkout; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(installed)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_program_works_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "where.py").write_text("import imgctl.catalogue as c\nprint(*c.image_roots())\n")
    place = Path(run(installed, tmp_path, "where").strip())
    assert place.is_relative_to(installed)
    names = {path.name for path in place.iterdir()}
    assert names == {path.parent.name for path in ROOT.glob("images/*/image.yaml")}
    for name in sorted(names):
        assert run(installed, tmp_path, "imgctl", "render", name, "--l4t", "r35.2.1")
    assert "nothing was left behind" in run(installed, tmp_path, "imgctl", "demo")
    run(installed, tmp_path, "imgctl", "init", "detector", "new")
    run(installed, tmp_path / "new", "imgctl", "lint", "detector", "--l4t", "r35.2.1")


def test_nothing_else_comes_along(installed: Path) -> None:
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"imgctl", "release", "deploy", "builder", "registry"}
    suffixes = {path.suffix for path in installed.rglob("*") if path.is_file()}
    assert ".pyc" not in suffixes
    assert ".key" not in suffixes
