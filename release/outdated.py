"""Released images whose base has moved on: its tag has another digest, or its line a newer tag."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from builder.matrix import Matrix
from registry.errors import BadInput, ImgctlError
from registry.oci import Descriptor
from registry.reference import Reference
from release.listing import Released
from release.remote import BASE_DIGEST, BASE_NAME

Look = Callable[[Reference], Descriptor | None]
"""Finds what a base's tag names now; None when it is gone."""


@dataclass(frozen=True)
class Outdated:
    """A release and why it should be made again. hint: the command that does it."""

    release: Released
    why: str
    hint: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**self.release.to_json(), "why": self.why, "hint": self.hint}


def newest(releases: Iterable[Released]) -> list[Released]:
    """The highest version for each L4T release; the others have been replaced already."""
    found: dict[str, Released] = {}
    for item in releases:
        other = found.get(item.l4t)
        if not item.version.prerelease and (other is None or item.version > other.version):
            found[item.l4t] = item
    return list(found.values())


def outdated(releases: Iterable[Released], matrix: Matrix, look: Look) -> list[Outdated]:
    """Those of the releases whose base has moved on. Raises what look raises."""
    listed = list(releases)
    covered = {item.l4t for item in listed}
    return [found for item in listed if (found := _check(item, matrix, look, covered))]


def _check(item: Released, matrix: Matrix, look: Look, covered: set[str]) -> Outdated | None:
    name = item.image.labels.get(BASE_NAME, "")
    digest = item.image.labels.get(BASE_DIGEST, "")
    if not name or not digest:
        return Outdated(item, "it does not say what it was built on", "build and release it again")
    try:
        base = Reference.parse(name)
        now = look(Reference(base.host, base.repository, base.tag))
    except BadInput as error:
        return Outdated(item, f"its base {name!r} is no reference: {error}", "release it again")
    if now is None:
        return Outdated(item, f"its base {name} is gone", "keep a copy: imgctl base sync")
    if now.digest != digest:
        why = f"{name} was {digest}, now it is {now.digest}"
        return Outdated(item, why, f"imgctl rebase {item.image.reference}")
    return _newer_release(item, matrix, covered)


def _newer_release(item: Released, matrix: Matrix, covered: set[str]) -> Outdated | None:
    """A newer L4T release of the same line (r35), with a base of its own in the same family.

    covered: the L4T releases the image is released for already.
    """
    try:
        mine = matrix.release(item.l4t)
        base = Reference.parse(item.image.labels[BASE_NAME])
        family = next(
            family
            for family in matrix.families
            if base.repository == family.repository or base.repository.endswith("/" + family.name)
        )
    except (ImgctlError, StopIteration):
        # A base of the team's own, or a release the matrix does not know: nothing is newer.
        return None
    newer = [
        release
        for release in matrix.releases
        if release.major == mine.major
        and release.number > mine.number
        and any(tag.l4t == release.version for tag in family.tags)
    ]
    if not newer or newer[-1].name in covered:
        return None
    last = newer[-1]
    why = f"{family.name} has a base for {last.name}, of the same line"
    image = item.image.reference.repository.rpartition("/")[2]
    hint = f"imgctl release {image} --l4t {last.name}, for devices that run it"
    return Outdated(item, why, hint)
