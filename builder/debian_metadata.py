"""Which Debian packages a layer installed, read from what dpkg leaves behind.

Every package that dpkg unpacked has its file list written anew (`var/lib/dpkg/info/NAME.list`), so
those in our own layers are the ones that were added or replaced; the status file, which names the
base's packages as well, has their versions. Specs: deb-control(5), the machine-readable format
of debian/copyright 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

STATUS = "var/lib/dpkg/status"
_LIST = re.compile(r"var/lib/dpkg/info/([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?\.list")
_COPYRIGHT = re.compile(r"usr/share/doc/([a-z0-9][a-z0-9+.-]*)/copyright")
_LONGEST = 200


@dataclass(frozen=True)
class DebianPackage:
    """An installed package. distribution: `ubuntu` or `debian`. stated: the short names of its
    licences, as Debian writes them. paths: what its list names, without a leading slash."""

    name: str
    version: str
    architecture: str
    distribution: str
    stated: str
    paths: frozenset[str]


def is_debian_metadata(path: str) -> bool:
    """Whether a file is one that is read here."""
    return path == STATUS or bool(_LIST.fullmatch(path) or _COPYRIGHT.fullmatch(path))


def debian_packages(contents: Mapping[str, bytes]) -> list[DebianPackage]:
    """The packages whose lists are among these files, by path; the rest may be there or not."""
    status = read_status(contents.get(STATUS, b""))
    ubuntu = any("ubuntu" in item.get("Maintainer", "").lower() for item in status)
    by_name = {(item["Package"], item["Architecture"]): item for item in status}
    by_name |= {(item["Package"], ""): item for item in status}
    found = []
    for path, content in contents.items():
        match = _LIST.fullmatch(path)
        item = by_name.get((match[1], match[2] or "")) if match else None
        if item is None:
            continue
        listed = content.decode("utf-8", "backslashreplace").splitlines()
        about = contents.get(f"usr/share/doc/{item['Package']}/copyright", b"")
        found.append(
            DebianPackage(
                item["Package"],
                item["Version"],
                item["Architecture"],
                "ubuntu" if ubuntu else "debian",
                licences(about),
                frozenset({line.strip("/") for line in listed if line.strip("/")} | {path}),
            )
        )
    return found


def read_status(content: bytes) -> list[dict[str, str]]:
    """The installed packages of dpkg's status file, each with its fields; broken ones left out."""
    found = []
    for stanza in content.decode("utf-8", "replace").split("\n\n"):
        lines = (line.partition(":") for line in stanza.splitlines() if line[:1].isalpha())
        fields = {key: value.strip() for key, _, value in lines}
        named = all(fields.get(key) for key in ("Package", "Version", "Architecture"))
        if named and fields.get("Status", "").endswith(" installed"):
            found.append(fields)
    return found


def licences(content: bytes) -> str:
    """The short names in a machine-readable copyright file; empty for one in prose."""
    text = content.decode("utf-8", "replace")
    if not text.startswith("Format:"):
        return ""
    names = re.findall(r"^License:[ \t]*(\S[^\n]*)$", text, re.MULTILINE)
    return ", ".join(dict.fromkeys(name.strip() for name in names))[:_LONGEST]
