"""New image repositories: complete, valid, and never over what is there."""

from __future__ import annotations

import ast
import compileall
import shutil
from pathlib import Path

import pytest
import yaml

from builder import definition
from builder.bases import choose_base
from builder.matrix import Matrix
from registry.errors import BadInput
from release import scaffold
from release.scaffold import NewRepository, files_of, write_repository

NEW = NewRepository(
    "gate-camera", "harbor.example", "edge", "r35.2.1", "o/r/.github/workflows/release-image.yml@v1"
)


def test_the_definition_it_writes_is_valid_and_has_a_base(tmp_path: Path) -> None:
    write_repository(tmp_path, files_of(NEW))
    found = definition.find("gate-camera", [tmp_path / "images"])
    matrix = Matrix.load()
    for release in ("r35.2.1", "r36.4.3"):
        base = choose_base(matrix, matrix.release(release), found.bases, found.framework)
        assert base.family in found.bases


def test_settings_workflow_and_script_parse(tmp_path: Path) -> None:
    files = files_of(NEW)
    assert sorted(files) == [
        ".github/workflows/release.yml",
        ".gitignore",
        "README.md",
        "images/gate-camera/image.yaml",
        "images/gate-camera/run.py",
        "imgctl.yaml",
    ]
    assert yaml.safe_load(files["imgctl.yaml"])["harbor"] == "harbor.example"
    job = yaml.safe_load(files[".github/workflows/release.yml"])["jobs"]["release"]
    assert job["uses"] == NEW.workflow
    assert job["secrets"]["password"] == "${{ secrets.HARBOR_PASSWORD }}"
    ast.parse(files["images/gate-camera/run.py"], feature_version=(3, 6))


def test_what_pip_compiled_among_the_templates_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = files_of(NEW)
    installed = Path(shutil.copytree(scaffold.TEMPLATES, tmp_path / "installed"))
    compileall.compile_dir(installed, quiet=2)
    assert list(installed.rglob("*.pyc"))
    monkeypatch.setattr(scaffold, "TEMPLATES", installed)
    assert files_of(NEW) == expected


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "imgctl.yaml").write_text("mine")
    with pytest.raises(BadInput, match="there already"):
        write_repository(tmp_path, files_of(NEW))
    assert [item.name for item in tmp_path.iterdir()] == ["imgctl.yaml"]
    assert (tmp_path / "imgctl.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Gate"},
        {"name": "a/b"},
        {"name": ""},
        {"harbor": "https://harbor.example"},
        {"project": "Edge"},
        {"workflow": "somewhere"},
    ],
)
def test_names_that_cannot_be_pushed_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        files_of(NewRepository(**{**vars(NEW), **change}))
