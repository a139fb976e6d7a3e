"""Children that run long: read line by line, and ended with everything they started."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from registry.errors import ImgctlError

_PR_SET_PDEATHSIG = 1
_PATIENCE = 5.0  # seconds a child gets to end by itself after each signal


def run_child(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
    folder: Path | None = None,
) -> int:
    """Run a program, hand over each line it writes (stdout and stderr), return its exit status.

    It gets a process group of its own. Whatever ends this call early (Ctrl-C above all) ends the
    whole group first; where the system can (Linux), it also ends when this process is killed.
    Raises ImgctlError when the program cannot be started.
    """
    child = _start(arguments, environment, folder)
    assert child.stdout is not None  # noqa: S101 - opened as a pipe
    try:
        with child.stdout as lines:
            for line in lines:
                on_line(line.rstrip("\r\n"))
        return child.wait()
    except BaseException:
        _end_group(child)
        raise


def ask(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float = 20.0
) -> tuple[int, str]:
    """(exit status, everything written) of a program that answers a question.

    127 when there is no such program, 124 when it took longer than timeout seconds.
    """
    try:
        done = subprocess.run(
            list(arguments),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {timeout:.0f} s"
    return done.returncode, done.stdout


def _start(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            list(arguments),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
            preexec_fn=_dying_with_us(),
        )
    except OSError as error:
        raise ImgctlError(
            f"cannot start {arguments[0]}", error.strerror or str(error), "is it installed?"
        ) from error


def _dying_with_us() -> Callable[[], object] | None:
    """What the child calls before it becomes the program, so that a kill -9 of us ends it too."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_group(child: subprocess.Popen[str]) -> None:
    """SIGINT lets buildx cancel its build on the builder; then SIGTERM, then SIGKILL.

    A second Ctrl-C meanwhile is somebody in a hurry: the next signal goes out at once.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(_PATIENCE)
        except ProcessLookupError:
            break
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
    child.wait()
