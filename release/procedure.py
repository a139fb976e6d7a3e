"""A release: built, sent by digest, signed, and named last.

Until the tags are put, nobody who follows tags can see a release; so whatever interrupts it leaves
nothing half-released. Each step's outcome is kept, and a second run takes up where the first one
ended. Building, sending, signing and tagging find by themselves what is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semver import Version

from builder.dist import Build
from registry.errors import NotFound, Refused
from registry.oci import Document
from registry.push import Outcome, PushedImage, PushRecord, PushRequest, check_source
from registry.repository import Repository
from registry.store import Store
from registry.transfer import CopyOptions, Tally, estimate, send
from release.origins import neighbours, origins
from release.push import Work, push_request, write_beside
from release.record import ReleaseRecord, load_record
from release.tags import TagScheme, check_above

PLAN = "io.imgctl.plan"
"""The annotation with the identity of the plan an image was built from."""

Seal = Callable[[Store, Document, Build], Mapping[str, Any]]
"""Signs an image that is in a repository, and attests to it; what it attached, for the record."""


@dataclass(frozen=True)
class Job:
    """One release of one image.

    l4t: the releases it is for, `r35.2.1`. default_line: those of them whose builds the readable
    tags follow, and all others of that line. backport: a version below the last is meant.
    path: of the release record. now: the time, RFC 3339.
    """

    image: str
    version: Version
    l4t: tuple[str, ...]
    default_line: tuple[str, ...]
    scheme: TagScheme
    work: Work
    path: Path
    now: Callable[[], str]
    seal: Seal | None = None
    backport: bool = False

    @property
    def repository(self) -> Repository:
        """Where it is released to."""
        place = self.work.place
        return self.work.client.repository(place.host, place.repository(self.image), push=True)

    @property
    def view(self) -> Store:
        """What there is to look at: the repository, or what stands in for one on a dry run."""
        return self.work.target.prepare(self.repository)

    def fixed_tag(self, l4t: str) -> str:
        """The tag that names the build for one L4T release for ever."""
        return self.scheme.fixed_tag(self.version, l4t)


@dataclass(frozen=True)
class Sent:
    """A build that is in the repository, unnamed. image_size: bytes of all its blobs."""

    request: PushRequest
    document: Document
    image_size: int
    tally: Tally


@dataclass(frozen=True)
class Action:
    """What a release would do. requests: those that change something, as `METHOD path`."""

    step: str
    l4t: str
    what: str
    requests: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "step": self.step,
            "l4t": self.l4t,
            "what": self.what,
            "requests": list(self.requests),
        }


def check(job: Job) -> list[str]:
    """The tags that are there, once it is known that the version may be released.

    Raises Refused when it is below a released one, and what the registry raises.
    """
    repository = job.view
    try:
        tags = repository.tags()
    except NotFound:
        tags = []
    for l4t in job.l4t:
        check_above(job.version, job.scheme.versions(tags, l4t), backport=job.backport)
    return tags


def start_record(job: Job, revision: str) -> ReleaseRecord:
    """The record to go on with: the one that is there, if it is of this release to this place."""
    fresh = ReleaseRecord(job.image, str(job.version), str(job.repository), job.l4t, revision)
    found = load_record(job.path)
    same = found is not None and (found.repository, found.releases) == (
        fresh.repository,
        fresh.releases,
    )
    return found if found is not None and same else fresh


def release(
    job: Job, builds: Mapping[str, Build], tags: Sequence[str], record: ReleaseRecord
) -> ReleaseRecord:
    """Release the builds, one for each of job.l4t; tags: those in the repository before.

    Raises Refused when a tag that must not move names another build. Whatever is raised, the
    record at job.path tells how far it came.
    """
    for l4t, build in builds.items():
        check_free(job, l4t, build)
    for l4t, build in builds.items():
        record = _keep(job, record, "build", l4t, {"digest": build.record.digest})
    sent: dict[str, Sent] = {}
    for l4t, build in builds.items():
        sent[l4t] = _send(job, build)
        record = _keep(job, record, "push", l4t, {"digest": build.record.digest})
    if job.seal is not None:
        for l4t, build in builds.items():
            attached = job.seal(job.repository, sent[l4t].document, build)
            record = _keep(job, record, "sign", l4t, dict(attached))
    for l4t, build in builds.items():
        names = tags_for(job, l4t, tags)
        _publish(job, build, sent[l4t], names)
        record = _keep(job, record, "tag", l4t, {"tags": names})
        record = _keep(job, record, "manifests", l4t, {"folder": str(build.folder)})
    done = replace(record, finished=record.finished or job.now())
    done.save(job.path)
    return done


def dry_run(job: Job, builds: Mapping[str, Build], tags: Sequence[str]) -> list[Action]:
    """What release() would do, with the requests that would change something."""
    actions = []
    root = f"/v2/{job.repository.name}"
    for l4t, build in builds.items():
        check_free(job, l4t, build)
        digest = build.record.digest
        actions.append(Action("build", l4t, digest))
        actions.append(Action("push", l4t, digest, tuple(_push_requests(job, build))))
        if job.seal is not None:
            what = "signature, provenance and SBOMs, as far as they are not there"
            actions.append(Action("sign", l4t, what, (f"PUT {root}/manifests/sha256:…",)))
        names = tags_for(job, l4t, tags)
        puts = [f"PUT {root}/manifests/{tag}" for tag in _to_move(job, digest, names)]
        actions.append(Action("tag", l4t, ", ".join(names), tuple(puts)))
        actions.append(Action("manifests", l4t, "pod.yaml, deployment.yaml, push.json"))
    return actions


def tags_for(job: Job, l4t: str, tags: Sequence[str]) -> list[str]:
    """The tags the build for one L4T release gets: its own, and the readable ones it takes over."""
    fixed = job.fixed_tag(l4t)
    default = next((item for item in job.l4t if item in job.default_line), None)
    if l4t != default:
        return [fixed]
    released = {version for item in job.default_line for version in job.scheme.versions(tags, item)}
    return list(dict.fromkeys([fixed, *job.scheme.moving_tags(job.version, l4t, released)]))


def check_plan(job: Job, l4t: str, identity: str) -> None:
    """Raise Refused when a tag is released from another plan; asked before anything is built."""
    try:
        found = job.view.manifest(job.fixed_tag(l4t))
    except NotFound:
        return
    if found.annotations.get(PLAN, identity) != identity:
        raise _taken(job, l4t, found.digest, f"this plan is {identity}")


def check_free(job: Job, l4t: str, build: Build) -> None:
    """Raise Refused when the tag of a build names something else already."""
    tag = job.fixed_tag(l4t)
    found = job.view.manifest_descriptor(tag)
    if found is not None and found.digest != build.record.digest:
        raise _taken(job, l4t, found.digest, f"this build is {build.record.digest}")


def _taken(job: Job, l4t: str, digest: str, ours: str) -> Refused:
    return Refused(
        f"{job.repository}:{job.fixed_tag(l4t)} is released with other content",
        f"it names {digest}, {ours}",
        f"release it as {job.version.bump_patch()}",
    )


def _request(job: Job, build: Build) -> tuple[PushRequest, Repository]:
    work = job.work
    places = origins(build, work.client, work.mirror, work.place.host, work.known)
    repository = work.client.repository(
        work.place.host,
        work.place.repository(job.image),
        push=True,
        mount_from=neighbours(places, work.place.host),
    )
    return push_request(work, build, places), repository


def _push_requests(job: Job, build: Build) -> Iterator[str]:
    """The requests that bring a build into the repository without naming it."""
    root, digest = f"/v2/{job.repository.name}", build.record.digest
    request, into = _request(job, build)
    repository = job.work.target.prepare(into)
    document, _ = check_source(request)
    if repository.manifest_descriptor(digest) is not None:
        return
    tally = estimate(request.source, repository, document, origins=request.origins)
    if tally.sent:
        yield f"POST {root}/blobs/uploads/, PUT: {tally.sent} blobs, {tally.sent_bytes} bytes"
    if tally.mounted:
        yield f"POST {root}/blobs/uploads/?mount=…: {tally.mounted} blobs"
    yield f"PUT {root}/manifests/{digest}"


def _send(job: Job, build: Build) -> Sent:
    """Bring a build into the repository without naming it."""
    request, repository = _request(job, build)
    document, size = check_source(request)
    tally = Tally()
    if repository.manifest_descriptor(document.digest) is None:
        tally = send(
            request.source,
            repository,
            document,
            document.digest,
            options=CopyOptions(concurrency=job.work.options.concurrency),
            origins=request.origins,
            progress=job.work.progress,
            before_sending=lambda missing: job.work.target.check_quota(repository, missing),
        )
    return Sent(request, document, size, tally)


def _publish(job: Job, build: Build, sent: Sent, names: Sequence[str]) -> None:
    """Name a build, look whether the registry agrees, and write what runs it beside it."""
    _name(job, sent.document, names)
    pushed = PushedImage(
        tuple(names), sent.document.descriptor, sent.request.platform, sent.image_size
    )
    job.work.target.verify(job.repository, pushed)
    extra = job.work.target.finish(job.repository, pushed)
    record = PushRecord.of(
        sent.request,
        str(job.repository),
        Outcome(pushed, sent.tally, sent.tally == Tally(), extra),
        requests=job.work.client.requests,
        pushed=job.now(),
    )
    write_beside(job.work, build.folder, record)


def _name(job: Job, document: Document, names: Sequence[str]) -> None:
    """Put the tags that do not name the document yet, the fixed one first."""
    for tag in _to_move(job, document.digest, names):
        taken = job.repository.manifest_descriptor(tag) is not None
        if taken and (reason := job.work.target.why_immutable(job.repository, tag)):
            hint = "take readable tags out of the immutable rule: they follow the newest release"
            raise Refused(f"{job.repository}:{tag} is immutable", reason, hint)
        job.repository.put_manifest(document, tag)


def _to_move(job: Job, digest: str, names: Sequence[str]) -> list[str]:
    """The tags that do not name the digest yet."""
    view = job.view
    found = {tag: view.manifest_descriptor(tag) for tag in names}
    return [tag for tag, there in found.items() if there is None or there.digest != digest]


def _keep(job: Job, record: ReleaseRecord, step: str, l4t: str, outcome: Any) -> ReleaseRecord:
    found = record.with_outcome(step, l4t, outcome)
    if found != record or not job.path.exists():
        found.save(job.path)
    return found
