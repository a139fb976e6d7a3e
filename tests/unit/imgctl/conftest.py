"""The program called in this process, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgctl.cli import cli
from imgctl.output import run
from tests.unit.imgctl.records import Call


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """`call("manifests", "mnist", …)` gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / ".docker"))

    def run_it(*arguments: str) -> tuple[int, str, str]:
        code = run(cli, list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run_it
