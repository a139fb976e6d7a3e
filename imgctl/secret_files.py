"""Secrets that leave the process: into a file that only its owner reads."""

from __future__ import annotations

from pathlib import Path

from registry.errors import BadInput


def write_secret(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file of mode 0600, in one step; folders on the way are made, for their owner alone.

    Raises BadInput when there is one and it is not to be replaced.
    """
    from registry.files import replace_text

    check_free(path, replace=replace)
    for folder in (*reversed(path.parent.parents), path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    replace_text(path, text, 0o600)


def write_text_once(path: Path, text: str) -> None:
    """Write a file that is no secret, unless there is one by its name."""
    from registry.files import replace_text

    if not path.exists():
        replace_text(path, text)


def check_free(path: Path, *, replace: bool = False) -> None:
    """Raise BadInput when a secret cannot be put there."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder", "the secret goes into a file", "name a file in it")
    if path.exists() and not replace:
        raise BadInput(
            f"{path} is there already",
            "it may hold the secret of another account",
            "name another file, or move it away",
        )
