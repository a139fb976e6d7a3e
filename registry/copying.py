"""Copying one image, or every tag of a repository, between any two places."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from registry.client import RegistryClient
from registry.errors import BadInput, CorruptContent, NotFound
from registry.layout import LayoutStore
from registry.location import LAYOUT, Location
from registry.oci import (
    DOCKER_CONFIG,
    OCI_CONFIG,
    Descriptor,
    Document,
    Platform,
    platform_of,
)
from registry.origin import Origin
from registry.progress import SILENT, Progress
from registry.reference import is_digest
from registry.store import Store
from registry.tally import Tally
from registry.transfer import CopyOptions, CopyResult, choose_from, copy_document
from registry.workers import work


@dataclass(frozen=True)
class CopyRequest:
    """What to copy where. all_tags: every tag the source has, under its own name.

    origins: where blobs may be had that the source lacks.
    """

    source: Location
    target: Location
    all_tags: bool = False
    origins: tuple[Origin, ...] = ()
    options: CopyOptions = field(default_factory=CopyOptions)

    def __post_init__(self) -> None:
        if is_digest(self.target.name):
            raise BadInput(
                f"the target {self.target.named(self.target.name)} is named by digest",
                "the digest follows from what is copied",
                "name it by tag",
            )
        named = self.source.name or self.target.name
        if self.all_tags and named:
            raise BadInput("--all-tags goes with places that name no tag", f"{named} is given")


@dataclass(frozen=True)
class Copied:
    """One image that was copied, or would be: from where, to where, and what moved."""

    source: str
    target: str
    result: CopyResult

    @property
    def reference(self) -> str:
        """The target, pinned: `HOST/REPOSITORY:TAG@DIGEST`."""
        digest = self.result.descriptor.digest
        return self.target if self.target.endswith(digest) else f"{self.target}@{digest}"

    def to_json(self) -> dict[str, Any]:
        """Its JSON object; sizes in bytes."""
        descriptor, tally = self.result.descriptor, self.result.tally
        return {
            "source": self.source,
            "target": self.target,
            "reference": self.reference,
            "digest": descriptor.digest,
            "media_type": descriptor.media_type,
            "size": descriptor.size,
            "bytes": {
                "sent": tally.sent_bytes,
                "mounted": tally.mounted_bytes,
                "present": tally.present_bytes,
            },
            "blobs": {"sent": tally.sent, "mounted": tally.mounted, "present": tally.present},
            "unchanged": self.result.unchanged,
        }


def copy_images(
    client: RegistryClient, request: CopyRequest, progress: Progress = SILENT
) -> list[Copied]:
    """Copy what a request asks for, tag after tag; every tag moves only once all of it is there.

    Raises NotFound when there is nothing to copy, BadInput for places that cannot be, and what
    the stores raise.
    """
    source, options = request.source, request.options
    with source.open_source(client) as store:
        names = _tags(source, store) if request.all_tags else [source.only_name(store)]
        # The first is read before the target is made: what is not there leaves nothing behind.
        with _blaming(source):
            first = _chosen(store, names[0], options.platform)
        with _opened(client, request) as into, _blaming(source):
            same = _same(store, into, names, request)
            known: set[str] = set()
            copied = []
            for name in names:
                result = same.get(name)
                if result is None:
                    root = first if name == names[0] else _chosen(store, name, options.platform)
                    result = copy_document(
                        store,
                        into,
                        root,
                        _wanted(request, name, root.digest),
                        options=options,
                        origins=request.origins,
                        progress=progress,
                        known=known,
                    )
                wanted = _wanted(request, name, result.descriptor.digest)
                pair = source.named(name), request.target.named(wanted)
                copied.append(Copied(*pair, result))
    return copied


def _chosen(store: Store, name: str, platform: Platform | None) -> Document:
    """The document to copy; raises NotFound when what is there is for another platform."""
    named = store.manifest(name)
    if platform is None:
        return named
    if named.is_index:
        return choose_from(store, named, platform)
    if named.config.media_type in (OCI_CONFIG, DOCKER_CONFIG):
        found = platform_of(store.blob_bytes(named.config), str(store))
        if not found.matches(platform):
            what = f"the image is for {found}, not {platform}"
            raise NotFound(what, f"{store}, {name}", f"copy it with --platform {found}")
    return named


@contextmanager
def _blaming(source: Location) -> Iterator[None]:
    """Say what helps where the image to be copied is itself damaged."""
    try:
        yield
    except (CorruptContent, NotFound) as error:
        if not error.hint and str(source) in f"{error.what} {error.why}":
            error.hint = "what is there is damaged or incomplete: build or push it there again"
        raise


def _wanted(request: CopyRequest, name: str, digest: str) -> str:
    """The tag at the target: the one given, else the source's; a digest is always its own."""
    return request.target.name or (digest if is_digest(name) else name)


def _tags(place: Location, store: Store) -> list[str]:
    tags = store.tags()
    if not tags:
        raise NotFound(f"{place} has no tags")
    return tags


def _same(
    source: Store, target: Store, names: Sequence[str], request: CopyRequest
) -> dict[str, CopyResult]:
    """The tags of many that name the same at both places already, asked for all at once."""
    options = request.options
    if len(names) == 1 or options.platform is not None or options.referrers:
        return {}

    def compare(name: str) -> Descriptor | None:
        found = target.manifest_descriptor(name)
        if found is None:
            return None
        there = source.manifest_descriptor(name)
        return there if there is not None and there.digest == found.digest else None

    found = work(compare, names, 2 * options.concurrency, threading.Event())
    return {
        name: CopyResult(descriptor, Tally(), unchanged=True)
        for name, descriptor in zip(names, found, strict=True)
        if descriptor is not None
    }


@contextmanager
def _opened(client: RegistryClient, request: CopyRequest) -> Iterator[Store]:
    """The target; for a dry run one that is not there is an empty folder elsewhere."""
    source, target = request.source.reference, request.target
    if request.options.dry_run and target.reference is None:
        if target.scheme == LAYOUT and target.path.exists():
            yield LayoutStore(target.path)
            return
        with TemporaryDirectory(prefix="imgctl-") as folder:
            yield LayoutStore.create(Path(folder))
        return
    nearby = [source.repository] if source and source.host == target.host else []
    with target.open_target(client, nearby) as store:
        yield store
