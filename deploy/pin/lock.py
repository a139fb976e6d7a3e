"""The lock file: which digest each tag stood for when it was looked up.

schema: 1
images:
  docker.io/library/nginx:1.27:
    digest: sha256:…
    platform: linux/arm64        # or `index`, for every platform
    resolved: 2026-11-24T10:00:00Z
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import BadInput
from registry.reference import Reference, is_digest

FILE_NAME = "imgctl.lock.yaml"
_HEAD = "# Written by `imgctl pin`: the digest of each tag. Look tags up anew with --update.\n"


@dataclass(frozen=True)
class Locked:
    """platform: `os/arch[/variant]` or `index`. resolved: when, RFC 3339 in UTC."""

    digest: str
    platform: str
    resolved: str


Lock = Mapping[str, Locked]


def key(image: Reference) -> str:
    """What an image is called in the lock: its whole name and tag."""
    return f"{image.name}:{image.tag or 'latest'}"


def read_lock(text: str, path: Path) -> dict[str, Locked]:
    """Parse a lock file; raises BadInput."""
    import yaml

    try:
        value: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _bad(path, " ".join(str(error).split())[:200]) from error
    if not isinstance(value, dict) or value.get("schema") != 1:
        raise _bad(path, "it does not say schema: 1")
    images = value.get("images") or {}
    if not isinstance(images, dict):
        raise _bad(path, "`images` is not a mapping")
    return {str(name): _locked(path, str(name), entry) for name, entry in images.items()}


def write_lock(lock: Lock) -> str:
    """The lock as text, sorted by name."""
    from deploy.yaml_text import to_yaml

    images = {
        name: {"digest": entry.digest, "platform": entry.platform, "resolved": entry.resolved}
        for name, entry in sorted(lock.items())
    }
    return _HEAD + to_yaml([{"schema": 1, "images": images}])


def _locked(path: Path, name: str, entry: Any) -> Locked:
    if not isinstance(entry, dict) or not is_digest(str(entry.get("digest"))):
        raise _bad(path, f"{name} has no digest")
    return Locked(
        str(entry["digest"]), str(entry.get("platform", "")), str(entry.get("resolved", ""))
    )


def _bad(path: Path, why: str) -> BadInput:
    return BadInput(f"{path} is not a lock file", why, "delete it, and run `imgctl pin` again")
