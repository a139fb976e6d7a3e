"""Files that are there whole or not at all: written aside, then renamed into place."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def replace_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file in one step; what was there before is gone then. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def replace_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON in one step."""
    replace_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
