"""Package URLs: how documents of the supply chain name images, wheels and repositories.

Spec: https://github.com/package-url/purl-spec, types oci, pypi and deb. The type oci keeps where
the image is in a qualifier.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote

from registry.errors import BadInput
from registry.reference import Reference


def image_purl(reference: Reference, digest: str, architecture: str = "") -> str:
    """`pkg:oci/l4t-base@sha256%3A…?repository_url=nvcr.io/nvidia/l4t-base&tag=r35.2.1`.

    digest: empty where it is not known.
    """
    name = reference.repository.rpartition("/")[2]
    version = f"@{quote(digest, safe='')}" if digest else ""
    qualifiers = {
        "arch": architecture,
        "repository_url": reference.name,
        "tag": reference.tag or "",
    }
    listed = "&".join(
        f"{key}={quote(value, safe='/')}" for key, value in qualifiers.items() if value
    )
    return f"pkg:oci/{name}{version}?{listed}"


def wheel_purl(name: str, version: str) -> str:
    """`pkg:pypi/numpy@1.24.4`; names are lower case with dashes."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    return f"pkg:pypi/{quote(plain, safe='')}@{quote(version, safe='')}"


def debian_purl(distribution: str, name: str, version: str, architecture: str) -> str:
    """`pkg:deb/ubuntu/curl@7.68.0-1ubuntu2?arch=arm64`."""
    return (
        f"pkg:deb/{distribution}/{quote(name, safe='')}@{quote(version, safe='')}"
        f"?arch={quote(architecture, safe='')}"
    )


def image_of(purl: str, digest: str) -> Reference | None:
    """The image a package URL names, pinned to digest if that is known; None when it names none.

    BuildKit's `pkg:docker/…` is read too.
    """
    head, _, query = purl.partition("?")
    qualifiers = {key: values[0] for key, values in parse_qs(query).items()}
    kind, _, rest = head.removeprefix("pkg:").partition("/")
    if not head.startswith("pkg:") or kind not in ("oci", "docker"):
        return None
    name, _, version = rest.partition("@")
    named = qualifiers.get("repository_url", name) if kind == "oci" else name
    tag = qualifiers.get("tag", "" if kind == "oci" else version)
    try:
        return Reference.parse(
            named + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
        )
    except BadInput:
        return None
