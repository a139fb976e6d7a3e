"""An image as its registry describes it, so far as a manifest needs to know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deploy.workload import check_platform
from registry.errors import CorruptContent
from registry.oci import Platform
from registry.reference import Reference

if TYPE_CHECKING:
    from registry.client import RegistryClient


@dataclass(frozen=True)
class RemoteImage:
    """An image looked up: the reference with its digest, its config's labels, and its weight.

    annotations: of its manifest. size: bytes of all its layers as they are stored, compressed.
    """

    image: Reference
    labels: Mapping[str, str] = field(hash=False)
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


def look_up(client: RegistryClient, image: Reference) -> RemoteImage:
    """Find an image by tag or digest; of an index, the manifest for a Jetson.

    Raises Refused when it is not for linux/arm64, NotFound when it is not there, and RegistryError.
    """
    repository = client.repository(image.host, image.repository)
    document = repository.manifest(image.target)
    if document.is_index:
        document = repository.manifest(document.choose(Platform()).digest)
    config = _config(repository.blob_bytes(document.config))
    platform = Platform.from_json(config)
    check_platform(str(image), platform)
    labels = (config.get("config") or {}).get("Labels") or {}
    return RemoteImage(
        image.with_digest(image.digest or document.digest),
        {str(key): str(value) for key, value in labels.items()},
        sum(layer.size for layer in document.layers),
        document.annotations,
    )


def _config(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise CorruptContent("the image's config is not JSON", str(error)[:120]) from error
    if not isinstance(value, dict) or not isinstance(value.get("config") or {}, dict):
        raise CorruptContent("the image's config is not what the OCI image spec describes")
    return value
