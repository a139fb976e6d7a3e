"""Which layers of an image go into a bundle, and what it says of those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from builder.graft import BaseConfig
from deploy.bundle.inventory import Inventory, chain_ids
from deploy.workload import check_platform
from registry.combined import Names
from registry.errors import BadInput
from registry.layout_index import REF_NAME
from registry.oci import Descriptor, Document
from registry.origin import Origin
from registry.reference import Reference, is_tag

SCHEMA = 1


@dataclass(frozen=True)
class Image:
    """An image to be delivered.

    reference: where pods pull it from, with digest. origins: where its blobs may be had.
    """

    reference: Reference
    manifest: Document
    config: BaseConfig
    origins: tuple[Origin, ...]


@dataclass(frozen=True)
class Layer:
    """A layer by its compressed blob and by what unpacking it makes."""

    descriptor: Descriptor
    diff_id: str
    chain_id: str
    carried: bool

    def to_json(self) -> dict[str, Any]:
        """As bundle.json has it; size in bytes."""
        return {
            "digest": self.descriptor.digest,
            "size": self.descriptor.size,
            "media_type": self.descriptor.media_type,
            "diff_id": self.diff_id,
            "chain_id": self.chain_id,
            "carried": self.carried,
        }


@dataclass(frozen=True)
class BundlePlan:
    """An image, its reference with a tag, and which of its layers are carried."""

    image: Image
    layers: tuple[Layer, ...]

    @property
    def carried(self) -> list[Descriptor]:
        """Config and carried layers, each once."""
        layers = (layer.descriptor for layer in self.layers if layer.carried)
        blobs = (self.image.manifest.config, *layers)
        return list({item.digest: item for item in blobs}.values())

    @property
    def left_out(self) -> list[Layer]:
        """The layers that the device must hold, lowest first."""
        return [layer for layer in self.layers if not layer.carried]

    @property
    def names(self) -> Names:
        """What the image is called on the device."""
        reference = self.image.reference
        tagged = f"{reference.name}:{reference.tag}"
        pinned = f"{reference.name}@{self.image.manifest.digest}"
        return Names(str(reference.tag), tagged, (tagged, pinned))

    def to_json(self) -> dict[str, Any]:
        """bundle.json: what the archive is, and what was left out of it."""
        manifest = self.image.manifest
        return {
            "schema": SCHEMA,
            "kind": "bundle",
            "image": self.names.docker,
            "pinned": self.names.containerd[1],
            "platform": str(self.image.config.platform),
            "manifest": manifest.descriptor.to_json(),
            "config": manifest.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }


def plan_bundle(image: Image, devices: Sequence[Inventory]) -> BundlePlan:
    """The plan to bring an image to devices with these inventories, what all hold left out.

    Raises Refused for another platform than a Jetson's, BadInput for an image that has no tag to be
    called by on the device.
    """
    check_platform(str(image.reference), image.config.platform)
    image = replace(image, reference=_named(image))
    diff_ids = image.config.diff_ids
    held = min((device.held(diff_ids) for device in devices), default=0)
    places = zip(image.manifest.layers, diff_ids, chain_ids(diff_ids), strict=True)
    layers = (Layer(*place, number >= held) for number, place in enumerate(places))
    return BundlePlan(image, tuple(layers))


def _named(image: Image) -> Reference:
    """The reference with tag and digest; our own builds carry their tag with them."""
    tag = image.reference.tag or image.manifest.annotations.get(REF_NAME, "")
    if not is_tag(tag):
        raise BadInput(
            f"{image.reference} has no tag",
            "Docker on the device calls an image by its tag",
            "name it as REPOSITORY:TAG or REPOSITORY:TAG@sha256:…",
        )
    return image.reference.with_tag(tag).with_digest(image.manifest.digest)
