"""A base as its registry has it: the manifest of the platform, and its config. Never its layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from builder.graft import BaseConfig
from registry.errors import (
    CorruptContent,
    NotFound,
    Refused,
    RegistryError,
    Unauthorized,
    Unreachable,
)
from registry.oci import Document, Platform
from registry.reference import Reference
from registry.store import Store

_HINTS: tuple[tuple[type[RegistryError], str], ...] = (
    (Unreachable, "--base-mirror HOST names another registry that has the base"),
    (Unauthorized, ""),
    (NotFound, "--base-mirror HOST names the registry; `imgctl l4t` lists NVIDIA's tags"),
    (CorruptContent, "the registry or a proxy before it is at fault; try another --base-mirror"),
)


@dataclass(frozen=True)
class RemoteBase:
    """A base read from its registry.

    reference: the base by its published name. source: where it was read, a mirror perhaps.
    manifest: the platform's own, never an index. store: the repository it lies in.
    """

    reference: Reference
    source: Reference
    platform: Platform
    manifest: Document
    store: Store

    @cached_property
    def config(self) -> BaseConfig:
        """The base's config, read on first use and checked against manifest and platform.

        Raises CorruptContent, and Refused when it is for another platform.
        """
        try:
            raw = self.store.blob_bytes(self.manifest.config)
            config = BaseConfig.parse(raw, self.manifest, str(self.source))
            if not config.platform.architecture:
                raise CorruptContent(f"the config of {self.source} names no architecture")
        except RegistryError as error:
            raise _explained(error, self.source) from error
        if not config.platform.matches(self.platform):
            raise Refused(
                f"{self.source} is for {config.platform}, not {self.platform}",
                "its config says so",
                f"name a registry that has the other, or build with --platform {config.platform}",
            )
        return config

    @property
    def pinned(self) -> str:
        """`HOST/REPOSITORY@sha256:…` at the place it was read from."""
        return f"{self.source.name}@{self.manifest.digest}"


def read_base(
    store: Store, reference: Reference, source: Reference, platform: Platform
) -> RemoteBase:
    """Read the manifest of a base for a platform.

    store: the repository `source` names. Raises RegistryError with a hint that fits bases;
    an index without the platform is NotFound and names those it has.
    """
    try:
        document = store.manifest(source.target)
        if document.is_index:
            entry = document.choose(platform)
            document = store.manifest(entry.digest)
            if document.is_index:
                raise CorruptContent(f"{source} is an index within an index")
    except RegistryError as error:
        raise _explained(error, source) from error
    return RemoteBase(reference, source, platform, document, store)


def _explained(error: RegistryError, source: Reference) -> RegistryError:
    """The same error, saying that it was the base that could not be read, and what helps then."""
    cause = error.what.removeprefix(f"cannot read {source}: ")
    why = ": ".join(part for part in (cause, error.why) if part)
    kind, ours = next(
        ((kind, hint) for kind, hint in _HINTS if isinstance(error, kind)), (RegistryError, "")
    )
    hint = "; ".join(part for part in (error.hint, ours) if part)
    return kind(f"cannot read the base {source}", why, hint, status=error.status)
