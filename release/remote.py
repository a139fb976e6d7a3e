"""Images in a registry, read as far as a release needs: manifest, config, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.graft import BaseConfig
from registry.oci import Descriptor, Document, Platform
from registry.reference import Reference
from registry.store import Store
from registry.transfer import choose

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
CREATED = "org.opencontainers.image.created"
REVISION = "org.opencontainers.image.revision"
VERSION = "org.opencontainers.image.version"
TAG = "org.opencontainers.image.ref.name"
L4T = "io.imgctl.l4t"


@dataclass(frozen=True)
class RemoteImage:
    """One image of one platform: its manifest and its config."""

    reference: Reference
    manifest: Document
    config: BaseConfig

    @property
    def settings(self) -> Mapping[str, Any]:
        """The config's `config`: environment, command, labels and so on."""
        return self.config.settings

    @property
    def labels(self) -> Mapping[str, str]:
        """The image's labels."""
        value = self.settings.get("Labels")
        return value if isinstance(value, dict) else {}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The digest of each layer's tar, the lowest first."""
        return self.config.diff_ids

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """Its layers, the lowest first."""
        return tuple(self.manifest.layers)

    @property
    def size(self) -> int:
        """Bytes of config and layers as they are stored."""
        return sum(blob.size for blob in self.manifest.blobs())


def read_image(store: Store, reference: Reference, platform: Platform) -> RemoteImage:
    """An image's manifest and config; raises NotFound, or CorruptContent for a broken config."""
    manifest = choose(store, reference.target, platform)
    raw = store.blob_bytes(manifest.config)
    return RemoteImage(reference, manifest, BaseConfig.parse(raw, manifest, str(reference)))
