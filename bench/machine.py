"""The machine in words: what a reader needs to judge or repeat a figure."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
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


def describe(work: Path) -> dict[str, str]:
    """Subject -> words: processor, memory, system, and the version of each tool.

    work: the folder that registries and layouts are in.
    """
    words = {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{_memory() / 1e9:.0f} GB",
        "registries and layouts": "in memory (tmpfs)" if _in_memory(work) else "on disk",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    for subject, command in _VERSIONS.items():
        words[subject] = _first_line(command)
    return words


def roomy_folder(room: int) -> Path:
    """A folder in memory if `room` bytes leave half of it free, else the temporary folder.

    What is written to a disk goes on being written after a run has ended, into the next one's time.
    """
    shared = Path("/dev/shm")
    if shared.is_dir() and _in_memory(shared):
        free = min(shutil.disk_usage(shared).free, _available_memory())
        if free >= 2 * room:
            return shared
    return Path(tempfile.gettempdir())


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


def _in_memory(folder: Path) -> bool:
    """Whether a folder is on a tmpfs: the longest mount point above it tells."""
    place, kind = "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        mount, found = line.split()[1:3]
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(place):
            place, kind = mount, found
    return kind == "tmpfs"


def _available_memory() -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
