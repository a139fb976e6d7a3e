"""Where a bundle's image and its layers come from: a build in dist/, or a registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.dist import Build
from builder.graft import BaseConfig
from builder.record import FILE_NAME
from deploy.bundle.plan import Image
from deploy.records import find_record, is_reference
from registry.client import RegistryClient
from registry.errors import BadInput, NotFound
from registry.layout import LayoutStore
from registry.oci import Platform
from registry.origin import Origin
from registry.reference import Reference

_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True)
class Source:
    """An image by the reference that pods pull.

    build: the one in dist/ it was made by, if any. pushed: whether it is in its registry.
    """

    reference: Reference
    build: Build | None = None
    pushed: bool = True

    def origins(self, client: RegistryClient) -> tuple[Origin, ...]:
        """Stores that hold its blobs: the build's folder, its repository, its base's."""
        own = Origin(client.repository(self.reference.host, self.reference.repository))
        if self.build is None:
            return (own,)
        base = frozenset(layer.digest for layer in self.build.record.layers(ours=False))
        places = [
            Origin(client.repository(str(item["host"]), str(item["repository"])), base)
            for item in self.build.record.value["base"]["sources"]
        ]
        return (Origin(LayoutStore(self.build.folder)), *places, *([own] if self.pushed else []))


def find_source(text: str, dist: Path, root: str = "") -> Source:
    """The image that NAME, NAME:TAG, a folder, a record or a reference means.

    root: `HOST/PROJECT` for a build that was not pushed. Raises BadInput.
    """
    if is_reference(text):
        return Source(Reference.parse(text))
    found = find_record(text, dist, root)
    image: Reference = found.arguments["image"]
    folder = found.path.parent if found.path else None
    built = folder is not None and (folder / FILE_NAME).is_file()
    build = Build.load(folder) if folder and built else None
    if build is not None and build.record.digest != image.digest:
        build = None  # built again since it was pushed: what was pushed is in the registry
    return Source(image, build, found.path is None or found.path.name != FILE_NAME)


def read_image(source: Source, client: RegistryClient) -> Image:
    """Manifest and config of an image, from the first place that has them.

    Of an index, a Jetson's image is taken. Raises NotFound when no place has it.
    """
    origins = source.origins(client)
    target = source.reference.target
    for origin in origins:
        if not origin.holds(target):
            continue
        try:
            manifest = origin.store.manifest(target)
        except NotFound:
            continue
        if manifest.is_index:
            manifest = origin.store.manifest(manifest.choose(Platform()).digest)
        raw = origin.store.blob_bytes(manifest.config)
        config = BaseConfig.parse(raw, manifest, str(source.reference))
        return Image(source.reference.with_digest(manifest.digest), manifest, config, origins)
    sought = " and in ".join(str(origin.store) for origin in origins if origin.holds(target))
    raise NotFound(f"{source.reference} is nowhere to be had", f"it is missing in {sought}")


def layers_of_base(image: Image, client: RegistryClient, source: Source) -> tuple[str, ...]:
    """The diff IDs of the layers that an image has from its base.

    As its build recorded them, else as the base that its annotations name has them. Raises BadInput
    when neither says anything.
    """
    if source.build is not None:
        layers = source.build.record.value["layers"]
        return tuple(str(layer["diff_id"]) for layer in layers if not layer["ours"])
    said = image.manifest.annotations
    if not said.get(_BASE_NAME) or not said.get(_BASE_DIGEST):
        raise BadInput(
            f"the base of {image.reference} is not known",
            "it has no annotations that name it",
            "name an image that the device holds: --holds REFERENCE",
        )
    base = Reference.parse(said[_BASE_NAME]).with_digest(said[_BASE_DIGEST])
    store = client.repository(base.host, base.repository)
    manifest = store.manifest(base.target)
    return BaseConfig.parse(store.blob_bytes(manifest.config), manifest, str(base)).diff_ids
