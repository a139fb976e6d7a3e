"""The image a command is about: by reference, or by the name of what was pushed from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.record import BuildRecord
    from registry.oci import Document
    from registry.reference import Reference
    from registry.store import Store


def reference_of(text: str, dist: Path) -> Reference:
    """What `HOST/REPOSITORY:TAG`, `…@sha256:…`, or a NAME or NAME:TAG pushed from dist/ names.

    The latter come pinned to the digest that was pushed. Raises BadInput when it is neither.
    """
    from deploy.records import find_record, is_reference
    from registry.reference import Reference

    if is_reference(text):
        return Reference.parse(text)
    found = find_record(text, dist).record
    reference = Reference.parse(f"{found['repository']}:{found['tags'][0]}")
    return reference.with_digest(str(found["digest"]))


def read_artifact(repository: Store, reference: Reference) -> Document:
    """The manifest or index a reference names: by its digest from here on, whatever tags do."""
    return repository.manifest(reference.target)


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
