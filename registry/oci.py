"""OCI and Docker image documents: descriptors, manifests, indexes, configs.

Documents are kept as the raw bytes they came in, because their digest is over those bytes;
what is parsed from them is a view. Specs: OCI image-spec v1.1, Docker image manifest v2 schema 2.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from registry.errors import BadInput, CorruptContent, NotFound
from registry.reference import is_digest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)
ACCEPT = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))


def sha256(data: bytes) -> str:
    """The digest of data, as `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(data: bytes, like: str) -> str:
    """The digest of data by the algorithm of another digest, such as `sha512:…`."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def canonical_json(value: Any) -> bytes:
    """JSON bytes that depend on nothing but the value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# As uname and Debian call them.
_ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64", "i386": "386"}


@dataclass(frozen=True)
class Platform:
    """An operating system and processor, as `linux/arm64` or `linux/arm/v7`."""

    os: str = "linux"
    architecture: str = "arm64"
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse `os/arch[/variant]`, other names of a processor included; raises BadInput.

        arm64/v8 is arm64, so that two spellings do not make two builds.
        """
        parts = text.lower().split("/")
        if not 2 <= len(parts) <= 3 or not all(parts):
            raise BadInput(f"{text!r} is not a platform", "", "write OS/ARCH, like linux/arm64")
        parts[1] = _ARCHITECTURES.get(parts[1], parts[1])
        return cls(*(parts[:2] if parts[1:] == ["arm64", "v8"] else parts))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Platform:
        """From a descriptor's `platform` or the top of an image config."""
        return cls(
            str(value.get("os", "")),
            str(value.get("architecture", "")),
            str(value.get("variant") or ""),
        )

    def matches(self, wanted: Platform) -> bool:
        """Whether an image for this platform serves `wanted`.

        arm64 and arm64/v8 are the same processor, and a variant not asked for does not matter.
        """
        if (self.os, self.architecture) != (wanted.os, wanted.architecture):
            return False
        default = "v8" if self.architecture == "arm64" else ""
        return not wanted.variant or (self.variant or default) == (wanted.variant or default)

    def to_json(self) -> dict[str, str]:
        """As a descriptor's `platform`."""
        value = {"architecture": self.architecture, "os": self.os}
        return value | {"variant": self.variant} if self.variant else value

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True)
class Descriptor:
    """What a document says of a blob or manifest: type, digest, size in bytes.

    extra: every field besides (urls, platform, annotations, artifactType …), kept verbatim.
    """

    media_type: str
    digest: str
    size: int
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def from_json(cls, value: Any) -> Descriptor:
        """From its JSON object; raises CorruptContent when it is not a descriptor."""
        if not isinstance(value, dict):
            raise CorruptContent("a descriptor in the manifest is not an object", repr(value)[:80])
        digest, size = value.get("digest"), value.get("size")
        if not isinstance(digest, str) or not is_digest(digest):
            raise CorruptContent("a descriptor in the manifest has no valid digest", repr(digest))
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise CorruptContent(f"descriptor {digest} has no valid size", repr(size))
        known = {"mediaType", "digest", "size"}
        extra = {key: item for key, item in value.items() if key not in known}
        return cls(str(value.get("mediaType", "")), digest, size, extra)

    def to_json(self) -> dict[str, Any]:
        """As its JSON object, every field it came with included."""
        head = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return head | dict(self.extra)

    @property
    def platform(self) -> Platform | None:
        """The platform an index gives for this manifest, if any."""
        value = self.extra.get("platform")
        return Platform.from_json(value) if isinstance(value, dict) else None

    @property
    def annotations(self) -> dict[str, str]:
        """The descriptor's annotations."""
        return _strings(self.extra.get("annotations"))

    @property
    def is_foreign(self) -> bool:
        """Whether the blob is served from elsewhere by `urls` and is not uploaded."""
        return bool(self.extra.get("urls")) and (
            "foreign" in self.media_type or "nondistributable" in self.media_type
        )


def platform_of(config: bytes, place: str) -> Platform:
    """The platform an image's config names; raises CorruptContent naming place."""
    try:
        value = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise CorruptContent(f"the config in {place} is not JSON", str(error)[:120]) from error
    if not isinstance(value, dict):
        raise CorruptContent(f"the config in {place} is no object")
    return Platform.from_json(value)


@contextmanager
def read_from(place: str) -> Iterator[None]:
    """Say where a document was found, should it turn out not to be one."""
    try:
        yield
    except CorruptContent as error:
        error.why = f"{place}: {error.why}" if error.why else place
        raise


@dataclass(frozen=True)
class Document:
    """A manifest or an index: raw bytes, their media type, and a parsed view of them."""

    raw: bytes
    media_type: str

    @classmethod
    def of(cls, value: Mapping[str, Any], media_type: str) -> Document:
        """A document we write ourselves, in canonical JSON."""
        return cls(canonical_json(value), media_type)

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "") -> Document:
        """Check that raw is a manifest or index; media_type is the server's word for it, if any.

        Raises CorruptContent.
        """
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise CorruptContent("the manifest is not JSON", str(error)[:120]) from error
        if not isinstance(value, dict):
            raise CorruptContent("the manifest is not a JSON object")
        stated = value.get("mediaType")
        kind = stated if isinstance(stated, str) and stated else media_type.split(";")[0].strip()
        document = cls(raw, _kind(value, kind))
        if stated in MANIFEST_TYPES + INDEX_TYPES and stated != document.media_type:
            raise CorruptContent(f"the document says it is {stated}, and has another's fields")
        _ = document.manifests, document.layers, document.subject
        if not document.is_index:
            _ = document.config
        return document

    @cached_property
    def value(self) -> dict[str, Any]:
        """The parsed JSON object; do not change it."""
        parsed: dict[str, Any] = json.loads(self.raw)
        return parsed

    @cached_property
    def digest(self) -> str:
        """The digest of the raw bytes."""
        return sha256(self.raw)

    @property
    def is_index(self) -> bool:
        """Whether this lists manifests instead of layers."""
        return self.media_type in INDEX_TYPES

    @property
    def is_docker(self) -> bool:
        """Whether the document is of Docker's family of media types."""
        return self.media_type in (DOCKER_MANIFEST, DOCKER_INDEX)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of this document itself."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    @cached_property
    def manifests(self) -> tuple[Descriptor, ...]:
        """The manifests an index lists; empty for a manifest."""
        return _descriptors(self.value, "manifests") if self.is_index else ()

    @cached_property
    def config(self) -> Descriptor:
        """A manifest's config; raises CorruptContent when there is none."""
        return Descriptor.from_json(self.value.get("config"))

    @cached_property
    def layers(self) -> tuple[Descriptor, ...]:
        """A manifest's layers, base first."""
        return () if self.is_index else _descriptors(self.value, "layers")

    @property
    def subject(self) -> Descriptor | None:
        """The manifest this one refers to (referrers, spec v1.1)."""
        value = self.value.get("subject")
        return None if value is None else Descriptor.from_json(value)

    @property
    def annotations(self) -> dict[str, str]:
        """The document's annotations."""
        return _strings(self.value.get("annotations"))

    def blobs(self) -> tuple[Descriptor, ...]:
        """Every blob a manifest needs, each digest once: config first, then layers.

        Raises CorruptContent when it states two sizes of one blob.
        """
        if self.is_index:
            return ()
        unique: dict[str, Descriptor] = {}
        for descriptor in (self.config, *self.layers):
            known = unique.setdefault(descriptor.digest, descriptor)
            if known.size != descriptor.size:
                raise CorruptContent(
                    f"the manifest {self.digest} states two sizes of one blob",
                    f"{known.digest} cannot have {known.size} and {descriptor.size} bytes",
                )
        return tuple(unique.values())

    def choose(self, wanted: Platform) -> Descriptor:
        """The index entry for a platform; raises NotFound naming the ones there are."""
        offered = [
            item
            for item in self.manifests
            if "vnd.docker.reference.type" not in item.annotations
            and (item.platform is None or item.platform.architecture != "unknown")
        ]
        for item in offered:
            if item.platform is not None and item.platform.matches(wanted):
                return item
        names = ", ".join(sorted({str(item.platform) for item in offered if item.platform}))
        raise NotFound(
            f"the image has no {wanted} variant", f"it is for: {names or 'no platform it names'}"
        )


def _descriptors(value: Mapping[str, Any], name: str) -> tuple[Descriptor, ...]:
    items = value.get(name)
    if items is None:
        return ()
    if not isinstance(items, list):
        raise CorruptContent(f"the document's `{name}` is not a list")
    return tuple(Descriptor.from_json(item) for item in items)


def _strings(value: Any) -> dict[str, str]:
    items = value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in items if isinstance(item, str)}


def _kind(value: Mapping[str, Any], stated: str) -> str:
    """The media type of a document. Shape wins over what was stated in doubt: old documents leave
    mediaType out, and proxies make up a Content-Type."""
    listing = "manifests" in value
    single = "config" in value or "layers" in value
    if listing and single:
        # Two readers could see two images in it (CVE-2021-41190).
        raise CorruptContent("the document is both a manifest and an index")
    if stated in INDEX_TYPES and not single:
        return stated
    if stated in MANIFEST_TYPES and not listing:
        return stated
    if listing:
        return OCI_INDEX
    if single:
        return OCI_MANIFEST
    if value.get("schemaVersion") == 1:
        raise CorruptContent(
            "the image is in Docker's schema 1, which no current tool reads",
            "",
            "push it again with a current Docker",
        )
    raise CorruptContent("the document is neither a manifest nor an index", stated[:120])
