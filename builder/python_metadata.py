"""What an installed Python package says of itself: name, version, licence, files.

Specs: core metadata 2.4 and recording installed projects (packaging.python.org/specifications).
"""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass
from email.errors import MessageError
from email.parser import BytesParser

# Trove classifiers that name one licence, as SPDX writes it; the others leave a version open.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}
# What authors write into the free field License and can mean only one thing.
_WORDS = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "hpnd": "HPND",
    "isc": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mpl-2.0": "MPL-2.0",
    "mpl-2.0 and mit": "MPL-2.0 AND MIT",
    "psf-2.0": "PSF-2.0",
}
_EXPRESSION = re.compile(r"[A-Za-z0-9.+()\- ]{1,300}")
_LONGEST = 200


@dataclass(frozen=True)
class Distribution:
    """license: an SPDX expression; empty where only `stated`, the author's words, is known."""

    name: str
    version: str
    license: str
    stated: str


def normalized(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_metadata(content: bytes) -> Distribution | None:
    """From a METADATA file; None when it names no package."""
    try:
        message = BytesParser().parsebytes(content, headersonly=True)
    except (MessageError, ValueError):
        return None
    name, version = str(message.get("Name") or ""), str(message.get("Version") or "")
    if not name or not version:
        return None
    expression = str(message.get("License-Expression") or "")
    stated = " ".join(str(message.get("License") or "").split())
    classifiers = [
        str(item).rpartition(" :: ")[2]
        for item in message.get_all("Classifier") or []
        if str(item).startswith("License ::")
    ]
    if not stated or stated == "UNKNOWN" or len(stated) > _LONGEST:
        # Some paste the whole licence in: its name is then in the classifiers, if anywhere.
        stated = ", ".join(classifiers)
    return Distribution(name, version, _license(expression, stated, classifiers), stated)


def read_record_paths(content: bytes, root: str) -> set[str]:
    """The files a RECORD lists, as paths from `/`; root: the folder its paths start from."""
    lines = content.decode("utf-8", "replace").splitlines()
    try:
        rows = [row for row in csv.reader(lines) if row]
    except csv.Error:
        return set()
    return {posixpath.normpath(posixpath.join("/", root, row[0])).lstrip("/") for row in rows}


def _license(expression: str, stated: str, classifiers: list[str]) -> str:
    if _EXPRESSION.fullmatch(expression):
        return expression
    if stated.lower() in _WORDS:
        return _WORDS[stated.lower()]
    named = {_CLASSIFIERS[item] for item in classifiers if item in _CLASSIFIERS}
    return named.pop() if len(named) == 1 and len(classifiers) == 1 else ""
