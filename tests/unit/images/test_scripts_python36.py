"""Every baked-in script still runs on the Python 3.6 of JetPack 4."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.images.scripts import IMAGES

SCRIPTS = sorted(IMAGES.glob("*/*.py"))


def test_there_are_scripts() -> None:
    assert {path.name for path in SCRIPTS} >= {"pytorch-mnist.py", "test.py", "check_gpu.py"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_grammar_is_that_of_python_36(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 6))


def test_nothing_in_them_needs_a_newer_standard_library() -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("vermin")),
            "--no-tips",
            "--target=3.6-",
            *map(str, SCRIPTS),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
