"""Images of ours for `imgctl pin --image`: from push records, folders of them, or references."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deploy.pin.plan import Replacement
from deploy.records import PUSH_FILE, find_record, is_reference
from registry.errors import BadInput
from registry.reference import Reference


def replacements(texts: Iterable[str], dist: Path) -> tuple[Replacement, ...]:
    """What each `[NAME=]RECORD|FOLDER|REFERENCE` puts where NAME is.

    RECORD: a record file, or an image in dist as NAME or NAME:TAG. FOLDER: every push record below
    it. Without NAME it is the image's own. Raises BadInput, also when a name is given twice.
    """
    found: dict[str, Replacement] = {}
    for text in texts:
        name, equals, given = text.rpartition("=")
        if equals and not name:
            raise BadInput(f"--image {text!r} has no name before its '='", "", "write NAME=RECORD")
        for image in _images(given, dist):
            own = name or image.repository.rsplit("/", 1)[-1]
            other = found.setdefault(own, Replacement(own, image))
            if other.image != image:
                raise BadInput(
                    f"{own} is given twice",
                    f"{other.image} and {image}",
                    f"say which by --image {own}=RECORD",
                )
    return tuple(found.values())


def _images(given: str, dist: Path) -> list[Reference]:
    folder = Path(given)
    # A name below a folder that is there is a path with a slip, not an image of Docker Hub.
    if is_reference(given) and ("@" in given or not folder.parent.is_dir()):
        return [Reference.parse(given)]
    if folder.is_dir() and not any(folder.glob("*.json")):
        records = sorted(folder.glob(f"**/{PUSH_FILE}"))
        if not records:
            raise BadInput(f"nothing in {folder} was pushed", "", "run `imgctl push`")
        return [_of_record(str(path), dist) for path in records]
    return [_of_record(given, dist)]


def _of_record(text: str, dist: Path) -> Reference:
    image: Reference = find_record(text, dist).arguments["image"]
    return image
