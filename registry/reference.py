"""Image references, parsed as Docker parses them.

Grammar: https://pkg.go.dev/github.com/distribution/reference. The first path component is a
host only when it holds a dot or a colon or is `localhost`; otherwise the image is Docker Hub's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from registry.errors import BadInput

DEFAULT_HOST = "docker.io"

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(
    rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?", re.ASCII
)

_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
# Docker would take `localhost:5000` for an image of that name tagged 5000; nobody means that.
_HOST_ONLY = re.compile(r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|\[[0-9a-fA-F:]+\]):[0-9]+")


def is_digest(text: str) -> bool:
    """Whether text is a complete sha256 or sha512 digest."""
    return _DIGEST.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether text can be a tag (OCI distribution spec v1.1, at most 128 characters)."""
    return _TAG.fullmatch(text) is not None


def check_tag(text: str) -> str:
    """Return text if it can be a tag; raise BadInput otherwise."""
    if not is_tag(text):
        raise BadInput(
            f"{text!r} cannot be a tag",
            "a tag holds letters, digits, '_', '.' and '-', starts with none of '.-', at most 128",
        )
    return text


def check_repository(text: str) -> str:
    """Return text if it can be a repository name; raise BadInput otherwise."""
    if not _REPOSITORY.fullmatch(text) or len(text) > 255:
        upper = " (repository names are lower case)" if text != text.lower() else ""
        raise BadInput(f"{text!r} cannot be a repository name{upper}")
    return text


def check_host(text: str) -> str:
    """Return text if it is a registry host (`name`, `name:port`); raise BadInput otherwise."""
    if "://" in text:
        bare = text.split("://", 1)[1].split("/", 1)[0].rsplit("@", 1)[-1]
        # The text is not repeated: a URL may hold a password.
        raise BadInput(f"the registry host {bare!r} is given as a URL", "", f"write {bare!r}")
    if "@" in text:
        # The text is not repeated: what stands before the @ may be a password.
        hint = "write HOST or HOST:PORT; `imgctl login` keeps user name and password"
        raise BadInput("a registry host holds no '@'", "", hint)
    if not _HOST.fullmatch(text):
        raise BadInput(f"{text!r} is not a registry host", "", "write HOST or HOST:PORT")
    port = re.search(r":([0-9]+)$", text)
    if port is not None and not 1 <= int(port[1]) <= 65535:
        raise BadInput(f"{text!r} is not a registry host", f"there is no port {port[1]}")
    return text


def split_place(text: str) -> tuple[str, str]:
    """Host and path of `HOST[:PORT][/PATH]`, the path perhaps empty; raises BadInput."""
    host, _, path = text.strip().rstrip("/").partition("/")
    if "://" in text:
        host = text  # check_host says what is wrong with it
    return check_host(host), check_repository(path) if path else ""


@dataclass(frozen=True)
class Reference:
    """One image by name: host, repository, and a tag or a digest or both.

    host: registry host with its port if any, for example `nvcr.io` or `127.0.0.1:5000`.
    repository: path on that host, for example `nvidia/l4t-pytorch`.
    """

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse `[HOST/]REPOSITORY[:TAG][@DIGEST]`; neither tag nor digest is supplied.

        Raises BadInput for anything the grammar does not allow.
        """
        if "://" in text:
            authority, slash, path = text.split("://", 1)[1].partition("/")
            bare = authority.rsplit("@", 1)[-1] + slash + path
            raise BadInput("the image reference is given as a URL", "", f"write {bare!r}")
        name, at, digest = text.partition("@")
        if at and not is_digest(digest):
            raise _bad(text, f"{digest!r} is not a sha256 digest")
        if _IMAGE_ID.fullmatch(name):
            raise _bad(text, "it looks like an image ID, which names no repository")
        if _HOST_ONLY.fullmatch(name):
            raise _bad(text, "it names a host and no repository")
        tag = None
        if ":" in name.rsplit("/", 1)[-1]:
            name, _, tag = name.rpartition(":")
            if not is_tag(tag):
                raise _bad(text, f"{tag!r} is not a tag")
        host, repository = _split_host(name)
        if not _REPOSITORY.fullmatch(repository):
            raise _bad(text, "repository names are lower case" if name != name.lower() else "")
        if len(repository) > 255:
            raise BadInput(f"{text[:40]!r}… is not an image reference", "the name is too long")
        return cls(check_host(host), repository, tag, digest or None)

    @property
    def name(self) -> str:
        """`HOST/REPOSITORY`, without tag or digest."""
        return f"{self.host}/{self.repository}"

    @property
    def target(self) -> str:
        """What the manifest is asked for by: the digest if there is one, else the tag."""
        return self.digest or self.tag or "latest"

    def with_tag(self, tag: str) -> Reference:
        """The same repository at another tag, without a digest."""
        return replace(self, tag=check_tag(tag), digest=None)

    def with_digest(self, digest: str) -> Reference:
        """The same reference pinned to a digest (a tag is kept for the reader)."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def _bad(text: str, why: str) -> BadInput:
    shown = text if len(text) <= 300 else text[:300] + "…"
    return BadInput(f"{shown!r} is not an image reference", why, "write HOST/PROJECT/IMAGE:TAG")


def _split_host(name: str) -> tuple[str, str]:
    """Host and path as Docker tells them apart; Docker Hub's short names are written out."""
    first, slash, rest = name.partition("/")
    if not slash:
        return DEFAULT_HOST, f"library/{name}"
    if not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return DEFAULT_HOST, name
    if first in ("docker.io", "index.docker.io"):
        return DEFAULT_HOST, rest if "/" in rest else f"library/{rest}"
    return first, rest
