"""What was added to a base, for the release page: from an attested SBOM, else read from layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry.oci import Descriptor
from registry.signing.claims import Claim
from registry.signing.statement import SPDX
from registry.store import Store
from release.layer_files import packages, read_layer
from release.report import Part

LARGEST_READ = 64 << 20  # bytes of a layer
MOST = 500  # rows on a page


def from_sbom(claims: Sequence[Claim]) -> list[Part] | None:
    """The parts an attached SPDX document lists; None when there is none."""
    for claim in claims:
        if claim.statement.predicate_type == SPDX:
            return _spdx_parts(claim.statement.predicate)
    return None


def from_layers(store: Store, layers: Sequence[Descriptor]) -> list[Part]:
    """The files and Python packages in layers, those too large to read left out."""
    files: dict[str, Part] = {}
    for layer in layers:
        if layer.size > LARGEST_READ:
            continue
        for entry in read_layer(store, layer):
            if entry.kind == "file":
                files[entry.path] = Part(entry.path, "file", sha256=entry.sha256)
    found = [Part(name, "package", version) for name, version in packages(iter(files)).items()]
    return (found + list(files.values()))[:MOST]


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
    return found[:MOST]


def _sha256(item: Mapping[str, Any]) -> str:
    for checksum in _objects(item.get("checksums")):
        if checksum.get("algorithm") == "SHA256":
            return str(checksum.get("checksumValue", ""))
    return ""


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
