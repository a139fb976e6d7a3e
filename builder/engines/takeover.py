"""From BuildKit's result to ours: its new layers, written again so that their bytes are stable.

BuildKit dates the folders and files it writes, and gives folders it had to make the owner of the
file. Its own `rewrite-timestamp` repairs the dates, but in Docker 26.1 it compresses the base's
layers anew as well, after which no registry recognises them. So the layers above the base are
written again here, and the base's are named as the base names them.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from builder.graft import BaseConfig, Step
from builder.layer import Entry, Kind, Layer, write_layer, write_layer_as_is
from builder.plan import BuildPlan
from builder.stage import is_linked, steps_of, with_labels
from registry.errors import CorruptContent, ImgctlError
from registry.layout import LayoutStore
from registry.oci import Document

_CHUNK = 1 << 20
# tarfile's types. Sparse and other vendors' types do not occur in layers.
_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}
# What a Dockerfile can change of an image's `config` object.
_SETTINGS = (
    "Env", "Cmd", "Entrypoint", "Labels", "User", "ExposedPorts", "Volumes", "WorkingDir",
    "StopSignal", "Shell", "Healthcheck", "OnBuild",
)  # fmt: skip


@dataclass(frozen=True)
class Export:
    """The single image in an OCI layout that BuildKit wrote."""

    store: LayoutStore
    manifest: Document
    config: BaseConfig

    @classmethod
    def open(cls, folder: Path) -> Export:
        """Open the layout; raises CorruptContent when it holds no single image."""
        store = LayoutStore(folder)
        entries = store.entries()
        if len(entries) != 1:
            raise CorruptContent(f"buildx wrote {len(entries)} images where one was asked for")
        manifest = store.manifest(entries[0].digest)
        if manifest.is_index:
            raise CorruptContent("buildx wrote an index where an image was asked for")
        raw = store.blob_bytes(manifest.config)
        return cls(store, manifest, BaseConfig.parse(raw, manifest, "what buildx wrote"))


def grafted_steps(plan: BuildPlan, export: Export, scratch: Path) -> list[Step]:
    """The steps of an image built on the stub, their layers as the direct engine writes them."""
    wanted = steps_of(plan.stage)
    made = sum(layered for _, layered in wanted)
    if len(export.manifest.layers) - 1 != made:
        raise ImgctlError(
            "buildx made other layers than the Dockerfile asks for",
            f"{len(export.manifest.layers) - 1} layers for {made} COPY instructions",
            "build with --engine direct, and report this",
        )
    layers = iter(_layers(export, 1, scratch, plan.created, [True] * made))
    return [Step(text, next(layers) if layered else None) for text, layered in wanted]


def full_steps(plan: BuildPlan, export: Export, scratch: Path) -> list[Step]:
    """The steps of an image built on the real base; dates are limited to the plan's, no more.

    Raises ImgctlError when the result does not stand on the plan's base.
    """
    base = plan.remote.config
    shared = len(base.diff_ids)
    if export.config.diff_ids[:shared] != base.diff_ids:
        raise ImgctlError(
            "buildx built on something else than the base in the plan",
            f"the layers are not those of {plan.remote.pinned}",
            "does the Dockerfile's last FROM name the base?",
        )
    history = export.config.history[len(base.history) :]
    layered = [not entry.get("empty_layer") for entry in history]
    if sum(layered) != len(export.manifest.layers) - shared:
        raise CorruptContent(
            "the history of what buildx built does not fit its layers",
            f"{sum(layered)} steps with a layer, {len(export.manifest.layers) - shared} layers",
        )
    linked = _linked(plan, len(history))
    marks = [mark for mark, layer in zip(linked, layered, strict=True) if layer]
    layers = iter(_layers(export, shared, scratch, plan.created, marks))
    return [
        Step(str(entry.get("created_by", "")), next(layers) if layer else None)
        for entry, layer in zip(history, layered, strict=True)
    ]


def _linked(plan: BuildPlan, length: int) -> list[bool]:
    """Which history entries are a `COPY --link`, whose folders say nothing of the base's."""
    if len(plan.stage) - 1 != length:
        return [False] * length
    return [is_linked(item) for item in plan.stage[1:]]


def settings_of(plan: BuildPlan, export: Export) -> dict[str, Any]:
    """The `config` object: the base's, with what BuildKit changed, and the plan's labels.

    Fields BuildKit does not know stay; its own marks (ArgsEscaped) are left out.
    """
    base = plan.remote.config.settings
    made = export.config.settings
    result = dict(base)
    for key in _SETTINGS:
        if (made.get(key) or None) == (base.get(key) or None):
            continue
        if made.get(key):
            result[key] = made[key]
        else:
            result.pop(key, None)
    return with_labels(result, plan.labels)


def keep_base_blobs(plan: BuildPlan, export: Export, store: LayoutStore) -> None:
    """Move the base's blobs that BuildKit exported as they are into our layout."""
    for layer in plan.remote.manifest.layers:
        exported = export.store.blob_path(layer.digest)
        if exported.is_file():
            exported.replace(store.blob_path(layer.digest))


def _layers(
    export: Export, first: int, scratch: Path, created: int, linked: Sequence[bool]
) -> Iterator[Layer]:
    """Write each layer from the first-th on again, one after another."""
    blobs = export.manifest.layers[first:]
    for number, (blob, alone) in enumerate(zip(blobs, linked, strict=True)):
        unpacked = scratch / f"layer-{number}.tar"
        _decompress(export.store.blob_path(blob.digest), unpacked)
        write = write_layer if alone else write_layer_as_is
        yield write(_entries(unpacked), scratch / f"layer-{number}", created)
        unpacked.unlink()


def _entries(path: Path) -> list[Entry]:
    with tarfile.open(path, "r:") as archive:
        return [_entry(path, info) for info in archive]


def _entry(path: Path, info: tarfile.TarInfo) -> Entry:
    kind = _KINDS.get(info.type)
    if kind is None:
        raise CorruptContent(f"a layer holds {info.name} of unknown type {info.type!r}")
    return Entry(
        path=info.name.strip("/").removeprefix("./"),
        mode=info.mode,
        uid=info.uid,
        gid=info.gid,
        kind=kind,
        size=info.size if kind == "file" else 0,
        link=info.linkname,
        open=(lambda: _window(path, info.offset_data, info.size)) if kind == "file" else None,
        pax={key: text for key, text in info.pax_headers.items() if key.startswith("SCHILY.")},
        mtime=int(info.mtime),
        device=(info.devmajor, info.devminor),
    )


@contextmanager
def _window(path: Path, offset: int, size: int) -> Iterator[BinaryIO]:
    """A part of a file, as a file."""
    with path.open("rb") as stream:
        stream.seek(offset)
        yield _Window(stream, size)  # type: ignore[misc]


class _Window:
    """The next `left` bytes of a stream; only what writing a layer asks for."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        self._stream = stream
        self._left = left

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(chunk)
        return chunk


def _decompress(blob: Path, target: Path) -> None:
    """Gunzip (BuildKit's layers are gzip unless asked otherwise); flat memory."""
    state = zlib.decompressobj(16 + zlib.MAX_WBITS)
    with blob.open("rb") as source, target.open("wb") as out:
        while chunk := source.read(_CHUNK):
            try:
                while chunk:
                    out.write(state.decompress(chunk, 4 * _CHUNK))
                    chunk = state.unconsumed_tail
            except zlib.error as error:
                raise CorruptContent("a layer buildx wrote is not gzip", str(error)) from error
        out.write(state.flush())
