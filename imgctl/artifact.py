"""The image a command is about: by reference, or by the name of what was pushed from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.record import BuildRecord
    from registry.location import Location
    from registry.reference import Reference


def place_of(text: str, dist: Path) -> Location:
    """What `HOST/REPOSITORY:TAG`, `…@sha256:…`, `oci:DIR`, `oci-archive:FILE`, or a NAME or
    NAME:TAG pushed from dist/ names.

    The latter come pinned to the digest that was pushed. Raises BadInput when it is none of them.
    """
    from deploy.records import find_record, is_reference
    from registry.location import ARCHIVE, LAYOUT, Location

    if text.startswith((f"{LAYOUT}:", f"{ARCHIVE}:")) or is_reference(text):
        return Location.parse(text)
    found = find_record(text, dist).record
    return Location.parse(f"{found['repository']}:{found['tags'][0]}@{found['digest']}")


def reference_of(text: str, dist: Path) -> Reference:
    """The same where only a registry will do."""
    from registry.errors import BadInput

    place = place_of(text, dist)
    if place.reference is None:
        raise BadInput(f"{text} is in no registry", "", "name it as HOST/REPOSITORY:TAG")
    return place.reference


def build_of(digest: str, dist: Path) -> tuple[BuildRecord, Path]:
    """The record of the build in dist/ with this digest, and its folder; BadInput without one."""
    from builder.record import FILE_NAME, BuildRecord
    from registry.errors import BadInput, ImgctlError

    for path in sorted(dist.glob(f"*/*/{FILE_NAME}")):
        try:
            record = BuildRecord.load(path.parent)
        except ImgctlError:
            # A damaged neighbour is not what was asked for.
            continue
        if record.value.get("digest") == digest:
            return record, path.parent
    raise BadInput(
        f"{dist} holds no build of {digest}",
        "an attestation is made from the record of the build",
        "run it where the image was built, or name the folder of builds with --dist",
    )
