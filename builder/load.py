"""Putting a build into the local Docker engine: one archive, streamed, never on disk.

The archive is an OCI layout and a `docker save` archive in one, so both of Docker's image stores
take it. When the engine has the base already, its layers are left out. `docker load` may say
"loaded" without having done it, so the result is looked at afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from builder.base_layers import open_anywhere
from builder.record import BuildRecord
from registry.combined import Names, combined_archive
from registry.errors import ImgctlError, Unreachable
from registry.layout import LayoutStore
from registry.oci import Descriptor
from registry.progress import Progress, counted
from registry.store import Store


@dataclass(frozen=True)
class Blob:
    """A blob and the stores it may be had from, the layout first."""

    descriptor: Descriptor
    sources: tuple[Store, ...]

    def open(self) -> AbstractContextManager[Iterator[bytes]]:
        """Its bytes in chunks."""
        return open_anywhere(self.descriptor, self.sources)


def load_image(
    record: BuildRecord,
    store: LayoutStore,
    sources: Sequence[Store],
    environment: Mapping[str, str],
    progress: Progress,
) -> str:
    """Load a build under its name; returns the name.

    sources: repositories with the base's layers. environment: DOCKER_HOST and its kin.
    Raises Unreachable when there is no engine, ImgctlError when it did not take the image.
    """
    import docker

    client = _client(environment)
    try:
        client.ping()
        wanted = [str(layer["diff_id"]) for layer in record.value["layers"]]
        shared = [str(layer["diff_id"]) for layer in record.value["layers"] if not layer["ours"]]
        attempts = [True, False] if _has_base(client, shared) else [False]
        for without_base in attempts:
            _send(client, record, store, sources, progress, without_base=without_base)
            if _loaded(client, record, wanted):
                return record.name
    except (docker.errors.DockerException, OSError) as error:
        # A daemon that ends midway is an error of requests, which are OSErrors.
        raise Unreachable(
            "the Docker engine does not take the image", _cause(error), "`imgctl doctor`"
        ) from error
    finally:
        client.close()
    raise ImgctlError(
        f"Docker said it loaded {record.name}, but does not have it",
        "the layers it shows are not the image's",
        "look at the Docker daemon's log",
    )


def archive(record: BuildRecord, store: LayoutStore, blobs: Iterable[Blob]) -> Iterator[bytes]:
    """The archive's bytes. blobs: all that go in besides the manifest."""
    names = Names(
        tag=str(record.value["tag"]),
        docker=record.name,
        containerd=(f"docker.io/library/{record.name}",),
    )
    contents = ((blob.descriptor, blob.open) for blob in blobs)
    return combined_archive(store.manifest(record.digest), names, contents)


def _send(
    client: Any,
    record: BuildRecord,
    store: LayoutStore,
    sources: Sequence[Store],
    progress: Progress,
    *,
    without_base: bool,
) -> None:
    manifest = store.manifest(record.digest)
    ours = {layer.digest for layer in record.layers(ours=True)}
    blobs = [
        Blob(item, (store, *sources))
        for item in manifest.blobs()
        if not without_base or item == manifest.config or item.digest in ours
    ]
    total = sum(blob.descriptor.size for blob in blobs)
    progress.start("load", f"{record.name} to Docker", total)
    try:
        stream = counted(archive(record, store, blobs), "load", progress)
        for answer in client.api.load_image(stream):
            if isinstance(answer, dict) and answer.get("error") and not without_base:
                raise ImgctlError("Docker did not load the image", str(answer["error"])[:300])
    finally:
        progress.finish("load")


def _client(environment: Mapping[str, str]) -> Any:
    """A client for the engine that DOCKER_HOST or Docker's current context names."""
    import docker
    from docker.context import ContextAPI

    try:
        if environment.get("DOCKER_HOST"):
            return docker.from_env(environment=dict(environment), timeout=600)
        context = ContextAPI.get_current_context()
        return docker.DockerClient(base_url=context.Host if context else None, timeout=600)
    except docker.errors.DockerException as error:
        where = environment.get("DOCKER_HOST") or "its usual socket"
        raise Unreachable(
            "the Docker engine does not answer",
            f"{where}: {_cause(error)}",
            "start it; `imgctl doctor`",
        ) from error


def _cause(error: BaseException) -> str:
    """The innermost reason in words: docker wraps requests wraps urllib3 wraps the system's."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)[:200]


def _has_base(client: Any, diff_ids: Sequence[str]) -> bool:
    """Whether some image in the engine begins with these layers."""
    for image in client.api.images(quiet=True):
        layers = _layers(client, image)
        if layers[: len(diff_ids)] == list(diff_ids):
            return True
    return False


def _loaded(client: Any, record: BuildRecord, diff_ids: Sequence[str]) -> bool:
    return _layers(client, record.name) == list(diff_ids)


def _layers(client: Any, name: str) -> list[str]:
    import docker

    try:
        return list(client.api.inspect_image(name)["RootFS"].get("Layers") or [])
    except docker.errors.APIError:
        return []
