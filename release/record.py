"""The record of a release: which steps are done, so that an interrupted one goes on where it was.

`dist/IMAGE/VERSION.release.json`, written in one step after every outcome. While a release runs it
holds a lock beside it; a second one is told who has it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from semver import Version

from registry.errors import BadInput, CorruptContent, ImgctlError, Refused
from registry.files import replace_json

SCHEMA = 1
STEPS = ("build", "push", "sign", "attest", "tag", "manifests", "notes")
_REMOVE = "remove it; what is in the registry stays, and is found there"


@dataclass(frozen=True)
class ReleaseRecord:
    """What is known of a release. Times are RFC 3339.

    repository: `HOST/PATH`. revision: the commit, empty when unknown. done: outcome by step, each
    by L4T release: `done["push"]["r35.2.1"]`. finished: when the last step ended, empty before.
    bump: the part that was raised to get the version; empty when it was given.
    """

    image: str
    version: str
    repository: str
    releases: tuple[str, ...]
    revision: str = ""
    done: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    finished: str = ""
    bump: str = ""

    def is_of(self, other: ReleaseRecord) -> bool:
        """Whether both are of one image, place and set of L4T releases."""
        mine, theirs = ((item.image, item.repository, item.releases) for item in (self, other))
        return mine == theirs

    def outcome(self, step: str, l4t: str) -> Any | None:
        """What a step left for one L4T release; None when it is still to be done."""
        return self.done.get(step, {}).get(l4t)

    def with_outcome(self, step: str, l4t: str, outcome: Any) -> ReleaseRecord:
        """The record with one step more."""
        found = {**self.done, step: {**self.done.get(step, {}), l4t: outcome}}
        return replace(self, done=found)

    def to_json(self) -> dict[str, Any]:
        """As its JSON object, schema 1."""
        return {
            "schema": SCHEMA,
            "kind": "release",
            "image": self.image,
            "version": self.version,
            "repository": self.repository,
            "l4t": list(self.releases),
            "revision": self.revision,
            "bump": self.bump,
            "steps": {step: dict(self.done[step]) for step in STEPS if step in self.done},
            "finished": self.finished,
        }

    def save(self, path: Path) -> None:
        """Write the record in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_json(path, self.to_json())


def record_path(dist: Path, image: str, version: str) -> Path:
    """Where a release's record lies."""
    return dist / image / f"{version}.release.json"


def load_record(path: Path) -> ReleaseRecord | None:
    """The record at path, None when there is none; raises CorruptContent or BadInput."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorruptContent(f"{path} is not JSON", str(error)[:120], _REMOVE) from error
    if not isinstance(value, dict) or value.get("kind") != "release":
        raise CorruptContent(f"{path} is not the record of a release", "", _REMOVE)
    if value.get("schema") != SCHEMA:
        raise BadInput(f"{path} is of another version of imgctl")
    try:
        return ReleaseRecord(
            image=str(value["image"]),
            version=str(value["version"]),
            repository=str(value["repository"]),
            releases=tuple(map(str, value["l4t"])),
            revision=str(value.get("revision", "")),
            done={str(step): dict(by_l4t) for step, by_l4t in value.get("steps", {}).items()},
            finished=str(value.get("finished", "")),
            bump=str(value.get("bump", "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptContent(f"{path} is not a whole record of a release", "", _REMOVE) from error


def interrupted(dist: Path, wanted: ReleaseRecord) -> str | None:
    """The version of a release that was begun as wanted is and not finished; None without one.

    Only what the same part of the version was raised for, from the same commit, is gone on with.
    """
    found = []
    for path in sorted((dist / wanted.image).glob("*.release.json")):
        try:
            record = load_record(path)
        except (ImgctlError, OSError):
            continue  # a damaged one tells nothing; its own release says what is wrong
        if record is None or record.finished or not record.is_of(wanted):
            continue
        if (record.bump, record.revision) == (wanted.bump, wanted.revision):
            found.append(record.version)
    return max(found, key=Version.parse, default=None)


@contextmanager
def only_one(dist: Path, image: str) -> Iterator[None]:
    """Hold the right to release an image from this folder; raises Refused naming who has it.

    The lock ends with the process, however that ends.
    """
    path = dist / image / ".release.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            why = f"{holder} holds {path}"
            raise Refused(
                f"{image} is being released already", why, "wait for it to end"
            ) from error
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield
