"""The command line as a whole: its help, and where an option's value comes from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import click
import pytest

from imgctl import __version__
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


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, by the words it is called with."""
    group = click.Context(cli)

    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            for child, below in command.commands.items():
                yield from walk(f"{name} {child}", below)
        else:
            yield name, command

    for name in command_modules():
        found = cli.get_command(group, name)
        assert found is not None
        yield from walk(name, found)


def test_every_command_answers_in_json_and_explains_its_options() -> None:
    for name, command in every_command():
        options = [item for item in command.params if isinstance(item, click.Option)]
        assert command.help, name
        assert [item.opts for item in options if not item.help] == [], name
        formats = next(item for item in options if "--format" in item.opts)
        assert isinstance(formats.type, click.Choice)
        assert "json" in formats.type.choices, name


def test_values_of_options_are_called_by_what_they_are() -> None:
    vague = {"TEXT", "PATH", "FILE_OR_DIR", "DIRECTORY", "INTEGER", "INTEGER RANGE"}
    for name, command in every_command():
        shown = {
            option.opts[0]: option.make_metavar(click.Context(command))
            for option in command.params
            if isinstance(option, click.Option) and not option.is_flag
        }
        assert {flag: value for flag, value in shown.items() if value in vague} == {}, name


def test_help_of_a_group_is_uncut_and_uses_a_wide_terminal(
    imgctl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    for words in (["harbor"], ["harbor", "robot"], ["node"], ["base"]):
        _, out, _ = imgctl(*words, "--help")
        assert "..." not in out.partition("Commands:")[2]
    _, out, _ = imgctl("build", "--help")
    assert 80 < max(map(len, out.splitlines())) <= 100


def test_names_of_images_are_completed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images/mine").mkdir(parents=True)
    (tmp_path / "images/mine/image.yaml").write_text("name: mine\n")
    for words, expected in (("build m", ["mine", "mnist"]), ("push --ha", ["--harbor"])):
        monkeypatch.setenv("COMP_WORDS", f"imgctl {words}")
        monkeypatch.setenv("COMP_CWORD", "2")
        monkeypatch.setenv("_IMGCTL_COMPLETE", "bash_complete")
        assert run(cli, []) == 0
        out = capsys.readouterr().out
        assert [line.partition(",")[2] for line in out.splitlines()] == expected


@pytest.mark.parametrize(("value", "coloured"), [("", True), ("1", False)])
def test_no_color_is_obeyed(
    value: str, coloured: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a terminal, which a pipe is not."""
    import os
    import pty
    import subprocess
    import sys

    ours, theirs = pty.openpty()
    script = Path(sys.executable).parent / "imgctl"
    environment = {**os.environ, "NO_COLOR": value, "TERM": "xterm"}
    with subprocess.Popen(
        [str(script), "demo"], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL,
        env=environment, cwd=tmp_path,
    ) as child:  # fmt: skip
        os.close(theirs)
        with FileIO(ours) as terminal:
            shown = b"".join(_chunks(terminal))
        assert child.wait(60) == 0
    assert (b"\x1b[" in shown) is coloured


def _chunks(terminal: FileIO) -> Iterator[bytes]:
    """All that is written to a terminal; reading fails once its other side is closed."""
    while True:
        try:
            yield terminal.read(1 << 16)
        except OSError:
            return


def run_with_click(folder: Path, click_py: str, argument: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, where click is something else."""
    (folder / "click.py").write_text(click_py)
    return subprocess.run(
        [sys.executable, "-m", "imgctl", argument],
        capture_output=True, text=True, timeout=30, check=False,
        cwd=Path(__file__).parents[3], env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


def test_ctrl_c_while_the_program_loads_ends_it_quietly(tmp_path: Path) -> None:
    interrupts = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    done = run_with_click(tmp_path, interrupts, "--help")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "imgctl: interrupted\n")


def test_the_version_is_told_without_loading_the_command_line(tmp_path: Path) -> None:
    done = run_with_click(tmp_path, "raise SystemExit('click was loaded')\n", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"imgctl {__version__}\n"
