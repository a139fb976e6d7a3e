"""From builds in dist/ to images in a registry, each with its record and manifests beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.dist import Build
from builder.mirror import Mirror
from deploy.output import write_matching
from deploy.workload import Workload
from registry.client import RegistryClient
from registry.errors import BadInput, ImgctlError, Unreachable
from registry.layout import LayoutStore
from registry.oci import Platform
from registry.origin import Origin
from registry.progress import SILENT, Progress
from registry.push import (
    RECORD_FILE,
    PushOptions,
    PushRecord,
    PushRequest,
    ReleaseTarget,
    TagStates,
    at_once,
    push,
    tag_states,
    write_record,
)
from registry.reference import check_repository, split_place
from registry.repository import Repository
from release.origins import neighbours, origins

# What a push record takes over from the build's.
_KEPT = ("version", "l4t", "jetpack", "plan", "command", "workload")
# Tags that name one build for ever, of this or another release: `1.0.0-l4t-r35.2.1`.
_OF_ONE_BUILD = "-l4t-"


@dataclass(frozen=True)
class Place:
    """Where images go: `HOST/PATH/IMAGE`. path: a project, or any prefix; may be empty."""

    host: str
    path: str = ""

    @classmethod
    def parse(cls, text: str, project: str = "") -> Place:
        """Parse `HOST[:PORT][/PATH]`, and put a project after it; raises BadInput."""
        host, path = split_place(text)
        whole = "/".join(part for part in (path, project) if part)
        return cls(host, check_repository(whole) if whole else "")

    def repository(self, image: str) -> str:
        """An image's repository on the host."""
        return f"{self.path}/{image}" if self.path else image


@dataclass(frozen=True)
class Work:
    """What one run of pushes works with.

    mirror: where bases are had if not from where the build found them. tags: moved to the image
    besides its own. known: builds whose earlier pushes tell where blobs are. manifests: write
    pod.yaml and deployment.yaml. workload: what they run, from a push record and its folder, where
    more than the record decides it.
    """

    client: RegistryClient
    place: Place
    target: ReleaseTarget
    mirror: Mirror | None = None
    tags: tuple[str, ...] = ()
    known: Sequence[Build] = ()
    manifests: bool = True
    workload: Callable[[Mapping[str, Any], Path], Workload] | None = None
    options: PushOptions = field(default_factory=PushOptions)
    progress: Progress = SILENT


@dataclass(frozen=True)
class Pushed:
    """How one build's push ended: with a record or with an error."""

    build: Build
    record: PushRecord | None = None
    error: ImgctlError | None = None


def push_builds(work: Work, builds: Sequence[Build]) -> list[Pushed]:
    """Push builds, one or more, one after the other; one that fails does not stop the rest.

    Raises BadInput when a tag given for all would have to name two images; and at once what keeps
    all of them from being pushed: no answer, no login, no project.
    """
    _check_tags(work, builds)
    client, host = work.client, work.place.host
    before = client.requests
    work.target.prepare(_repository(work, builds[0], ()))
    seen: list[TagStates] = [{}]
    costs = [0]
    if len(builds) > 1:
        seen = at_once(lambda build: _look(work, build), builds)
        costs = [len(_tags(work, build)) for build in builds]
    # What was asked on behalf of all is put down to the first.
    costs[0] += client.requests - before - sum(costs)
    results = []
    for build, states, cost in zip(builds, seen, costs, strict=True):
        try:
            results.append(Pushed(build, push_build(work, build, cost, states)))
        except ImgctlError as error:
            if isinstance(error, Unreachable) and not client.session(host).answered:
                raise
            results.append(Pushed(build, error=error))
    return results


def _look(work: Work, build: Build) -> TagStates:
    """What a build's tags name now, if that is the build already; else empty.

    Until its turn comes others may push too, so before tags are moved they are looked at again.
    """
    try:
        states = tag_states(_repository(work, build, ()), _tags(work, build))
    except ImgctlError:
        return {}  # its push will say why
    there = all(found and found.digest == build.record.digest for found in states.values())
    return states if there else {}


def _tags(work: Work, build: Build) -> tuple[str, ...]:
    return tuple(dict.fromkeys((build.tag, *work.tags)))


def push_build(
    work: Work, build: Build, cost: int = 0, states: TagStates | None = None
) -> PushRecord:
    """Push one build, and write what was done beside it; raises as registry.push does.

    states: what the build's tags name now, if that was asked before, and cost: in how many
    requests.
    """
    client, place = work.client, work.place
    before = client.requests - cost
    places = origins(build, client, work.mirror, place.host, work.known)
    repository = _repository(work, build, places)
    with _blaming(build):
        request = push_request(work, build, places)
        outcome = push(
            request,
            repository,
            work.target,
            options=work.options,
            progress=work.progress,
            states=states,
        )
    record = PushRecord.of(
        request,
        str(repository),
        outcome,
        requests=client.requests - before,
        pushed=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    if not work.options.dry_run:
        write_beside(work, build.folder, record)
    return record


@contextmanager
def _blaming(build: Build) -> Iterator[None]:
    """Say what helps where the build itself is damaged."""
    try:
        yield
    except ImgctlError as error:
        if str(build.folder) in error.what and not error.hint:
            l4t = build.record.value.get("l4t", "RELEASE")
            error.hint = f"build it again: imgctl build {build.image} --l4t {l4t}"
        raise


def _repository(work: Work, build: Build, places: Sequence[Origin]) -> Repository:
    host, name = work.place.host, work.place.repository(build.image)
    return work.client.repository(host, name, push=True, mount_from=neighbours(places, host))


def push_request(work: Work, build: Build, places: Sequence[Origin]) -> PushRequest:
    """What registry.push needs to know of a build."""
    value = build.record.value
    tags = _tags(work, build)
    return PushRequest(
        image=build.image,
        source=LayoutStore(build.folder),
        reference=build.record.digest,
        tags=tags,
        fixed=frozenset(tag for tag in tags if tag == build.tag or _OF_ONE_BUILD in tag),
        platform=Platform.parse(str(value["platform"])),
        origins=tuple(places),
        details={key: value[key] for key in _KEPT if key in value},
    )


def _check_tags(work: Work, builds: Sequence[Build]) -> None:
    """Refuse to give one tag to two images of a repository."""
    seen: dict[str, Build] = {}
    for build in builds if work.tags else ():
        other = seen.setdefault(build.image, build)
        if other is not build:
            raise BadInput(
                f"--tag {work.tags[0]} cannot name two builds of {build.image}",
                f"{other.tag} and {build.tag} would both get it",
                f"name the one: imgctl push {build.image}:{build.tag}",
            )


def write_beside(work: Work, folder: Path, record: PushRecord) -> None:
    """Write push.json, unless it says the same already, and the manifests.

    Raises ImgctlError when the folder cannot be written.
    """
    try:
        _write(work, folder, record)
    except OSError as error:
        raise ImgctlError(
            f"{record.reference} is pushed, but that cannot be recorded in {folder}",
            (error.strerror or str(error)).lower(),
            "make the folder writable and push again: nothing will be sent",
        ) from error


def _write(work: Work, folder: Path, record: PushRecord) -> None:
    value = record.to_json()
    same = record.unchanged and _identity(_written(folder)) == _identity(value)
    if not same:
        write_record(folder, record)
    if work.manifests:
        workload = work.workload(value, folder) if work.workload else None
        write_matching(value, folder, workload)


def _written(folder: Path) -> dict[str, Any]:
    try:
        value = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        # No record, or a broken one: a new one takes its place.
        return {}
    return value if isinstance(value, dict) else {}


def _identity(value: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value.get(key) for key in ("schema", "repository", "digest", "tags"))
