"""Every request we send to Harbor, and every reply we test with, as its OpenAPI file has them."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from registry.credentials import Credentials
from registry.errors import ImgctlError
from registry.harbor import (
    artifacts,
    gc,
    labels,
    projects,
    registries,
    replication,
    robots,
    rules,
    scan,
)
from registry.harbor.accounts import RobotWish, set_up_robot
from registry.harbor.overview import overview
from registry.harbor.probe import probe
from registry.harbor.projects import ProjectPolicy
from registry.harbor.proxy import set_up_proxy_cache
from registry.harbor.registries import Endpoint
from registry.harbor.replication import Replication, set_up_replication
from registry.harbor.robots import PULL, PUSH
from registry.harbor.rules import ImmutableRule, Retention
from registry.harbor.scan import ScanGate
from registry.harbor.setup import ProjectWish, set_up_project
from registry.harbor.target import HarborTarget
from registry.layout import LayoutStore
from registry.oci import Platform
from registry.push import PushOptions, PushRequest, push
from registry.sandbox.harbor.double import HarborDouble
from registry.sandbox.harbor.state import Scanner
from tests.contract.openapi import Exchange, OpenApi
from tests.contract.recorder import Wire, wire
from tests.unit.registry.images import put_image

PROJECT = "algorithms"
POLICY = ProjectPolicy(quota=1 << 30, auto_sbom=True, immutable=("*-l4t-*",), severity="critical")
# What Harbor really answers where its file says otherwise or nothing; each was seen.
KNOWN: dict[tuple[str, str, int], str] = {
    ("HEAD", r"/projects", 401): "the look for a project is for callers with a login",
    ("POST", r"/tags", 201): "comes without a Location",
    ("POST", r"/scan", 409): "a scan is under way already",
    ("POST", r"/scan", 412): "there is no scanner",
    ("POST", r"/robots", 409): "there is an account by that name",
    ("POST", r"/immutabletagrules", 409): "the project has the rule already",
    ("DELETE", r"/artifacts/[^/]+", 412): "a tag is immutable",
    ("DELETE", r"/tags/[^/]+", 412): "the tag is immutable",
    ("GET", r"/robots", 403): "the caller may not see accounts",
}


def image(given: Wire, path: Path, tags: tuple[str, ...], project: str, **options: object) -> None:
    """Push an image with all that HarborTarget can do."""
    layout = LayoutStore.create(path / f"layout-{len(given.exchanges)}")
    document = put_image(layout, "build", b"base", str(options.pop("layer", "script")).encode())
    target = HarborTarget(given.api, project, **options)  # type: ignore[arg-type]
    repository = given.client.repository(given.host, f"{project}/team/mnist", push=True)
    request = PushRequest("mnist", layout, document.digest, tags, frozenset(tags[:1]), Platform())
    dry_run = bool(options.get("dry_run"))
    push(request, repository, target, options=PushOptions(dry_run=dry_run))


def push_with_everything(given: Wire, path: Path) -> None:
    """Into a project that is made, with labels and a scan; twice; and a dry run."""
    given.double.state.scanner = Scanner(counts={"High": 1})
    gate = ScanGate("critical", interval=0.01)
    for _ in range(2):
        image(given, path, ("1.0", "latest"), "new", create_project=True, policy=POLICY,
              labels=("edge", "gpu"), scan=gate)  # fmt: skip
    image(given, path, ("1.1",), "new", layer="other", dry_run=True)


def push_refused(given: Wire, path: Path) -> None:
    """No such project, an immutable tag, no scanner, a scan twice, no room."""
    with suppress(ImgctlError):
        image(given, path, ("1.0",), "nope")
    image(given, path, ("1.0",), PROJECT)
    given.double.state.scanner = Scanner(present=False)
    with suppress(ImgctlError):
        image(given, path, ("1.0",), PROJECT, scan=ScanGate())
    given.double.state.scanner = Scanner()
    artifact = artifacts.get(given.api, PROJECT, "team/mnist", "1.0")
    scan.start(given.api, PROJECT, "team/mnist", artifact.digest)
    scan.start(given.api, PROJECT, "team/mnist", artifact.digest)
    rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("1.0"))
    with suppress(ImgctlError):
        image(given, path, ("1.0",), PROJECT, layer="other")
    given.double.state.projects[PROJECT].storage_limit = 1
    with suppress(ImgctlError):
        image(given, path, ("1.1",), PROJECT, layer="other")


def look_after_projects(given: Wire, path: Path) -> None:
    """Projects, quotas, rules, retention."""
    api = given.api
    projects.create(api, "p", ProjectPolicy(public=True))
    projects.create(api, "p", POLICY)
    assert projects.find(api, "nope") is None
    project = projects.get(api, "p")
    projects.set_metadata(api, "p", {"public": "false", "auto_sbom_generation": "true"})
    projects.set_quota(api, project, 5 << 30)
    quota = projects.quota(api, "p")
    assert quota is not None
    assert quota.left == 5 << 30
    assert projects.repositories(api, "p") == []
    rules.add_immutable_rule(api, "p", ImmutableRule("v*", tags_excluded=True))
    rules.add_immutable_rule(api, "p", ImmutableRule("v*", tags_excluded=True))
    for rule in rules.immutable_rules(api, "p"):
        rules.delete_immutable_rule(api, "p", rule)
        rules.delete_immutable_rule(api, "p", rule)
    rules.set_retention(api, project, Retention(5, "*-l4t-*", "0 0 3 * * *"))
    project = projects.get(api, "p")
    rules.set_retention(api, project, Retention(7))
    assert rules.retention(api, project) is not None


def look_after_artifacts(given: Wire, path: Path) -> None:
    """Tags, labels, copies, deletions."""
    api, repository = given.api, "team/mnist"
    image(given, path, ("1.0", "latest"), PROJECT, labels=("edge",))
    artifacts.add_tag(api, PROJECT, repository, "1.0", "stable")
    with suppress(ImgctlError):
        artifacts.add_tag(api, PROJECT, repository, "1.0", "stable")
    artifacts.copy(api, f"{PROJECT}/{repository}:1.0", PROJECT, "elsewhere/mnist")
    assert [item.tags for item in artifacts.listing(api, PROJECT, "elsewhere/mnist", scan=True)]
    assert list(artifacts.listing(api, PROJECT, "no-such", tags=False)) == []
    found = artifacts.get(api, PROJECT, repository, "latest", labels=True, scan=True)
    number = labels.find(api, found.project_id, "edge")
    assert number is not None
    labels.add(api, PROJECT, repository, "1.0", number)
    assert artifacts.find(api, PROJECT, repository, "no-such") is None
    rules.add_immutable_rule(api, PROJECT, ImmutableRule("1.0", "team/**"))
    for refused in (artifacts.delete, artifacts.delete_tag):
        with suppress(ImgctlError):
            refused(api, PROJECT, repository, "1.0")
    gc.wait(api, gc.start(api, dry_run=True, delete_untagged=True))
    artifacts.delete_tag(api, PROJECT, repository, "stable")
    artifacts.delete_tag(api, PROJECT, repository, "stable")
    artifacts.delete(api, PROJECT, "elsewhere/mnist", found.digest)
    artifacts.delete(api, PROJECT, "elsewhere/mnist", found.digest)


def look_after_robots(given: Wire, path: Path) -> None:
    """Accounts made, changed and deleted; and what one for pushing alone is refused."""
    api = given.api
    made = robots.create(api, PROJECT, "ci", PUSH, days=30)
    robots.create(api, PROJECT, "edge", PULL)
    with suppress(ImgctlError):
        robots.create(api, PROJECT, "edge", PULL)
    robots.listing(api)
    for robot in robots.listing(api, projects.get(api, PROJECT)):
        made = robots.rotate(api, robot, days=60) if robot.id == made.id else made
    with given.another(Credentials(made.name, made.secret)) as robot_wire:
        image(robot_wire, path, ("1.0",), PROJECT, labels=("edge",))
        with suppress(ImgctlError):
            robots.listing(robot_wire.api)
    for robot in robots.listing(api, projects.get(api, PROJECT)):
        robots.delete(api, robot)


def set_projects_up(given: Wire, path: Path) -> None:
    """All that `imgctl harbor init` and `harbor status` ask, for who may and who may not."""
    wish = ProjectWish("new", POLICY, True, Retention(5, "*-l4t-*"), True)
    for wanted in (wish, wish, replace(wish, public=False, retention=Retention(6))):
        steps = list(set_up_project(given.api, wanted))
        assert steps
    project = projects.get(given.api, "new")
    (rule,) = rules.immutable_rules(given.api, "new")
    rules.change_immutable_rule(given.api, "new", replace(rule, disabled=True))
    assert [step.what for step in set_up_project(given.api, wish)]
    for access in (PULL, PUSH, PUSH):
        robot = RobotWish("ci", access, 30)
        assert list(set_up_robot(given.api, project, robot, lambda made: "kept"))
    assert overview(given.api, "new").exists
    assert probe(given.api, "new")
    assert not overview(given.api, "nope").exists
    made = robots.create(given.api, "new", "edge", PULL)
    with given.another(Credentials(made.name, made.secret)) as other:
        assert overview(other.api, "new").exists
        assert probe(other.api, "new")
        with suppress(ImgctlError):
            assert list(set_up_project(other.api, wish))


def bring_bases(given: Wire, path: Path) -> None:
    """An endpoint, a proxy cache, a replication that is made, changed and run."""
    nvcr = Endpoint("nvcr.io", "https://nvcr.io", username="$oauthtoken", password="key")
    for _ in range(2):
        assert len(list(set_up_proxy_cache(given.api, "cache", nvcr))) == 2
    endpoint = registries.find(given.api, nvcr.url)
    assert endpoint is not None
    for tags in (("1",), ("1", "2")):
        wish = Replication("bases", ("nvidia/a", "nvidia/b"), tags, PROJECT)
        assert list(set_up_replication(given.api, endpoint, wish))
    assert replication.run(given.api, "bases")


def come_as_nobody(given: Wire, path: Path) -> None:
    """Without a login, and with a wrong password."""
    for credentials in (None, Credentials("admin", "wrong")):
        with given.another(credentials) as other, suppress(ImgctlError):
            image(other, path, ("1.0",), PROJECT)


SCENARIOS = [push_with_everything, push_refused, look_after_projects, look_after_artifacts,
             look_after_robots, set_projects_up, bring_bases, come_as_nobody]  # fmt: skip


@pytest.mark.parametrize("version", ["v2.9.5-0d4b8f6a", "v2.16.0-c50c7ddd"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda item: item.__name__)
def test_what_goes_over_the_wire_is_harbors(
    openapi: OpenApi, tmp_path: Path, scenario: Callable[[Wire, Path], None], version: str
) -> None:
    with wire(HarborDouble(version=version)) as given:
        scenario(given, tmp_path)
    assert given.exchanges
    assert problems(openapi, given.exchanges) == []


def problems(openapi: OpenApi, exchanges: list[Exchange]) -> list[str]:
    """All that the file would not have, but for what Harbor itself does against it."""
    found = []
    for exchange in exchanges:
        found += openapi.problems_of_request(exchange)
        if not is_known(exchange):
            found += openapi.problems_of_reply(exchange)
    return sorted(set(found))


def is_known(exchange: Exchange) -> bool:
    """Whether Harbor is known to answer so against its file."""
    return any(
        (exchange.method, exchange.status) == (method, status)
        and re.search(f"{end}$", exchange.path) is not None
        for method, end, status in KNOWN
    )


def test_what_is_wrong_is_found(openapi: OpenApi) -> None:
    """The check itself must be able to fail."""
    sent = {"content-type": "application/json", "cookie": "sid=1"}
    wrong = Exchange(
        "POST", "/api/v2.0/projects?colour=red", sent, b'{"name": "p", "storage_limit": "1 GiB"}',
        418, {}, b"",
    )  # fmt: skip
    text = "\n".join(problems(openapi, [wrong]))
    for part in ("colour", "cookie", "'name' was unexpected", "storage_limit", "not declared"):
        assert part in text
    unknown = Exchange("GET", "/api/v2.0/flavours", {}, b"", 200, {}, b"")
    assert "no such operation" in problems(openapi, [unknown])[0]


def test_no_function_that_asks_harbor_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: set[str] = set()
    every: set[str] = set()

    def watch(name: str, function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def watched(*arguments: object, **more: object) -> object:
            asked.add(name)
            return function(*arguments, **more)

        return watched

    for module in (artifacts, labels, projects, robots, rules, scan):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters), "")
            if first == "api" and function.__module__ == module.__name__ and name[0] != "_":
                label = f"{module.__name__}.{name}"
                every.add(label)
                monkeypatch.setattr(module, name, watch(label, function))
    for number, scenario in enumerate(SCENARIOS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with wire() as given:
            scenario(given, folder)
    assert len(every) > 20
    assert every - asked == set()
