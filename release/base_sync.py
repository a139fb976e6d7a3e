"""Bringing bases into a registry of one's own, so that later pushes only mount them.

An image's base is most of its bytes. Once it is in the registry that images go to, a build reads it
there (`--base-mirror`) and a push mounts its layers. Blobs are streamed from registry to registry
and touch no disk; what two bases have in common is sent once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from builder.bases import BaseImage
from builder.matrix import Matrix
from builder.mirror import Mirror
from builder.request import Request, resolve_base
from registry.client import RegistryClient
from registry.errors import BadInput, ImgctlError, NotFound, Refused, Unreachable
from registry.oci import Document, Platform
from registry.origin import Origin, RemoteStore
from registry.progress import SILENT, Progress
from registry.push import ReleaseTarget, check_read_back
from registry.reference import Reference
from registry.store import Store
from registry.tally import Tally
from registry.transfer import CopyOptions, choose, send


@dataclass(frozen=True)
class WantedBase:
    """A base and the images that need it, as `mnist for r35.2.1`."""

    base: BaseImage
    images: tuple[str, ...]


@dataclass(frozen=True)
class SyncWork:
    """What one run works with.

    source: has the bases, None for the registries they were published in. place: where they go, and
    what `--base-mirror` is to name afterwards. target: what surrounds the transfer there.
    options: platform None brings whole indexes.
    """

    client: RegistryClient
    place: Mirror
    target: ReleaseTarget
    source: Mirror | None = None
    options: CopyOptions = field(default_factory=CopyOptions)
    progress: Progress = SILENT


@dataclass(frozen=True)
class Synced:
    """How one base ended: with what the target's tag names now, or with an error.

    digest: of the manifest or index, empty while Harbor is yet to bring it. unchanged: it was there
    before.
    """

    wanted: WantedBase
    source: Reference
    target: Reference
    digest: str = ""
    tally: Tally = field(default_factory=Tally)
    unchanged: bool = False
    error: ImgctlError | None = None

    def to_json(self) -> dict[str, Any]:
        """Its JSON object; sizes in bytes."""
        value: dict[str, Any] = {
            "base": str(self.wanted.base.reference),
            "family": self.wanted.base.family,
            "images": list(self.wanted.images),
            "source": str(self.source),
            "target": str(self.target),
        }
        if self.error is not None:
            error = self.error
            return value | {"error": {"what": error.what, "why": error.why, "hint": error.hint}}
        tally = self.tally
        return value | {
            "reference": str(self.target.with_digest(self.digest) if self.digest else self.target),
            "digest": self.digest,
            "bytes": {
                "sent": tally.sent_bytes,
                "mounted": tally.mounted_bytes,
                "present": tally.present_bytes,
            },
            "unchanged": self.unchanged,
        }


def wanted_bases(
    matrix: Matrix, requests: Sequence[Request], *, skip_refused: bool = False
) -> tuple[list[WantedBase], list[Refused]]:
    """The bases that images need, each once, in the order of the requests; and what was refused.

    skip_refused: an image that no base fits (of a whole catalogue) is left out and told; else its
    refusal is raised.
    """
    bases: dict[str, WantedBase] = {}
    refused: list[Refused] = []
    for request in requests:
        try:
            base = resolve_base(matrix, request, None)
        except Refused as error:
            if not skip_refused:
                raise
            refused.append(error)
            continue
        key = str(base.reference)
        known = bases.get(key, WantedBase(base, ()))
        bases[key] = replace(known, images=(*known.images, request.name))
    return list(bases.values()), refused


def sync_bases(work: SyncWork, wanted: Sequence[WantedBase]) -> list[Synced]:
    """Bring bases to the target one after the other; one that fails does not stop the rest.

    Raises at once what would keep all of them from coming: no answer of the target, no login, no
    project there; and BadInput when source and target are one place.
    """
    pairs = [(item, _source(work, item), work.place.of(item.base.reference)) for item in wanted]
    for _, source, target in pairs:
        if source.name == target.name:
            raise BadInput(
                f"{target} would be copied onto itself", "", "name another place with --from"
            )
    if pairs:
        first = pairs[0][2]
        work.target.prepare(work.client.repository(first.host, first.repository, push=True))
    results: list[Synced] = []
    origins: list[Origin] = []
    for item, source, target in pairs:
        try:
            done, origin = _sync(work, item, source, target, origins)
        except ImgctlError as error:
            if isinstance(error, Unreachable) and not work.client.session(target.host).answered:
                raise
            results.append(Synced(item, source, target, error=error))
            continue
        origins.append(origin)
        results.append(done)
    return results


def _sync(
    work: SyncWork,
    wanted: WantedBase,
    source: Reference,
    target: Reference,
    origins: Sequence[Origin],
) -> tuple[Synced, Origin]:
    """One base, and the repository it is in now as an origin for the next one."""
    client, options, tag = work.client, work.options, target.target
    store = client.repository(source.host, source.repository)
    mount_from = [origin.store.name for origin in origins if isinstance(origin.store, RemoteStore)]
    into = work.target.prepare(
        client.repository(target.host, target.repository, push=True, mount_from=mount_from)
    )
    root = choose(store, source.target, options.platform)
    if _is_there(into, tag, root, options.platform):
        blobs = frozenset(blob.digest for blob in root.blobs())
        return Synced(wanted, source, target, root.digest, unchanged=True), Origin(into, blobs)
    known: set[str] = set()
    tally = send(
        store,
        into,
        root,
        tag,
        options=options,
        origins=origins,
        progress=work.progress,
        before_sending=lambda missing: work.target.check_quota(into, missing),
        known=known,
    )
    if options.dry_run:
        work.target.check_quota(into, tally.sent_bytes)
    else:
        check_read_back(into, tag, root.descriptor)
    return Synced(wanted, source, target, root.digest, tally), Origin(into, frozenset(known))


def _is_there(into: Store, tag: str, root: Document, platform: Platform | None) -> bool:
    """Whether the tag names the document, by itself or in an index that was brought whole."""
    try:
        there = into.manifest(tag)
        if there.is_index and platform is not None:
            return there.choose(platform).digest == root.digest
    except NotFound:
        return False
    return there.digest == root.digest


def _source(work: SyncWork, wanted: WantedBase) -> Reference:
    reference = wanted.base.reference
    return work.source.of(reference) if work.source else reference
