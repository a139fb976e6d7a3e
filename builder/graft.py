"""Putting layers that were built apart onto a base that was never pulled.

Only the base's manifest and config are needed: its layers are named in the new manifest exactly
as they are named in the base's, so every registry that has the base has them.
Spec: OCI image-spec v1.1, manifest.md and config.md; Docker image manifest v2 schema 2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard

from builder.dates import LAST_SECOND, timestamp
from builder.layer import Layer
from registry.errors import CorruptContent
from registry.oci import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    Document,
    Platform,
    canonical_json,
    sha256,
)
from registry.reference import is_digest

# What later steps read of a `config` object, and how the image spec has it; null is as good as
# nothing everywhere.
_TEXTS = ("User", "WorkingDir", "StopSignal")
_LISTS = ("Env", "Entrypoint", "Cmd", "Shell", "OnBuild")
_SETS = ("Labels", "ExposedPorts", "Volumes")


@dataclass(frozen=True)
class Step:
    """One instruction put on top of the base, as the image's history tells it.

    layer: the layer it made; None when it changed the config only.
    """

    created_by: str
    layer: Layer | None = None


@dataclass(frozen=True)
class BaseConfig:
    """An image config, checked: raw bytes as they came, and the parsed object."""

    raw: bytes
    value: Mapping[str, Any] = field(hash=False)

    @classmethod
    def parse(cls, raw: bytes, manifest: Document, name: str) -> BaseConfig:
        """Parse the config blob of a manifest; name is the image's, for errors.

        Raises CorruptContent when it is no config, or lists another number of layers than the
        manifest does (containerd refuses to unpack such an image).
        """
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise CorruptContent(f"the config of {name} is not JSON", str(error)[:120]) from error
        if not isinstance(value, dict):
            raise CorruptContent(f"the config of {name} is not a JSON object")
        rootfs = value.get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not _is_list_of(diff_ids, str):
            raise CorruptContent(f"the config of {name} lists no diff_ids")
        if len(diff_ids) != len(manifest.layers):
            raise CorruptContent(
                f"manifest and config of {name} do not belong together",
                f"{len(manifest.layers)} layers in the manifest, {len(diff_ids)} in the config",
            )
        for key in _malformed(value):
            raise CorruptContent(f"`{key}` in the config of {name} is not what it should be")
        return cls(raw, value)

    @property
    def platform(self) -> Platform:
        """What the image says it runs on."""
        return Platform.from_json(self.value)

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The digests of the uncompressed layers, base first."""
        return tuple(self.value["rootfs"]["diff_ids"])

    @property
    def created(self) -> int:
        """When the image says it was made, in seconds since 1970; 0 when it does not say."""
        text = str(self.value.get("created") or "")
        try:
            date = datetime.fromisoformat(text)
            seconds = int(date.replace(tzinfo=date.tzinfo or UTC).timestamp())
        except (ValueError, OverflowError):
            return 0
        return min(max(0, seconds), LAST_SECOND)

    @property
    def settings(self) -> dict[str, Any]:
        """The `config` object: Env, Cmd, Labels and so on; a copy."""
        return dict(self.value.get("config") or {})

    @property
    def history(self) -> list[Any]:
        """The history entries; a copy."""
        return list(self.value.get("history") or [])


@dataclass(frozen=True)
class Image:
    """A finished image's two documents; the layers are elsewhere."""

    manifest: Document
    config: bytes

    @property
    def config_descriptor(self) -> Descriptor:
        """The config's descriptor, as the manifest has it."""
        return self.manifest.config


def graft(
    base: Document,
    config: BaseConfig,
    settings: Mapping[str, Any],
    steps: Sequence[Step],
    created: int,
    annotations: Mapping[str, str],
) -> Image:
    """The image that has the base's layers, then those of the steps.

    settings: the complete `config` object of the new image. created: seconds since 1970.
    Every other field of the base's config is kept, known or not. The result is of the base's
    family of media types, because some engines refuse a mixture.
    """
    docker = base.is_docker
    layers = [step.layer for step in steps if step.layer is not None]
    value = dict(config.value)
    value["config"] = dict(settings)
    value["created"] = timestamp(created)
    value["rootfs"] = dict(config.value["rootfs"]) | {
        "diff_ids": [*config.diff_ids, *(layer.diff_id for layer in layers)]
    }
    value["history"] = [*config.history, *(_history(step, created) for step in steps)]
    raw = canonical_json(value)
    head = Descriptor(DOCKER_CONFIG if docker else OCI_CONFIG, sha256(raw), len(raw))
    kind = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": head.to_json(),
        "layers": [
            *(layer.to_json() for layer in base.layers),
            *(layer.descriptor(docker=docker).to_json() for layer in layers),
        ],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    return Image(Document.of(manifest, kind), raw)


def _malformed(config: Mapping[str, Any]) -> Iterator[str]:
    """The fields of an image config that are not of the type the spec gives them."""
    for digest in config["rootfs"]["diff_ids"]:
        if not is_digest(digest):
            yield f"rootfs.diff_ids: {digest[:80]!r}"
    if not _is_list_of(config.get("history") or [], dict):
        yield "history"
    settings = config.get("config") or {}
    if not isinstance(settings, dict):
        yield "config"
        return
    wrong = (
        *(key for key in _TEXTS if not isinstance(settings.get(key) or "", str)),
        *(key for key in _LISTS if not _is_list_of(settings.get(key) or [], str)),
        *(key for key in _SETS if not isinstance(settings.get(key) or {}, dict)),
    )
    yield from (f"config.{key}" for key in wrong)


def _is_list_of(value: Any, kind: type) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _history(step: Step, created: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"created": timestamp(created), "created_by": step.created_by}
    return entry if step.layer is not None else entry | {"empty_layer": True}
