"""Tags moved and images copied within Harbor, one tag at a time.

Harbor's own copy takes every tag of an artifact along, and its own tagging never moves a tag. Here
a tag is a manifest put under it, in one step; blobs are mounted; nobody has to pull and push.
"""

from __future__ import annotations

from collections.abc import Sequence

from registry.errors import Refused
from registry.harbor import artifacts
from registry.harbor.api import HarborApi
from registry.harbor.steps import State, Step
from registry.oci import Descriptor
from registry.progress import SILENT, Progress
from registry.push import ReleaseTarget, check_read_back
from registry.store import Store
from registry.transfer import CopyOptions, CopyResult, send


def move_tags(
    repository: Store,
    target: ReleaseTarget,
    reference: str,
    tags: Sequence[str],
    *,
    dry_run: bool = False,
) -> list[Step]:
    """Let tags name what a reference names; a step each, with the digest.

    All are looked at before the first is moved. Raises
    NotFound for the reference, Refused for a tag that a rule holds.
    """
    document = repository.manifest(reference)
    steps = []
    for tag in tags:
        found = repository.manifest_descriptor(tag)
        if found is not None and found.digest == document.digest:
            steps.append(Step(tag, State.THERE, document.digest))
            continue
        check_may_move(repository, target, tag, found)
        state = State.MADE if found is None else State.CHANGED
        before = found.digest if found else ""
        steps.append(Step(tag, state, document.digest, before))
    for step in steps:
        if step.state is not State.THERE and not dry_run:
            repository.put_manifest(document, step.what)
            check_read_back(repository, step.what, document.descriptor)
    return steps


def take_tags_off(
    api: HarborApi,
    project: str,
    repository: str,
    target: ReleaseTarget,
    tags: Sequence[str],
    *,
    dry_run: bool = False,
) -> list[Step]:
    """Take tags off; what they name stays. A step each.

    All are looked at before the first is taken off. Raises Refused for one that a rule holds.
    """
    store = api.client.repository(api.host, f"{project}/{repository}")
    steps = []
    for tag in tags:
        found = artifacts.find(api, project, repository, tag)
        rule = target.why_immutable(store, tag) if found else ""
        if rule:
            raise Refused(f"{store}:{tag} is immutable", rule, "change the rule in Harbor first")
        digest = found.digest if found else ""
        steps.append(Step(tag, State.DELETED if found else State.ABSENT, digest))
    for step in steps:
        if step.state is State.DELETED and not dry_run:
            artifacts.delete_tag(api, project, repository, step.what)
    return steps


def copy_image(
    source: Store,
    target: ReleaseTarget,
    into: Store,
    reference: str,
    tag: str,
    *,
    options: CopyOptions,
    progress: Progress = SILENT,
) -> CopyResult:
    """Bring what a reference names into another repository of the same Harbor, under one tag.

    into: as target.prepare gives it. options.referrers takes signatures and the like along. Raises
    NotFound, and Refused when a rule holds the tag or the quota has no room.
    """
    document = source.manifest(reference)
    found = into.manifest_descriptor(tag)
    unchanged = found is not None and found.digest == document.digest
    if not unchanged:
        check_may_move(into, target, tag, found)
    tally = send(
        source,
        into,
        document,
        None if unchanged else tag,
        options=options,
        progress=progress,
        before_sending=lambda missing: target.check_quota(into, missing + len(document.raw)),
    )
    if not options.dry_run:
        check_read_back(into, tag, document.descriptor)
    return CopyResult(document.descriptor, tally, unchanged)


def check_may_move(
    repository: Store, target: ReleaseTarget, tag: str, found: Descriptor | None
) -> None:
    """Raise Refused when a rule holds a tag that names something else already."""
    rule = target.why_immutable(repository, tag) if found is not None else ""
    if rule and found is not None:
        raise Refused(
            f"{repository}:{tag} is immutable and names another image",
            f"{rule}; it names {found.digest}",
            "use another tag",
        )
