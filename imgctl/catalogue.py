"""Where image definitions and Dockerfile templates are: the team's own first, then the built-in."""

from __future__ import annotations

from pathlib import Path


def image_roots() -> list[Path]:
    """`./images` if it is there, then the built-in catalogue."""
    return _roots("images")


def template_roots() -> list[Path]:
    """`./dockerfiles` if it is there, then the built-in templates."""
    return _roots("dockerfiles")


def _roots(name: str) -> list[Path]:
    own, built_in = Path(name), _built_in(name)
    if own.is_dir() and own.resolve() != built_in.resolve():
        return [own, built_in]
    return [built_in]


def _built_in(name: str) -> Path:
    """Inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "catalogue" / name
    return installed if installed.is_dir() else package.parent / name
