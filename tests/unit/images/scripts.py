"""How the tests reach the scripts that images bake in: as modules, and as commands."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

IMAGES = Path(__file__).resolve().parents[3] / "images"


def load(relative: str) -> ModuleType:
    """A fresh module of a script under images/, whose file name may hold a dash."""
    spec = importlib.util.spec_from_file_location(
        Path(relative).stem.replace("-", "_"), IMAGES / relative
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(relative: str, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """The script as its own process, as a pod runs it."""
    return subprocess.Popen(
        [sys.executable, str(IMAGES / relative), *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
