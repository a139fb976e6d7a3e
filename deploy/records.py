"""Finding the record of what was pushed: by image name, by path, or by reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.workload import from_record
from registry.errors import BadInput
from registry.reference import Reference, check_host

PUSH_FILE = "push.json"
BUILD_FILE = "build.json"


@dataclass(frozen=True)
class Found:
    """A record's keyword arguments for a Workload, the record, and where it lies (if a file)."""

    arguments: dict[str, Any]
    record: dict[str, Any]
    path: Path | None


def is_reference(text: str) -> bool:
    """Whether text names an image in a registry rather than one of ours in dist/."""
    return "@" in text or ("/" in text and not Path(text).exists())


def find_record(text: str, dist: Path, repository_root: str = "") -> Found:
    """The record of `NAME`, `NAME:TAG`, a folder of dist/, or a record file.

    repository_root: `HOST/PROJECT` for a build that has no push record yet. Raises BadInput when
    there is none, or several to choose from.
    """
    path = _record_path(text, dist)
    record = read_record(path)
    if record.get("kind") == "build":
        record = _as_pushed(record, repository_root, path)
    return Found(from_record(record), record, path)


def read_record(path: Path) -> dict[str, Any]:
    """A record file's JSON object; raises BadInput when it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{path} is not a record", str(error)[:120], "build and push again"
        ) from error
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    if not isinstance(value, dict) or value.get("kind") not in ("build", "push"):
        raise BadInput(f"{path} is not a build or push record", "", "name build.json or push.json")
    return value


def from_reference(image: Reference) -> dict[str, Any]:
    """Workload arguments for an image nothing is recorded about: its name and its digest."""
    name = image.repository.rsplit("/", 1)[-1].replace("_", "-").replace(".", "-")
    return {"name": name, "image": image}


def _record_path(text: str, dist: Path) -> Path:
    given = Path(text)
    if given.is_file():
        return given
    if given.is_dir() and any((given / name).is_file() for name in (PUSH_FILE, BUILD_FILE)):
        return _best(given)
    name, _, tag = text.partition(":")
    if not name or "/" in name or name in (".", ".."):
        raise BadInput(f"{text!r} is neither an image in {dist} nor a record")
    if tag:
        folder = dist / name / tag
        if not (folder / BUILD_FILE).is_file() and not (folder / PUSH_FILE).is_file():
            raise BadInput(f"{text} is not in {dist}", _offer(dist, name), "run `imgctl build`")
        return _best(folder)
    built = sorted({path.parent for path in (dist / name).glob(f"*/{BUILD_FILE}")})
    if not built:
        raise BadInput(f"no image {name!r} in {dist}", _offer(dist, ""), "run `imgctl build`")
    pushed = [folder for folder in built if (folder / PUSH_FILE).is_file()]
    candidates = pushed or built
    if len(candidates) > 1:
        tags = ", ".join(folder.name for folder in candidates)
        raise BadInput(f"{name} is there for several releases", tags, f"write {name}:TAG")
    return _best(candidates[0])


def _best(folder: Path) -> Path:
    push = folder / PUSH_FILE
    return push if push.is_file() else folder / BUILD_FILE


def _offer(dist: Path, name: str) -> str:
    found = sorted(path.parent for path in (dist / name).glob(f"**/{BUILD_FILE}"))
    return "there are: " + ", ".join(":".join(path.parts[-2:]) for path in found) if found else ""


def _as_pushed(record: dict[str, Any], root: str, path: Path) -> dict[str, Any]:
    if not root:
        raise BadInput(
            f"{record.get('image', path)} is built but not pushed",
            "a manifest needs the repository it will be pulled from",
            "run `imgctl push`, or give --registry HOST (and --project)",
        )
    host, _, project = root.partition("/")
    repository = "/".join(
        part for part in (check_host(host), project, str(record["image"])) if part
    )
    return record | {"kind": "push", "repository": repository, "tags": [record["tag"]]}
