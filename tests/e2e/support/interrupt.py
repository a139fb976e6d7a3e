"""The program as a shell starts it, and Ctrl-C as a terminal sends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

INTERRUPTED = 130


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """imgctl in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "imgctl"), *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DOCKER_CONFIG": str(folder / ".docker")},
        start_new_session=True,
    )


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> str:
    """Signal the process group as a terminal does; what it said. It must end within seconds."""
    began = time.monotonic()
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED, stderr
    assert time.monotonic() - began < 6
    assert stdout == ""
    assert stderr.count("imgctl: ") == 1, stderr
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    return stderr
