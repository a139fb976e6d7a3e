"""What a CI job refuses: images that are not pinned, and a lock that says something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.pin.lock import Lock, key
from deploy.pin.plan import Place, is_skipped, parse_image


@dataclass(frozen=True)
class Problem:
    """place: `FILE:LINE`, or the lock file. image: as written there."""

    place: str
    image: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.image}: {self.message}"


def problems(places: Sequence[Place], skip: Sequence[str]) -> list[Problem]:
    """Every image without a digest. Raises BadInput for what is no image."""
    found = []
    for place in places:
        text = place.field.image
        if not is_skipped(text, skip) and parse_image(place).digest is None:
            found.append(Problem(str(place), text, "not pinned to a digest"))
    return found


def stale(places: Sequence[Place], lock: Lock, path: Path, skip: Sequence[str]) -> list[Problem]:
    """Where files differ from the lock: an image that it lacks, or has with another digest."""
    found = []
    for place in places:
        if is_skipped(place.field.image, skip):
            continue
        image = parse_image(place)
        name = key(image)
        entry = lock.get(name)
        if image.digest and image.tag and entry is None:
            found.append(Problem(str(place), name, f"not in {path}"))
        elif image.digest and image.tag and entry and entry.digest != image.digest:
            found.append(Problem(str(place), name, f"{path} has {entry.digest}"))
    return found


def unused(places: Sequence[Place], lock: Lock, path: Path, skip: Sequence[str]) -> list[Problem]:
    """What is locked and named by none of the places."""
    images = [parse_image(item) for item in places if not is_skipped(item.field.image, skip)]
    names = {key(image) for image in images}
    digests = {image.digest for image in images if not image.tag}
    return [
        Problem(str(path), name, "locked, and used nowhere")
        for name, entry in lock.items()
        if name not in names and entry.digest not in digests
    ]
