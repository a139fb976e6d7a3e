"""A release: built, sent by digest, signed, and named last.

Until the tags are put, nobody who follows tags can see a release; so whatever interrupts it leaves
nothing half-released. Each step's outcome is kept, and a second run takes up where the first one
ended. Building, sending, signing and tagging find by themselves what is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from semver import Version

from builder.dist import Build
from registry.absent import AbsentRepository
from registry.errors import NotFound, Refused
from registry.oci import Document
from registry.push import (
    Outcome,
    PushedImage,
    PushRecord,
    PushRequest,
    check_source,
    tag_states,
)
from registry.referrers import fallback_tag
from registry.repository import Repository
from registry.store import Store
from registry.tally import Tally
from registry.transfer import CopyOptions, estimate, send
from release.origins import neighbours, origins
from release.push import Work, push_request, write_beside
from release.record import ReleaseRecord, load_record
from release.tags import TagScheme, check_above

PLAN = "io.imgctl.plan"
"""The annotation with the identity of the plan an image was built from."""


class Seal(Protocol):
    """Signs an image that is in a repository, to be named by a tag, and attests to it."""

    def __call__(
        self, repository: Store, document: Document, build: Build, tag: str
    ) -> Mapping[str, Any]:
        """Attach what is not there yet; the digests of all, for the record."""

    def pending(self, repository: Store, build: Build, tag: str) -> list[str]:
        """What would be attached: a tag, or the type of a bundle, for each manifest."""


@dataclass(frozen=True)
class Job:
    """One release of one image.

    l4t: the releases it is for, `r35.2.1`. default_line: the L4T releases whose builds the readable
    tags follow. backport: a version below the last is meant. bump: the part of the version that
    was raised, if one was. path: of the release record. now: the time, RFC 3339.
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
    bump: str = ""

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

    def pushed(self, tags: tuple[str, ...]) -> PushedImage:
        """The image as it is in the repository under some tags."""
        document, platform = self.document.descriptor, self.request.platform
        return PushedImage(tags, document, platform, self.image_size)


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
    tags = tags_of(job.view)
    for l4t in job.l4t:
        check_above(job.version, job.scheme.versions(tags, l4t), backport=job.backport)
    return tags


def new_record(job: Job, revision: str) -> ReleaseRecord:
    """The record of a release of which nothing is done yet."""
    return ReleaseRecord(
        job.image, str(job.version), str(job.repository), job.l4t, revision, bump=job.bump
    )


def start_record(job: Job, revision: str) -> ReleaseRecord:
    """The record to go on with: the one that is there, if it is of this release to this place."""
    fresh = new_record(job, revision)
    found = load_record(job.path)
    return found if found is not None and found.is_of(fresh) else fresh


def release(job: Job, builds: Mapping[str, Build], record: ReleaseRecord) -> ReleaseRecord:
    """Release the builds, one for each of job.l4t; finish() is what is left to do then.

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
            attached = dict(job.seal(job.repository, sent[l4t].document, build, job.fixed_tag(l4t)))
            signature = {key: attached.pop(key) for key in ("key", "signature") if key in attached}
            record = _keep(job, record, "sign", l4t, signature)
            if attached:
                record = _keep(job, record, "attest", l4t, attached)
    # Anew: building, sending and signing took their time, and others release too.
    tags = tags_of(job.repository)
    names = {l4t: tags_for(job, l4t, tags) for l4t in builds}
    _name(job, sent, names)
    for l4t, build in builds.items():
        record = _keep(job, record, "tag", l4t, {"tags": names[l4t]})
        _write_beside(job, build, sent[l4t], names[l4t])
        record = _keep(job, record, "manifests", l4t, {"folder": str(build.folder)})
    return record


def finish(job: Job, record: ReleaseRecord) -> ReleaseRecord:
    """Say in the record that all is done."""
    if record.finished and load_record(job.path) == record:
        return record
    done = replace(record, finished=record.finished or job.now())
    done.save(job.path)
    return done


def tags_of(repository: Store) -> list[str]:
    """The tags of a repository, none of one that is not there."""
    try:
        return repository.tags()
    except NotFound:
        return []


def dry_run(job: Job, builds: Mapping[str, Build], tags: Sequence[str]) -> list[Action]:
    """What release() would do, with the requests that would change something."""
    actions = []
    root = f"/v2/{job.repository.name}"
    if isinstance(job.view, AbsentRepository):
        what = f"project {job.work.place.path} is made"
        actions.append(Action("project", "", what, ("POST /api/v2.0/projects",)))
    for l4t, build in builds.items():
        check_free(job, l4t, build)
        digest = build.record.digest
        actions.append(Action("build", l4t, digest))
        actions.append(Action("push", l4t, digest, tuple(_push_requests(job, build))))
        if job.seal is not None:
            missing = job.seal.pending(job.view, build, job.fixed_tag(l4t))
            what = "signature, provenance, SBOMs" if missing else "signed and attested already"
            actions.append(Action("sign", l4t, what, tuple(_seal_requests(job, digest, missing))))
        names = tags_for(job, l4t, tags)
        puts = [f"PUT {root}/manifests/{tag}" for tag in _to_move(job, digest, names)]
        actions.append(Action("tag", l4t, ", ".join(names), tuple(puts)))
        actions.append(Action("manifests", l4t, "pod.yaml, deployment.yaml, push.json"))
        actions.append(Action("notes", l4t, f"{job.version}.notes.md"))
    return actions


def tags_for(job: Job, l4t: str, tags: Sequence[str]) -> list[str]:
    """The tags the build for one L4T release gets: its own, and the readable ones it takes over."""
    fixed = job.fixed_tag(l4t)
    default = next((item for item in job.l4t if item in job.default_line), None)
    if l4t != default:
        return [fixed]
    released = {
        item: job.scheme.versions(tags, item) for item in dict.fromkeys((*job.default_line, l4t))
    }
    own = {version for item in job.l4t for version in released.get(item, ())}
    others = [item for item in released if item not in job.l4t]
    elsewhere = {version for item in others for version in released[item]}
    moving = job.scheme.moving_tags(job.version, l4t, own, elsewhere)
    return list(dict.fromkeys([fixed, *moving]))


def check_plan(job: Job, l4t: str, identity: str) -> None:
    """Raise Refused when a tag is released from another plan; asked before anything is built."""
    try:
        found = job.view.manifest(job.fixed_tag(l4t))
    except NotFound:
        return
    plan = found.annotations.get(PLAN, identity)
    if plan != identity:
        why = f"it is {found.digest}, built from plan {plan}; here the plan is {identity}"
        raise _taken(job, l4t, why)


def check_free(job: Job, l4t: str, build: Build) -> None:
    """Raise Refused when the tag of a build names something else already."""
    tag = job.fixed_tag(l4t)
    found = job.view.manifest_descriptor(tag)
    if found is not None and found.digest != build.record.digest:
        raise _taken(job, l4t, f"it is {found.digest}; this build is {build.record.digest}")


def _taken(job: Job, l4t: str, why: str) -> Refused:
    return Refused(
        f"{job.repository}:{job.fixed_tag(l4t)} is released with other content",
        why,
        f"release it as {_next(job.version)}: --version {_next(job.version)}",
    )


def _next(version: Version) -> Version:
    return version.bump_prerelease() if version.prerelease else version.bump_patch()


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


def _seal_requests(job: Job, digest: str, missing: Sequence[str]) -> Iterator[str]:
    """The requests that attach what is missing, as Seal.pending names it."""
    if not missing:
        return
    root, view = f"/v2/{job.repository.name}", job.view
    yield f"POST {root}/blobs/uploads/, PUT: what the manifests hold, {len(missing)} or more"
    bundles = [name for name in missing if "/" in name]
    stands_in = isinstance(view, Repository) and not view.keeps_referrers(digest)
    for name in bundles:
        yield f"PUT {root}/manifests/sha256:…: a bundle of type {name}"
        if stands_in:
            yield f"PUT {root}/manifests/{fallback_tag(digest)}: the list of bundles"
    for tag in missing:
        if tag not in bundles:
            yield f"PUT {root}/manifests/{tag}"


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


def _name(job: Job, sent: Mapping[str, Sent], names: Mapping[str, Sequence[str]]) -> None:
    """Put the tags that do not name their builds yet; nothing has moved when it raises Refused.

    Those that name one build for ever come first and are read back; only then the readable ones
    move, so that these never name what is not whole.
    """
    moves = {}
    for l4t, image in sent.items():
        found = tag_states(job.repository, names[l4t])
        fixed = found[names[l4t][0]]
        if fixed is not None and fixed.digest != image.document.digest:
            # Another machine was faster; a tag that is fixed is not taken from it.
            why = f"it is {fixed.digest}; this build is {image.document.digest}"
            raise _taken(job, l4t, why)
        moves[l4t] = [
            tag
            for tag, there in found.items()
            if there is None or there.digest != image.document.digest
        ]
        for tag in moves[l4t]:
            if found[tag] is not None:
                _check_may_move(job, tag)
    for l4t, image in sent.items():
        fixed_tag = names[l4t][0]
        if fixed_tag in moves[l4t]:
            job.repository.put_manifest(image.document, fixed_tag)
        job.work.target.verify(job.repository, image.pushed((fixed_tag,)))
    for l4t, image in sent.items():
        readable = names[l4t][1:]
        for tag in readable:
            if tag in moves[l4t]:
                job.repository.put_manifest(image.document, tag)
        if readable:
            job.work.target.verify(job.repository, image.pushed(tuple(readable)))


def _check_may_move(job: Job, tag: str) -> None:
    if reason := job.work.target.why_immutable(job.repository, tag):
        hint = "take readable tags out of the immutable rule: they follow the newest release"
        raise Refused(f"{job.repository}:{tag} is immutable", reason, hint)


def _write_beside(job: Job, build: Build, sent: Sent, names: Sequence[str]) -> None:
    """Write what was pushed and what runs it beside a build."""
    pushed = sent.pushed(tuple(names))
    extra = job.work.target.finish(job.repository, pushed)
    record = PushRecord.of(
        sent.request,
        str(job.repository),
        Outcome(pushed, sent.tally, sent.tally == Tally(), extra),
        requests=job.work.client.requests,
        pushed=job.now(),
    )
    write_beside(job.work, build.folder, record)


def _to_move(job: Job, digest: str, names: Sequence[str]) -> list[str]:
    """The tags that do not name the digest yet."""
    found = tag_states(job.view, names)
    return [tag for tag, there in found.items() if there is None or there.digest != digest]


def _keep(job: Job, record: ReleaseRecord, step: str, l4t: str, outcome: Any) -> ReleaseRecord:
    found = record.with_outcome(step, l4t, outcome)
    if found != record or not job.path.exists():
        found.save(job.path)
    return found
