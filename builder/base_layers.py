"""Making a sparse build complete: the base's layers, from wherever they are."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from registry.errors import NotFound, RegistryError
from registry.files import check_room
from registry.layout import LayoutStore
from registry.oci import Descriptor
from registry.progress import Progress
from registry.store import Store
from registry.workers import Stopped, work


def fetch_layers(
    store: LayoutStore,
    layers: Iterable[Descriptor],
    sources: Sequence[Store],
    progress: Progress,
    concurrency: int = 4,
) -> None:
    """Fetch the layers a layout lacks, each from the first source that has it.

    Raises ImgctlError before anything is fetched when the disk is too small, NotFound when no
    source has a layer. Layers that came stay, so a second run goes on where this one ended.
    """
    missing = list(
        {item.digest: item for item in layers if not store.blob_exists(item.digest)}.values()
    )
    needed = sum(item.size for item in missing)
    hint = "free some space, or leave --full out: a push does not need it"
    check_room(store.path, needed, f"the base's layers do not fit into {store.path}", hint)
    stop = threading.Event()
    work(lambda item: _fetch(store, item, sources, progress, stop), missing, concurrency, stop)


@contextmanager
def open_anywhere(layer: Descriptor, sources: Sequence[Store]) -> Iterator[Iterator[bytes]]:
    """A layer's bytes from the first source that has it; raises NotFound when none does."""
    problems: list[str] = []
    with ExitStack() as stack:
        for source in sources:
            try:
                chunks = stack.enter_context(source.open_blob(layer))
            except RegistryError as error:
                problems.append(f"{source}: {error.what}")
                continue
            yield chunks
            return
    raise NotFound(
        f"layer {layer.digest} of the base is nowhere to be had",
        "; ".join(problems)[:300],
        "give a registry that has the base with --base-mirror",
    )


def _fetch(
    store: LayoutStore,
    layer: Descriptor,
    sources: Sequence[Store],
    progress: Progress,
    stop: threading.Event,
) -> None:
    @contextmanager
    def watched() -> Iterator[Iterator[bytes]]:
        with open_anywhere(layer, sources) as chunks:
            yield _counted(chunks, layer, progress, stop)

    progress.start(layer.digest, f"layer {layer.digest[7:19]}", layer.size)
    try:
        store.push_blob(layer, watched)
    finally:
        progress.finish(layer.digest)


def _counted(
    chunks: Iterator[bytes], layer: Descriptor, progress: Progress, stop: threading.Event
) -> Iterator[bytes]:
    for chunk in chunks:
        if stop.is_set():
            raise Stopped
        progress.advance(layer.digest, len(chunk))
        yield chunk
