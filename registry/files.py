"""Files that are there whole or not at all: written aside, then renamed into place."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from registry.errors import ImgctlError


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A new, empty file in path's folder, its owner's alone; gone afterwards unless renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


def check_room(folder: Path, needed: int, what: str, hint: str) -> None:
    """Raise ImgctlError, saying what and hint, when fewer than needed bytes are free in folder."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        why = f"{needed} bytes are needed, {free} are free"
        raise ImgctlError(what, why, hint)


def replace_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file in one step; what was there before is gone then. Raises OSError."""
    with aside(path) as new:
        new.write_text(text, encoding="utf-8")
        new.chmod(mode)
        new.replace(path)


def replace_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON in one step."""
    replace_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
