"""Releases on Harbor: its own rules hold, and a dry run changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from semver import Version

from builder.dist import Build
from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import NotFound, Refused
from registry.harbor.api import HarborApi
from registry.harbor.rules import ImmutableRule, add_immutable_rule
from registry.harbor.target import HarborTarget
from registry.sandbox.harbor.double import RunningHarbor, harbor_double
from release.procedure import Job, check, dry_run, finish, release, start_record
from release.push import Place, Work
from release.record import record_path
from release.tags import TagScheme
from tests.unit.imgctl.builds import make_build, put_base

BASE = "nvcr/nvidia/l4t-base"


@pytest.fixture
def harbor() -> Iterator[RunningHarbor]:
    with harbor_double(projects=("nvcr", "algorithms")) as running:
        yield running


@pytest.fixture
def client(harbor: RunningHarbor) -> Iterator[RegistryClient]:
    login = Credentials(harbor.username, harbor.password)
    with RegistryClient(RegistryOptions(credentials=lambda host: login)) as opened:
        put_base(opened.repository(harbor.host, BASE, push=True))
        yield opened


@pytest.fixture
def job(harbor: RunningHarbor, client: RegistryClient, tmp_path: Path) -> Job:
    target = HarborTarget(HarborApi(client, harbor.host), "algorithms")
    return Job(
        image="mnist",
        version=Version.parse("1.4.0"),
        l4t=("r35.2.1",),
        default_line=("r35.2.1",),
        scheme=TagScheme(),
        work=Work(client, Place(harbor.host, "algorithms"), target),
        path=record_path(tmp_path, "mnist", "1.4.0"),
        now=lambda: "2026-01-02T03:04:05Z",
    )


def build(job: Job, harbor: RunningHarbor) -> dict[str, Build]:
    version = str(job.version)
    folder = make_build(job.path.parents[1], tag=f"{version}-l4t-r35.2.1", version=version,
                        base=(harbor.host, BASE), script=version.encode())  # fmt: skip
    return {"r35.2.1": Build.load(folder)}


def test_a_release_and_the_next_one(job: Job, harbor: RunningHarbor) -> None:
    for version in ("1.4.0", "1.5.0"):
        one = replace(job, version=Version.parse(version))
        check(one)
        record = release(one, build(one, harbor), start_record(one, ""))
        assert finish(one, record).finished
    tags = set(job.repository.tags())
    assert {"1.4.0-l4t-r35.2.1", "1.5.0-l4t-r35.2.1", "1.4", "1.5", "latest"} <= tags
    latest = job.repository.manifest_descriptor("latest")
    newest = job.repository.manifest_descriptor("1.5.0-l4t-r35.2.1")
    assert latest is not None
    assert newest is not None
    assert latest.digest == newest.digest


def test_a_dry_run_makes_no_project(
    job: Job, harbor: RunningHarbor, client: RegistryClient
) -> None:
    api = HarborApi(client, harbor.host)
    target = HarborTarget(api, "fresh", create_project=True, dry_run=True)
    dry = replace(job, work=replace(job.work, place=Place(harbor.host, "fresh"), target=target))
    actions = dry_run(dry, build(dry, harbor), check(dry))
    assert [action.step for action in actions] == [
        "project",
        "build",
        "push",
        "tag",
        "manifests",
        "notes",
    ]
    assert actions[0].requests == ("POST /api/v2.0/projects",)
    assert "fresh" not in harbor.double.state.projects


def test_a_dry_run_leaves_the_project_as_it_is(job: Job, harbor: RunningHarbor) -> None:
    actions = dry_run(job, build(job, harbor), check(job))
    assert [action.step for action in actions] == ["build", "push", "tag", "manifests", "notes"]
    with pytest.raises(NotFound):
        job.repository.tags()


def test_an_immutable_readable_tag_is_refused_before_any_tag_is_put(
    job: Job, harbor: RunningHarbor, client: RegistryClient
) -> None:
    check(job)
    release(job, build(job, harbor), start_record(job, ""))
    add_immutable_rule(HarborApi(client, harbor.host), "algorithms", ImmutableRule("latest"))
    before = set(job.repository.tags())
    following = replace(job, version=Version.parse("1.4.1"))
    with pytest.raises(Refused, match="latest is immutable"):
        release(following, build(following, harbor), start_record(following, ""))
    assert set(job.repository.tags()) == before


def test_a_missing_project_is_named_before_anything_is_built(
    job: Job, harbor: RunningHarbor, client: RegistryClient
) -> None:
    target = HarborTarget(HarborApi(client, harbor.host), "nope")
    gone = replace(job, work=replace(job.work, place=Place(harbor.host, "nope"), target=target))
    with pytest.raises(NotFound, match="project 'nope' does not exist"):
        check(gone)
