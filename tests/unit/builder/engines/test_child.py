"""Children of a build: heard line by line, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder.engines.child import ask, run_child
from registry.errors import ImgctlError

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def shell(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_each_line_is_handed_over_and_the_exit_status_returned() -> None:
    lines: list[str] = []
    status = run_child(shell("echo one; echo two >&2; exit 3"), ENVIRONMENT, lines.append)
    assert (status, lines) == (3, ["one", "two"])


def test_only_the_given_environment_is_passed_on() -> None:
    lines: list[str] = []
    run_child(["/usr/bin/env"], {"A": "1"}, lines.append)
    assert [line for line in lines if not line.startswith(("PWD=", "SHLVL=", "_="))] == ["A=1"]


def test_what_cannot_be_started_is_named() -> None:
    with pytest.raises(ImgctlError, match="cannot start /no/such/program"):
        run_child(["/no/such/program"], ENVIRONMENT, print)


def test_an_interruption_ends_the_child_and_its_children() -> None:
    pids: list[int] = []

    def interrupted(line: str) -> None:
        pids.append(int(line))
        if len(pids) == 2:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_child(shell("echo $$; sh -c 'echo $$; exec sleep 60' & wait"), ENVIRONMENT, interrupted)
    assert time.monotonic() - began < 30
    deadline = time.monotonic() + 30
    while any(running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(running(pid) for pid in pids)


def test_a_second_interruption_does_not_wait_for_a_child_that_ignores_the_first() -> None:
    def interrupted(line: str) -> None:
        # Python delivers it to the main thread, which by then waits for the child.
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_child(shell("trap '' INT; echo ready; sleep 60"), ENVIRONMENT, interrupted)
    assert time.monotonic() - began < 30


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "from builder.engines.child import run_child\n"
        "run_child(['/bin/sh', '-c', 'echo $$; exec sleep 60'], {}, lambda line: print(line, "
        "flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[4],
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert running(pid)
        parent.kill()
    deadline = time.monotonic() + 30
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not running(pid)


def test_a_question_gets_its_answer_or_says_why_not() -> None:
    assert ask(shell("echo yes; exit 4"), ENVIRONMENT) == (4, "yes\n")
    assert ask(["/no/such/program"], ENVIRONMENT)[0] == 127
    assert ask(shell("sleep 5"), ENVIRONMENT, timeout=0.05)[0] == 124
