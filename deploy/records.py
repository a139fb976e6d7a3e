"""Finding the record of what was pushed: by image name, by path, or by reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.workload import from_record, workload_name, workload_of
from registry.errors import BadInput
from registry.reference import Reference, check_host, is_digest

PUSH_FILE = "push.json"
BUILD_FILE = "build.json"
VERSION_LABEL = "org.opencontainers.image.version"
DESCRIPTION_LABEL = "org.opencontainers.image.description"


@dataclass(frozen=True)
class Found:
    """A record's keyword arguments for a Workload, the record, and where it lies (if a file)."""

    arguments: dict[str, Any]
    record: dict[str, Any]
    path: Path | None


def is_reference(text: str) -> bool:
    """Whether text names an image in a registry rather than one of ours in dist/."""
    if text.startswith((".", "/", "~")):  # as no reference does
        return False
    return "@" in text or ("/" in text and not Path(text).exists())


def find_record(text: str, dist: Path, repository_root: str = "") -> Found:
    """The record of `NAME`, `NAME:TAG`, a folder of dist/, or a record file.

    repository_root: `HOST/PROJECT` for a build that has no push record yet. Raises BadInput when
    there is none, or several to choose from.
    """
    path = _record_path(text, dist)
    if path.name == BUILD_FILE and not repository_root:
        path = _best(path.parent)
    record = read_record(path)
    if record.get("kind") == "build":
        record = _as_pushed(record, repository_root, path)
    return Found(from_record(record), record, path)


def loaded_name(text: str, dist: Path) -> str:
    """The name under which `imgctl build --load` loads a build that is not pushed; empty if it is.

    Raises BadInput as find_record does.
    """
    path = _record_path(text, dist)
    record = read_record(path)
    if record["kind"] != "build":
        return ""
    if not record.get("image") or not record.get("tag"):
        raise BadInput(f"{path} names no image", "", "build again")
    return f"{record['image']}:{record['tag']}"


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


def from_reference(
    image: Reference, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> dict[str, Any]:
    """Workload arguments for an image without a record here; `batch` only where it is known.

    labels: of the image's config. annotations: of its manifest. imgctl's own builds say there
    what they are and how they run.
    """
    known = workload_label(labels)
    return {
        "name": workload_name(image.repository.rsplit("/", 1)[-1]),
        "image": image,
        "version": labels.get(VERSION_LABEL, ""),
        "l4t": labels.get("io.imgctl.l4t", ""),
        "identity": _digest(annotations.get("io.imgctl.plan", "")),
        **(workload_of(known) if known else {}),
    }


def _digest(text: str) -> str:
    return text if is_digest(text) else ""


def workload_label(labels: Mapping[str, str]) -> dict[str, Any]:
    """What an image's label says of how it runs, as records have it: kind, gpus, host_network.

    Empty where there is none, or somebody else wrote it.
    """
    try:
        value = json.loads(labels.get("io.imgctl.workload", ""))
        if not isinstance(value, dict) or "kind" not in value:
            return {}
        workload_of(value)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return {}
    return value


def labels_of(found: Found) -> Mapping[str, str]:
    """The image's labels: a push record leaves them to the build record beside it."""
    labels = found.record.get("labels")
    beside = found.path.parent / BUILD_FILE if found.path else None
    if labels is None and beside and beside.is_file():
        labels = read_record(beside).get("labels")
    return labels if isinstance(labels, dict) else {}


def _record_path(text: str, dist: Path) -> Path:
    given = Path(text)
    if given.is_file():
        return given
    if given.is_dir():
        return _choose(given, given.name) if _builds(given) else _best(given)
    name, _, tag = text.partition(":")
    if not name or "/" in name or name in (".", ".."):
        raise BadInput(
            f"{text!r} is neither an image in {dist} nor a record", "", "name NAME:TAG or push.json"
        )
    if tag:
        folder = dist / name / tag
        if not (folder / BUILD_FILE).is_file() and not (folder / PUSH_FILE).is_file():
            raise BadInput(f"{text} is not in {dist}", _offer(dist, name), "run `imgctl build`")
        return _best(folder)
    if not _builds(dist / name):
        raise BadInput(f"no image {name!r} in {dist}", _offer(dist, ""), "run `imgctl build`")
    return _choose(dist / name, name)


def _builds(folder: Path) -> list[Path]:
    return sorted({path.parent for path in folder.glob(f"*/{BUILD_FILE}")})


def _choose(folder: Path, name: str) -> Path:
    built = _builds(folder)
    candidates = [item for item in built if (item / PUSH_FILE).is_file()] or built
    if len(candidates) > 1:
        tags = ", ".join(item.name for item in candidates)
        raise BadInput(f"{name} is there for several releases", tags, f"write {name}:TAG")
    return _best(candidates[0])


def _best(folder: Path) -> Path:
    push, build = folder / PUSH_FILE, folder / BUILD_FILE
    if not push.is_file():
        if not build.is_file():
            raise BadInput(f"{folder} holds no record", f"neither {PUSH_FILE} nor {BUILD_FILE}")
        return build
    # A record of an earlier push says nothing of the image that was built since.
    rebuilt = build.is_file() and read_record(build).get("digest") != read_record(push).get(
        "digest"
    )
    return build if rebuilt else push


def _offer(dist: Path, name: str) -> str:
    found = sorted(path.parent for path in (dist / name).glob(f"**/{BUILD_FILE}"))
    return "there are: " + ", ".join(":".join(path.parts[-2:]) for path in found) if found else ""


def _as_pushed(record: dict[str, Any], root: str, path: Path) -> dict[str, Any]:
    if not root:
        raise BadInput(
            f"{record.get('image', path)} is built but not pushed",
            "a manifest needs the repository it will be pulled from",
            "run `imgctl push`; `imgctl manifests` also takes --harbor HOST",
        )
    host, _, project = root.partition("/")
    repository = "/".join(
        part for part in (check_host(host), project, str(record["image"])) if part
    )
    return record | {"kind": "push", "repository": repository, "tags": [record["tag"]]}
