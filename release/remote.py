"""Images in a registry, read as far as a release needs: manifest, config, and what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.errors import CorruptContent
from registry.oci import Descriptor, Document, Platform
from registry.reference import Reference
from registry.store import Store
from registry.transfer import choose

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
CREATED = "org.opencontainers.image.created"
REVISION = "org.opencontainers.image.revision"
L4T = "io.imgctl.l4t"


@dataclass(frozen=True)
class RemoteImage:
    """One image of one platform: its manifest, and its config as parsed JSON."""

    reference: Reference
    manifest: Document
    config: Mapping[str, Any] = field(hash=False)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The config's `config`: environment, command, labels and so on."""
        value = self.config.get("config")
        return value if isinstance(value, dict) else {}

    @property
    def labels(self) -> Mapping[str, str]:
        """The image's labels."""
        value = self.settings.get("Labels")
        return value if isinstance(value, dict) else {}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The digest of each layer's tar, the lowest first."""
        rootfs = self.config.get("rootfs")
        value = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        return tuple(map(str, value)) if isinstance(value, list) else ()

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
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CorruptContent(f"the config of {reference} is not JSON", str(error)[:120]) from error
    if not isinstance(config, dict):
        raise CorruptContent(f"the config of {reference} is no object")
    image = RemoteImage(reference, manifest, config)
    if len(image.diff_ids) != len(image.layers):
        why = f"{len(image.layers)} layers in the manifest, {len(image.diff_ids)} in the config"
        raise CorruptContent(f"{reference} contradicts itself", why)
    return image
