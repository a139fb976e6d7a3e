"""An SBOM as SPDX 2.3 JSON. Spec: https://spdx.github.io/spdx-spec/v2.3/."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from builder.sbom import AddedFile, Inventory, Package
from registry.signing.purl import image_purl

_UNKNOWN = "NOASSERTION"
# Licences that are on no list: a document has to say of each that it knows no text.
_OWN_LICENSE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_IMAGE, _BASE = "SPDXRef-Image", "SPDXRef-Base"


def spdx(found: Inventory) -> dict[str, Any]:
    """The document. The same image gives the same document, its date included."""
    licenses = " ".join([found.license, *(package.license for package in found.packages)])
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{found.name}-{found.version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{found.name}-{_hex(found.digest)}",
        "creationInfo": {"created": found.created, "creators": [f"Tool: {found.tool}"]},
        "documentDescribes": [_IMAGE],
        "packages": [
            _image(found),
            _base(found),
            *(_package(package, found.files) for package in found.packages),
        ],
        "files": [_file(file) for file in found.files],
        "relationships": _relationships(found),
        "hasExtractedLicensingInfos": [
            {"licenseId": name, "extractedText": _UNKNOWN}
            for name in sorted(set(_OWN_LICENSE.findall(licenses)))
        ],
    }


def _image(found: Inventory) -> dict[str, Any]:
    purl = image_purl(found.reference, found.digest, found.architecture)
    value = {
        "SPDXID": _IMAGE,
        "name": found.name,
        "versionInfo": found.version,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": _UNKNOWN,
        **_analyzed(found.own_files),
        "licenseDeclared": found.license or _UNKNOWN,
        "licenseConcluded": _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "checksums": [{"algorithm": "SHA256", "checksumValue": _hex(found.digest)}],
        "externalRefs": [_purl(purl)],
    }
    return value | ({"description": found.description} if found.description else {})


def _base(found: Inventory) -> dict[str, Any]:
    return {
        "SPDXID": _BASE,
        "name": found.base.name,
        "versionInfo": found.base.tag or found.base_digest,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": _UNKNOWN,
        "filesAnalyzed": False,
        "licenseDeclared": _UNKNOWN,
        "licenseConcluded": _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "comment": "Named by its digest; what it holds is not listed here.",
        "checksums": [{"algorithm": "SHA256", "checksumValue": _hex(found.base_digest)}],
        "externalRefs": [_purl(image_purl(found.base, found.base_digest, found.architecture))],
    }


def _package(package: Package, files: Sequence[AddedFile]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "SPDXID": _package_id(package),
        "name": package.name,
        "versionInfo": package.version,
        "primaryPackagePurpose": "LIBRARY",
        "downloadLocation": _UNKNOWN,
        **_analyzed([file for file in files if file.path in package.paths]),
        "licenseDeclared": package.license or _UNKNOWN,
        "licenseConcluded": _UNKNOWN,
        "copyrightText": _UNKNOWN,
        "externalRefs": [_purl(package.purl)],
    }
    if package.stated and not package.license:
        value["licenseComments"] = f"The package says: {package.stated}"
    if package.sha256:
        value["packageFileName"] = package.file
        value["checksums"] = [{"algorithm": "SHA256", "checksumValue": package.sha256}]
    return value


def _file(file: AddedFile) -> dict[str, Any]:
    return {
        "SPDXID": _file_id(file.path),
        "fileName": f"./{file.path}",
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": file.sha1},
            {"algorithm": "SHA256", "checksumValue": file.sha256},
        ],
        "licenseConcluded": _UNKNOWN,
        "copyrightText": _UNKNOWN,
    }


def _relationships(found: Inventory) -> list[dict[str, str]]:
    pairs = [("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE), (_IMAGE, "DESCENDANT_OF", _BASE)]
    for package in found.packages:
        identity = _package_id(package)
        pairs.append((_IMAGE, "CONTAINS", identity))
        pairs += [(identity, "CONTAINS", _file_id(path)) for path in sorted(package.paths)]
    pairs += [(_IMAGE, "CONTAINS", _file_id(file.path)) for file in found.own_files]
    return [
        {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
        for one, kind, other in pairs
    ]


def _analyzed(files: Sequence[AddedFile]) -> dict[str, Any]:
    """Whether files are listed below a package, and the code that stands for all of them
    (clause 7.9: the SHA-1 of their sorted SHA-1s, one after the other)."""
    if not files:
        return {"filesAnalyzed": False}
    joined = "".join(sorted(file.sha1 for file in files)).encode()
    code = hashlib.sha1(joined, usedforsecurity=False).hexdigest()
    return {
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": code},
    }


def _purl(purl: str) -> dict[str, str]:
    return {
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": purl,
    }


def _package_id(package: Package) -> str:
    return f"SPDXRef-Package-{_short(package.purl, package.paths)}"


def _file_id(path: str) -> str:
    return f"SPDXRef-File-{_short(path)}"


def _short(text: str, paths: frozenset[str] = frozenset()) -> str:
    """A name for anything: identifiers may hold letters, digits, dots and dashes only."""
    content = "\0".join((text, *sorted(paths)))
    return hashlib.sha256(content.encode()).hexdigest()[:20]


def _hex(digest: str) -> str:
    return digest.partition(":")[2]
