"""The machine in words: what a reader needs to judge or repeat a figure."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

# Subject -> the command whose first line of output names the version.
_VERSIONS = {
    "docker-registry": ["docker-registry", "--version"],
    "Docker engine": ["docker", "version", "--format", "{{.Server.Version}}"],
    "buildx": ["docker", "buildx", "version"],
    # Debian's crane does not know its own version.
    "crane": ["dpkg-query", "--show", "--showformat=${Version}", "crane"],
    "oras": ["oras", "version"],
    "skopeo": ["skopeo", "--version"],
}


def describe() -> dict[str, str]:
    """Subject -> words: processor, memory, system, and the version of each tool."""
    words = {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{_memory() / 1e9:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    for subject, command in _VERSIONS.items():
        words[subject] = _first_line(command)
    return words


def commit(folder: Path) -> str:
    """The commit checked out in folder, marked when files differ from it; else `unknown`."""
    found = _first_line(["git", "-C", str(folder), "rev-parse", "--short", "HEAD"])
    if found == "absent":
        return "unknown"
    status = ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"]
    return found if _first_line(status) == "absent" else f"{found} with changes"


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return "absent"
    lines = done.stdout.strip().splitlines()
    return " ".join(lines[0].split()) if done.returncode == 0 and lines else "absent"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
