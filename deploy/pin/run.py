"""From files to the changes that pin them, with nothing written yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from deploy.pin.edit import edited
from deploy.pin.files import Change, Source, read_source
from deploy.pin.find import Note, find_images
from deploy.pin.lock import Locked, read_lock, write_lock
from deploy.pin.plan import Ask, Place, Plan, Wishes, plan
from deploy.pin.rules import Rules
from registry.errors import BadInput


@dataclass(frozen=True)
class Found:
    """What is in the files: texts by path, every image field, and what was left alone."""

    sources: Mapping[Path, Source]
    places: tuple[Place, ...]
    notes: tuple[tuple[Path, Note], ...]


@dataclass(frozen=True)
class LockFile:
    """A lock file as it was read: text is None where there is none yet."""

    path: Path
    text: str | None
    images: Mapping[str, Locked]


@dataclass(frozen=True)
class Outcome:
    """The plan and the files it changes, the lock last."""

    plan: Plan
    changes: tuple[Change, ...]


def find(sources: Iterable[Source], rules: Rules) -> Found:
    """Look through every file; raises BadInput, with its line, at the first that is no YAML."""
    known: dict[Path, Source] = {}
    places: list[Place] = []
    notes: list[tuple[Path, Note]] = []
    for source in sources:
        try:
            fields, left = find_images(source.text, rules)
        except BadInput as error:
            where = f"{source.path}:{error.what}".rstrip(":")
            if error.hint:
                raise BadInput(f"{where}: {error.why}", "", error.hint) from error
            raise BadInput(
                f"{where}: not YAML",
                error.why,
                "correct the file, or leave it out with --exclude",
            ) from error
        known[source.path] = source
        places += [Place(source.path, field) for field in fields]
        notes += [(source.path, note) for note in left]
    return Found(known, tuple(places), tuple(notes))


def open_lock(path: Path) -> LockFile:
    """Read the lock file, if there is one; raises BadInput when it is something else."""
    if not path.exists():
        return LockFile(path, None, {})
    text = read_source(path).text
    return LockFile(path, text, read_lock(text, path))


def outcome(found: Found, lock: LockFile | None, wishes: Wishes, ask: Ask) -> Outcome:
    """Plan every place and make the texts; raises as plan does. lock: None keeps none."""
    decided = plan(found.places, lock.images if lock else {}, wishes, ask)
    changes = _edits(found, decided)
    if lock is not None and decided.lock != dict(lock.images):
        changes.append(Change(lock.path, lock.text, write_lock(decided.lock)))
    return Outcome(decided, tuple(changes))


def _edits(found: Found, decided: Plan) -> list[Change]:
    return [
        Change(path, text, edited(text, pins))
        for path, group in groupby(decided.pins, key=lambda pin: pin.place.path)
        for text, pins in [(found.sources[path].text, [pin for pin in group if pin.changed])]
        if pins
    ]
