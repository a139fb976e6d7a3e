"""Exit codes and last words when stdout does not take what is written to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imgctl.output import print_error
from registry.errors import ImgctlError

ROOT = Path(__file__).parents[3]


def shell(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in bash, in which $IMGCTL is the program."""
    return subprocess.run(
        ["bash", "-c", script],
        env={
            "IMGCTL": f"{sys.executable} -m imgctl",
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_reader_that_leaves_is_no_error() -> None:
    done = shell("$IMGCTL l4t --format json | head -1; echo ${PIPESTATUS[0]}")
    assert done.stdout.splitlines() == ["[", "0"]
    assert done.stderr == ""


def test_a_full_disk_behind_stdout_is_one_clear_error() -> None:
    done = shell("$IMGCTL l4t >/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "imgctl: no space left on device"
    assert "Exception" not in done.stderr


def test_a_closed_stdout_is_no_traceback() -> None:
    done = shell("$IMGCTL l4t >&-")
    assert "Traceback" not in done.stderr


def test_a_character_the_terminal_lacks_is_no_error() -> None:
    done = shell("cd /; PYTHONIOENCODING=latin-1 $IMGCTL lint --l4t r36.4.3")
    assert done.returncode == 0
    assert "\\u2026 and 5 more places" in done.stdout


def test_words_of_a_registry_do_not_reach_the_terminal_as_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_error(ImgctlError("it said \x1b[2Jno", "because \x9b31m", "a\nb"))
    shown = capsys.readouterr().err
    assert shown == "imgctl: it said \\x1b[2Jno\n  why: because \\x9b31m\n  fix: a\nb\n"
