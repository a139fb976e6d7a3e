"""Bases brought by Harbor itself, by a replication policy: nothing passes through this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from registry.errors import ImgctlError, NotFound, Refused
from registry.harbor import replication
from registry.harbor.api import HarborApi
from registry.harbor.registries import Endpoint
from registry.harbor.replication import by_folder, set_up_replications
from registry.harbor.steps import State, Step
from registry.reference import Reference
from release.base_sync import Synced, SyncWork, WantedBase

NAME = "imgctl-bases"


def set_up(
    work: SyncWork, api: HarborApi, endpoint: Endpoint, wanted: Sequence[WantedBase]
) -> Iterator[Step]:
    """The endpoint and a policy for each folder of it, a step each.

    Raises Refused for a base that was published elsewhere, or when the account may not: policies
    are a system administrator's.
    """
    host = endpoint.url.partition("://")[2].rstrip("/")
    for item in wanted:
        if item.base.registry != host:
            raise Refused(
                f"{item.base.reference} is not on {host}",
                f"it is a base of {', '.join(item.images)}",
                "bring it without --replicate, or name only images whose base is there",
            )
    wishes = _replications(work, wanted)
    for step in set_up_replications(api, endpoint, wishes, dry_run=work.options.dry_run):
        yield _allowed(step)


def replicate(work: SyncWork, api: HarborApi, wanted: Sequence[WantedBase]) -> list[Synced]:
    """Let Harbor bring what is not there, and look whether it is there then.

    The policies must be set up. On a dry run nothing is brought. Raises what keeps it from running.
    """
    before = [_look(work, item) for item in wanted]
    missing = [item for item in before if not item.digest]
    if not missing or work.options.dry_run:
        return before
    folders = {item.wanted.base.repository.rpartition("/")[0] for item in missing}
    for wish in _replications(work, wanted):
        if wish.repositories[0].rpartition("/")[0] in folders:
            replication.run(api, wish.name, progress=work.progress)
    return [item if item.digest else _brought(work, item.wanted) for item in before]


def _replications(
    work: SyncWork, wanted: Sequence[WantedBase]
) -> tuple[replication.Replication, ...]:
    images = [(item.base.repository, item.base.tag) for item in wanted]
    return by_folder(NAME, images, work.place.prefix)


def _look(work: SyncWork, wanted: WantedBase) -> Synced:
    """What is there of a base; without a digest when nothing is."""
    source, target = wanted.base.reference, work.place.of(wanted.base.reference)
    into = work.target.prepare(work.client.repository(target.host, target.repository))
    found = into.manifest_descriptor(target.target)
    return Synced(wanted, source, target, found.digest if found else "", unchanged=bool(found))


def _brought(work: SyncWork, wanted: WantedBase) -> Synced:
    found = _look(work, wanted)
    if found.digest:
        return Synced(wanted, found.source, found.target, found.digest)
    return Synced(wanted, found.source, found.target, error=_not_there(found.target))


def _not_there(target: Reference) -> ImgctlError:
    return NotFound(
        f"the replication is over, and {target} is not there",
        "",
        "see its tasks under Replications in Harbor: the source may not have that tag",
    )


def _allowed(step: Step) -> Step:
    if step.state is State.REFUSED:
        raise Refused(step.detail, "", "policies are a system administrator's to make")
    return step
