"""The direction of imports: imgctl → release → deploy → builder → registry, and who may do what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each package may import itself and what stands to its right.
ORDER = ("imgctl", "release", "deploy", "builder", "registry")
PACKAGES = tuple(name for name in ORDER if (ROOT / name).is_dir())
OURS = frozenset(ORDER) | {"tests", "bench"}

OF_THE_COMMAND_LINE = frozenset(
    {"print", "input", "os.environ", "os.getenv", "sys.argv", "sys.stdout", "sys.stderr",
     "click.echo"}
)  # fmt: skip

# Programs of their own, started as children: their output is for their parent.
PROGRAMS = frozenset({"builder/wheel_resolver.py"})


def sources(package: str) -> list[Path]:
    # What lies in data/ is written out for others, and is no part of us.
    found = sorted((ROOT / package).rglob("*.py"))
    return [path for path in found if "data" not in path.relative_to(ROOT).parts]


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sources(package)]


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", node.lineno


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    allowed = frozenset(ORDER[ORDER.index(package) :])
    wrong = [
        f"line {line}: {name}"
        for name, line in imported(ast.parse(path.read_text()))
        if name.partition(".")[0] in OURS - allowed
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "path", [path for path in modules() if path.relative_to(ROOT).parts[0] != "imgctl"], ids=name_of
)
def test_only_the_command_line_prints_or_reads_the_environment(path: Path) -> None:
    if name_of(path) in PROGRAMS:
        assert "__main__" in path.read_text()
        return
    wrong = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in OF_THE_COMMAND_LINE
    ]
    assert wrong == []


HEAVY = ("httpx", "httpcore", "jinja2", "yaml", "docker", "starlette", "uvicorn", "cryptography",
         "semver")  # fmt: skip


def loaded_by(*arguments: str) -> set[str]:
    """The modules loaded once a command line has been run."""
    code = (
        "import sys\nfrom imgctl.cli import main\nsys.argv = ['imgctl', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('\\nloaded ' + ' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, timeout=30, check=True, cwd=ROOT,
    )  # fmt: skip
    return set(done.stderr.rpartition("\nloaded ")[2].split())


def test_the_version_is_told_without_loading_anything_heavy() -> None:
    assert loaded_by("--version").isdisjoint(HEAVY)


def test_rendering_loads_no_network_code() -> None:
    loaded = loaded_by("render", "mnist", "--l4t", "r35.2.1")
    assert "jinja2" in loaded
    assert loaded.isdisjoint({"httpx", "httpcore", "docker", "starlette", "uvicorn"})
