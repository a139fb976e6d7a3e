"""What every engine hands over: the image, written into an OCI layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from builder.graft import Image, Step, graft
from builder.layer import Layer
from builder.plan import BuildPlan
from registry.layout import LayoutStore
from registry.oci import Descriptor
from registry.progress import Progress


@dataclass(frozen=True)
class BuiltLayer:
    """A layer of the finished image; ours when it is not the base's."""

    descriptor: Descriptor
    diff_id: str
    ours: bool


@dataclass(frozen=True)
class BuiltImage:
    """A finished image in the layout at `path`, listed there under the plan's tag.

    sparse: whether blobs of the base are described but not present. wheels: the Python packages
    laid on the base, as {name, version, file, sha256}. timings: seconds by phase.
    """

    path: Path
    image: Image
    layers: tuple[BuiltLayer, ...]
    sparse: bool
    engine: str
    wheels: tuple[Mapping[str, str], ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict, hash=False)


class Engine(Protocol):
    """Builds plans."""

    @property
    def name(self) -> str:
        """As `--engine` and the record have it."""

    def build(self, plan: BuildPlan, into: Path, scratch: Path, progress: Progress) -> BuiltImage:
        """Build the plan into a new OCI layout at `into`, an empty or missing folder.

        scratch: an existing folder on the same file system, for what is needed on the way.
        Raises ImgctlError; what is then in either folder is of no use.
        """


def assemble(
    plan: BuildPlan,
    store: LayoutStore,
    settings: Mapping[str, Any],
    steps: Sequence[Step],
    engine: str,
    *,
    wheels: tuple[Mapping[str, str], ...] = (),
    timings: Mapping[str, float] | None = None,
) -> BuiltImage:
    """Graft the steps onto the plan's base and write the image into the layout.

    The steps' layers are moved into the layout from where they are; base blobs that are already
    in it stay, and decide whether the result is sparse.
    """
    base = plan.remote
    image = graft(base.manifest, base.config, settings, steps, plan.created, plan.all_annotations)
    ours = [step.layer for step in steps if step.layer is not None]
    for layer in ours:
        _move_in(store, layer)
    store.push_blob(image.config_descriptor, lambda: _once(image.config))
    store.put_manifest(image.manifest, plan.tag)
    descriptors = image.manifest.layers
    diff_ids = (*base.config.diff_ids, *(layer.diff_id for layer in ours))
    shared = len(base.manifest.layers)
    layers = tuple(
        BuiltLayer(descriptor, diff_id, ours=place >= shared)
        for place, (descriptor, diff_id) in enumerate(zip(descriptors, diff_ids, strict=True))
    )
    sparse = not all(store.blob_exists(layer.descriptor.digest) for layer in layers)
    return BuiltImage(store.path, image, layers, sparse, engine, wheels, timings or {})


def _move_in(store: LayoutStore, layer: Layer) -> None:
    target = store.blob_path(layer.digest)
    if layer.path.exists():
        layer.path.replace(target)
        target.chmod(0o644)


@contextmanager
def _once(data: bytes) -> Iterator[Iterator[bytes]]:
    yield iter((data,))
