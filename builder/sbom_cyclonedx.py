"""An SBOM as CycloneDX 1.6 JSON. Spec: ECMA-424, https://cyclonedx.org/docs/1.6/json/."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from builder.sbom import AddedFile, Inventory, Package
from registry.signing.purl import image_purl


def cyclonedx(found: Inventory) -> dict[str, Any]:
    """The document. The same image gives the same document, its date and number included."""
    base = _base(found)
    image = _image(found, base)
    packages = [_package(package) for package in found.packages]
    files = [_file(file) for file in found.files]
    tool, _, version = found.tool.rpartition("-")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, found.digest)}",
        "version": 1,
        "metadata": {
            "timestamp": found.created,
            "tools": {
                "components": [{"type": "application", "name": tool, "version": version}],
            },
            "component": image,
        },
        "components": [base, *packages, *files],
        "dependencies": [
            {
                "ref": image["bom-ref"],
                "dependsOn": [base["bom-ref"], *(item["bom-ref"] for item in packages)],
            }
        ],
        # All that we added is here, and nothing of what the base holds.
        "compositions": [
            {"aggregate": "incomplete_first_party_only", "assemblies": [image["bom-ref"]]},
            {"aggregate": "unknown", "assemblies": [base["bom-ref"]]},
        ],
    }


def _image(found: Inventory, base: dict[str, Any]) -> dict[str, Any]:
    purl = image_purl(found.reference, found.digest, found.architecture)
    ancestor = {key: value for key, value in base.items() if key != "bom-ref"}
    value: dict[str, Any] = {
        "type": "container",
        "bom-ref": purl,
        "name": found.name,
        "version": found.version,
        "purl": purl,
        "hashes": _hashes(sha256=_hex(found.digest)),
        "pedigree": {"ancestors": [ancestor]},
    }
    if found.description:
        value["description"] = found.description
    return value | _licenses(found.license, "")


def _base(found: Inventory) -> dict[str, Any]:
    purl = image_purl(found.base, found.base_digest, found.architecture)
    return {
        "type": "container",
        "bom-ref": purl,
        "name": found.base.name,
        "version": found.base.tag or found.base_digest,
        "purl": purl,
        "hashes": _hashes(sha256=_hex(found.base_digest)),
    }


def _package(package: Package) -> dict[str, Any]:
    place = hashlib.sha256("\0".join(sorted(package.paths)).encode()).hexdigest()
    value: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{package.purl}#{place[:12]}",
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "evidence": {"occurrences": [{"location": f"/{path}"} for path in sorted(package.paths)]},
    }
    if package.sha256:
        value["hashes"] = _hashes(sha256=package.sha256)
    return value | _licenses(package.license, package.stated)


def _file(file: AddedFile) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": _file_ref(file.path),
        "name": f"/{file.path}",
        "hashes": _hashes(sha1=file.sha1, sha256=file.sha256),
    }


def _hashes(**values: str) -> list[dict[str, str]]:
    names = {"sha1": "SHA-1", "sha256": "SHA-256"}
    return [{"alg": names[key], "content": value} for key, value in values.items()]


def _licenses(expression: str, stated: str) -> dict[str, Any]:
    if expression:
        return {"licenses": [{"expression": expression, "acknowledgement": "declared"}]}
    if stated:
        named = {"name": stated, "acknowledgement": "declared"}
        return {"licenses": [{"license": named}]}
    return {}


def _file_ref(path: str) -> str:
    return f"file:/{path}"


def _hex(digest: str) -> str:
    return digest.partition(":")[2]
