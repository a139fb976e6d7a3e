"""Rules of the house that no linter knows: sizes, docstrings, what must not be in the tree."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("imgctl", "release", "deploy", "builder", "registry")

MOST_LINES = 450
MOST_LINES_OF_A_FUNCTION = 65


def tracked() -> list[Path]:
    """Every file in version control, and what is about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=True, timeout=30)
    names = done.stdout.decode().split("\0")
    return sorted({ROOT / name for name in names if name and (ROOT / name).is_file()})


def modules() -> list[Path]:
    return [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(tree: ast.Module) -> list[ast.ClassDef | Function]:
    """Public classes, functions and methods."""
    found: list[ast.ClassDef | Function] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            found.append(node)
            if isinstance(node, ast.ClassDef):
                found += [
                    child
                    for child in node.body
                    if isinstance(child, Function) and not child.name.startswith("_")
                ]
    return found


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_is_one_idea_and_says_which(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= MOST_LINES
    if text.strip():
        assert ast.get_docstring(tree), "a module starts with what it is about"
    undocumented = [f"{node.name}, line {node.lineno}" for node in public(tree)
                    if not ast.get_docstring(node)]  # fmt: skip
    assert undocumented == []
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, Function) and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]  # fmt: skip
    assert long == []


def test_no_file_is_large_or_binary() -> None:
    wrong = [
        f"{name_of(path)}: {path.stat().st_size} bytes"
        for path in tracked()
        if path.stat().st_size > 900_000 or b"\0" in path.read_bytes()
    ]
    assert wrong == []


# Pieced together so that this file does not contain what it looks for.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"py" + r"pi\.org",
            r"files\.python" + r"hosted",
            r"deb\.debian" + r"\.org",
            r"registry\.npm" + r"js",
            r"/work/" + r"(main|shared)",
            r"/ro" + r"ot/(?!\.)",
            r"BEGIN (EC |RSA |OPENSSH |ENCRYPTED )?PRIVATE" + r" KEY-----\n[A-Za-z0-9+/=\n]{100}",
        ]
    )
)


def test_no_registry_hosts_machine_paths_or_keys() -> None:
    wrong = []
    for path in tracked():
        found = FORBIDDEN.search(path.read_text(errors="replace"))
        if found:
            wrong.append(f"{name_of(path)}: {found[0]}")
    assert wrong == []


def test_no_error_is_swallowed() -> None:
    wrong = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                names = ast.unparse(node.type) if node.type else ""
                silent = all(isinstance(child, ast.Pass) for child in node.body)
                if not names or (silent and "Exception" in names.split()):
                    wrong.append(f"{name_of(path)}, line {node.lineno}")
    assert wrong == []
