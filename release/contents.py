"""What was added to a base, for the release page: from an attested SBOM, else read from layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.errors import CorruptContent
from registry.oci import Descriptor
from registry.signing.statement import SPDX, Statement
from registry.store import Store
from release.layer_files import packages, read_layer
from release.report import Part

LARGEST_READ = 64 << 20  # bytes of a layer


def from_sbom(statements: Iterable[Statement]) -> list[Part] | None:
    """The parts an attested SPDX document lists; None when there is none."""
    for statement in statements:
        if statement.predicate_type == SPDX:
            return _spdx_parts(statement.predicate)
    return None


def from_layers(store: Store, layers: Sequence[Descriptor]) -> tuple[list[Part], int]:
    """The files and Python packages in layers; and how many layers could not be looked into.

    Those are the ones that are too large to be read for a page, and what is no tar.
    """
    files: dict[str, Part] = {}
    unread = 0
    for layer in layers:
        try:
            entries = read_layer(store, layer) if layer.size <= LARGEST_READ else None
        except CorruptContent:
            entries = None
        if entries is None:
            unread += 1
            continue
        for entry in entries:
            if entry.kind == "file":
                files[entry.path] = Part(entry.path, "file", sha256=entry.sha256)
    found = [Part(name, "package", version) for name, version in packages(iter(files)).items()]
    return found + list(files.values()), unread


def _spdx_parts(document: Mapping[str, Any]) -> list[Part]:
    found = []
    for item in _objects(document.get("packages")):
        if item.get("primaryPackagePurpose") != "CONTAINER":
            declared = str(item.get("licenseDeclared", ""))
            found.append(
                Part(
                    str(item.get("name", "")),
                    "package",
                    str(item.get("versionInfo", "")),
                    "" if declared == "NOASSERTION" else declared,
                    _sha256(item),
                )
            )
    for item in _objects(document.get("files")):
        name = str(item.get("fileName", "")).removeprefix("./")
        found.append(Part(name, "file", sha256=_sha256(item)))
    return found


def _sha256(item: Mapping[str, Any]) -> str:
    for checksum in _objects(item.get("checksums")):
        if checksum.get("algorithm") == "SHA256":
            return str(checksum.get("checksumValue", ""))
    return ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
