"""Taking out of the Docker daemon what a measurement put there, and nothing else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CacheRecord:
    """One record of BuildKit's cache: the records it stands on, and where it came from."""

    parents: frozenset[str]
    description: str


def forget(image: str, host: str) -> None:
    """Remove an image, and the build cache of everything pulled from a registry host."""
    _docker("image", "rm", "--force", image)
    ours = above(records(_docker("buildx", "du", "--verbose")), f"{host}/")
    if ours:
        pattern = f"^({'|'.join(sorted(ours))})$"
        _docker("buildx", "prune", "--all", "--force", "--filter", f"id={pattern}")


def records(text: str) -> dict[str, CacheRecord]:
    """The cache records by id that `docker buildx du --verbose` prints."""
    found = {}
    for part in text.split("\n\n"):
        if head := re.search(r"^ID:\s+(\w+)", part, re.MULTILINE):
            parents = frozenset(re.findall(r"^ - (\w+)", part, re.MULTILINE))
            described = re.search(r"^Description:[ \t]*(.*)$", part, re.MULTILINE)
            found[head[1]] = CacheRecord(parents, described[1] if described else "")
    return found


def above(known: Mapping[str, CacheRecord], text: str) -> set[str]:
    """The ids whose description holds text, and of all that stand on them.

    A record that others stand on cannot be removed without them.
    """
    ours = {name for name, record in known.items() if text in record.description}
    while more := {name for name, record in known.items() if record.parents & ours} - ours:
        ours |= more
    return ours


def _docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout
