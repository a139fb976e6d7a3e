"""What a recipe is made of. Everything is data; the Dockerfile templates turn it into steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A wheel taken by URL.

    file: the name pip must see, which the URL need not end in (box links carry none).
    sha256: of its content, None when nobody published it. status: `alive`, `likely` or `fragile`.
    no_deps: install without its declared dependencies. mirrors: other URLs of the same wheel.
    """

    name: str
    version: str
    url: str
    file: str
    sha256: str | None
    status: str
    source: str
    no_deps: bool = False
    mirrors: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Archive:
    """A tar.xz unpacked under /opt whose lib folder the loader must know.

    directory: the folder inside it.
    """

    name: str
    url: str
    file: str
    sha256: str
    directory: str


@dataclass(frozen=True)
class AptSource:
    """NVIDIA's apt suite for a line, to be written where the base has none, or another line's.

    line: the content of list_path. The key is ASCII-armoured (apt reads `.asc` as it is) and goes
    to keyring. host: lines of /etc/apt/sources.list that name it are to be removed first; apt
    refuses one suite with two keyrings.
    """

    suite: str
    line: str
    list_path: str
    keyring: str
    key_url: str
    key_sha256: str
    key_fingerprint: str
    host: str


@dataclass(frozen=True)
class PipStep:
    """One pip install. extra_index_url and find_links are empty where PyPI is enough."""

    packages: tuple[str, ...]
    extra_index_url: str = ""
    find_links: str = ""
    flags: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Installation:
    """A framework's own part of a recipe; fields as in Recipe."""

    version: str
    apt: tuple[str, ...]
    before: tuple[PipStep, ...]
    wheels: tuple[Wheel, ...]
    after: tuple[PipStep, ...]
    archives: tuple[Archive, ...] = ()
    symlinks: tuple[tuple[str, str], ...] = ()
    only_binary: bool = True
    torchvision_why: str = ""
    notes: tuple[str, ...] = ()
