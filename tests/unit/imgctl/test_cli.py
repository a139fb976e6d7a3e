"""The command line as a whole: its help, and where an option's value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgctl.cli import STAGES, cli, command_modules
from imgctl.output import run

# Tells the namespace it was given.
SHOW = ["manifests", f"local-harbor.com/algorithms/mnist:1.0@sha256:{'0' * 64}", "--offline"]


@pytest.fixture
def imgctl(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> tuple[int, str, str]:
        code = run(cli, list(args))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def namespace(out: str) -> str:
    return next(line.split()[1] for line in out.splitlines() if "namespace:" in line)


def test_help_shows_every_command_once_and_uncut(imgctl: Any) -> None:
    code, out, err = imgctl("--help")
    assert (code, err) == (0, "")
    assert sorted(" ".join(STAGES.values()).split()) == sorted(command_modules())
    assert all(f"  {name} " in out for name in command_modules())
    assert "..." not in out.partition("Build:")[2]


def test_an_unknown_command_is_told_the_nearest(imgctl: Any) -> None:
    code, out, err = imgctl("buidl")
    assert (code, out) == (2, "")
    assert "Did you mean 'build'?" in err


def test_a_flag_stands_above_the_variable_above_the_file(
    imgctl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("imgctl.yaml").write_text("namespace: top\n")
    assert namespace(imgctl(*SHOW)[1]) == "top"
    Path("imgctl.yaml").write_text("namespace: top\nmanifests: {namespace: section}\n")
    assert namespace(imgctl(*SHOW)[1]) == "section"
    monkeypatch.setenv("IMGCTL_NAMESPACE", "variable")
    assert namespace(imgctl(*SHOW)[1]) == "variable"
    assert namespace(imgctl(*SHOW, "--namespace", "flag")[1]) == "flag"


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("namepsace: edge\n", "imgctl knows no setting 'namepsace'", "'namespace'"),
        ("manifets: {gpu: 1}\n", "imgctl knows no setting 'manifets'", "'manifests'"),
        ("manifests: {gpus: 1}\n", "`imgctl manifests` has no option 'gpus'", "'gpu'"),
        ("- a\n", "must hold `option: value` lines", ""),
        ("a: [\n", "imgctl.yaml is not YAML", ""),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(
    imgctl: Any, text: str, what: str, hint: str
) -> None:
    Path("imgctl.yaml").write_text(text)
    code, out, err = imgctl(*SHOW)
    assert (code, out) == (2, "")
    assert what in err
    assert hint in err


def test_settings_of_other_commands_may_stand_on_top(imgctl: Any) -> None:
    Path("imgctl.yaml").write_text("harbor: local-harbor.com\nl4t: [r35.2.1]\ntags: {}\n")
    assert imgctl(*SHOW)[0] == 0
