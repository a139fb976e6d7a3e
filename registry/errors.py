"""Every error the tool raises on purpose.

    ImgctlError            exit 1   something outside us failed: network, engine, registry
    ├── BadInput           exit 2   the user's input is wrong
    ├── Refused            exit 3   a policy or a compatibility rule says no
    └── RegistryError      exit 1   a registry answered with an error, or not at all
        ├── Unreachable             no answer: name, connection, TLS, time
        ├── Unauthorized            credentials missing, wrong, or without the permission
        ├── NotFound                the repository, manifest or blob is not there
        ├── MissingBlobs            a manifest was refused for blobs the registry does not have
        └── CorruptContent          bytes that do not match their digest, size or format

An error says *what* went wrong, *why* or where, and what to do about it (*hint*): one line each.
"""

from __future__ import annotations

__all__ = [
    "BadInput",
    "CorruptContent",
    "ImgctlError",
    "MissingBlobs",
    "NotFound",
    "Refused",
    "RegistryError",
    "Unauthorized",
    "Unreachable",
]


class ImgctlError(Exception):
    """Base of all errors meant for a user's eyes.

    what: one line without a trailing period. why: the cause or the place. hint: the next step.
    """

    exit_code = 1

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return "; ".join(part for part in (self.what, self.why, self.hint) if part)


class BadInput(ImgctlError):
    """A definition, option, reference or file that cannot be used as it is."""

    exit_code = 2


class Refused(ImgctlError):
    """Understood, and not done: incompatible, immutable, gated."""

    exit_code = 3


class RegistryError(ImgctlError):
    """A registry refused or failed a request.

    status: the HTTP status, or None when there was no response.
    """

    def __init__(
        self, what: str, why: str = "", hint: str = "", *, status: int | None = None
    ) -> None:
        super().__init__(what, why, hint)
        self.status = status


class Unreachable(RegistryError):
    """No usable answer: name resolution, connection, TLS, or time ran out."""


class Unauthorized(RegistryError):
    """Credentials are missing or wrong, or do not carry the permission needed."""


class NotFound(RegistryError):
    """The project, repository, manifest, tag or blob does not exist there."""


class MissingBlobs(RegistryError):
    """A manifest was refused because blobs it names are not in its repository.

    digests: those the registry named; empty when it did not say.
    """

    def __init__(
        self,
        what: str,
        why: str = "",
        hint: str = "",
        *,
        status: int | None = None,
        digests: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, why, hint, status=status)
        self.digests = digests


class CorruptContent(RegistryError):
    """Content that does not match its digest, its length, or its own format."""
