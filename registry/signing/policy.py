"""What is asked of an image besides a good signature: its bases, builder, source and platform.

Facts come from SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance) that one of the trusted
keys has signed. Patterns are shell patterns (`*`, `?`), matched against the whole text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from registry.errors import BadInput
from registry.oci import Document, Platform
from registry.signing.purl import image_of
from registry.signing.statement import CYCLONEDX, PROVENANCE, SPDX, Statement

_REQUIRED = {
    "provenance": (PROVENANCE,),
    "sbom": (SPDX, CYCLONEDX),
    "spdx": (SPDX,),
    "cyclonedx": (CYCLONEDX,),
}
_BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True)
class Policy:
    """Rules; an empty one asks for nothing.

    bases: patterns for the images a build may stand on: `nvcr.io/nvidia/l4t-*`, with `:TAG` or
    `@sha256:…` where that matters, or a digest alone. builders: for the builder's id. sources:
    for the repository of the source code. platforms: of which the image must be one. require:
    what must be attested: provenance, sbom, spdx, cyclonedx.
    """

    bases: tuple[str, ...] = ()
    builders: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    require: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: Any, place: str) -> Policy:
        """From a mapping of lists of text, as a policy file holds it; raises BadInput."""
        names = [item.name for item in fields(cls)]
        if not isinstance(value, dict):
            raise BadInput(f"{place} is not a policy", f"it must hold {', '.join(names)}")
        rules: dict[str, tuple[str, ...]] = {}
        for key, listed in value.items():
            if key not in names:
                raise BadInput(f"{place} has the unknown rule {key!r}", f"{', '.join(names)}")
            items = [listed] if isinstance(listed, str) else listed
            # An empty list would read as "nothing is allowed" and mean "anything".
            if (
                not isinstance(items, list)
                or not items
                or not all(isinstance(item, str) and item for item in items)
            ):
                raise BadInput(f"`{key}` in {place} must be a list of texts", f"it is {listed!r}")
            rules[str(key)] = tuple(items)
        for item in rules.get("platforms", ()):
            Platform.parse(item)
        for item in rules.get("require", ()):
            if item not in _REQUIRED:
                allowed = ", ".join(_REQUIRED)
                raise BadInput(f"`require` in {place} has {item!r}", f"it may have {allowed}")
        return cls(**rules)

    @property
    def wants_provenance(self) -> bool:
        """Whether a rule needs provenance to be checked."""
        return bool(self.bases or self.builders or self.sources) or "provenance" in self.require

    def missing(self, attested: frozenset[str]) -> str:
        """What is required and not among the attested predicate types; empty when nothing is."""
        for item in self.require:
            if not attested.intersection(_REQUIRED[item]):
                return item
        return "provenance" if self.wants_provenance and PROVENANCE not in attested else ""

    def why_not_platform(self, offered: tuple[Platform, ...]) -> str:
        """Why none of the image's platforms will do; empty when one does."""
        wanted = [Platform.parse(item) for item in self.platforms]
        if not wanted or any(one.matches(other) for one in offered for other in wanted):
            return ""
        names = ", ".join(map(str, offered)) or "no platform it names"
        return f"it is for {names}, the policy wants {' or '.join(self.platforms)}"


NO_POLICY = Policy()
"""A good signature is enough."""


@dataclass(frozen=True)
class Provenance:
    """What a provenance statement says, as far as policies ask.

    images: what the build stood on, as texts that patterns are matched against, per image.
    sources: repositories of source code, without the commit.
    """

    builder: str
    images: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...]

    @classmethod
    def read(cls, statement: Statement) -> Provenance:
        """From a statement; what has another shape than SLSA's counts as not said."""
        definition = _mapping(statement.predicate.get("buildDefinition"))
        details = _mapping(statement.predicate.get("runDetails"))
        listed = definition.get("resolvedDependencies")
        images, sources = [], []
        for item in listed if isinstance(listed, list) else []:
            dependency = _mapping(item)
            uri = str(dependency.get("uri") or "")
            digests = _mapping(dependency.get("digest"))
            digest = f"sha256:{digests['sha256']}" if digests.get("sha256") else ""
            if uri.startswith(("pkg:oci/", "pkg:docker/")):
                images.append(_names(uri, digest))
            elif "gitCommit" in digests or uri.startswith("git+"):
                sources.append(_without_ref(uri))
        return cls(str(_mapping(details.get("builder")).get("id") or ""), tuple(images),
                   tuple(sources))  # fmt: skip

    def why_not(self, policy: Policy, document: Document) -> str:
        """Why the policy does not allow it; empty when it does."""
        stated = document.annotations.get(_BASE_DIGEST)
        if stated and self.images and all(stated not in names for names in self.images):
            return f"its provenance names another base than the image, which says {stated}"
        if policy.builders and not _any(policy.builders, (self.builder,)):
            return f"it was built by {self.builder or 'nobody named'}"
        if policy.bases and not self.images:
            return "its provenance names no base"
        for names in self.images:
            if policy.bases and not _any(policy.bases, names):
                return f"its base is {names[0]}"
        if policy.sources and not self.sources:
            return "its provenance names no source"
        for source in self.sources:
            if policy.sources and not _any(policy.sources, (source, source.removeprefix("git+"))):
                return f"its source is {source}"
        return ""


def _names(uri: str, digest: str) -> tuple[str, ...]:
    """All the ways to write an image that a pattern may be meant for, the fullest first."""
    image = image_of(uri, digest)
    if image is None:
        return (uri, digest) if digest else (uri,)
    tagged = f"{image.name}:{image.tag}" if image.tag else image.name
    pinned = (f"{image.name}@{digest}", digest) if digest else ()
    return (str(image), tagged, image.name, *pinned)


def _without_ref(uri: str) -> str:
    """`git+https://host/path@ref` without the ref; an `@` before the path is a user's."""
    scheme, separator, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority}{slash}{path.partition('@')[0]}"


def _any(patterns: tuple[str, ...], texts: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
