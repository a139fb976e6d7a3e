"""A project brought to a wish, on a double of Harbor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from registry.credentials import Credentials
from registry.errors import Refused, Unauthorized
from registry.harbor import accounts, projects, robots
from registry.harbor.accounts import RobotWish
from registry.harbor.projects import ProjectPolicy
from registry.harbor.robots import PULL, PUSH, NewRobot
from registry.harbor.rules import Retention
from registry.harbor.setup import ProjectWish, set_up_project
from registry.harbor.steps import State, Step
from registry.sandbox.harbor.double import HarborDouble
from registry.sandbox.harbor.state import User
from tests.unit.registry.harbor.doubled import PROJECT, Bench, add_robot, bench

POLICY = ProjectPolicy(quota=1 << 30, auto_sbom=True, immutable=("*-l4t-*",), severity="high")
WISH = ProjectWish("new", POLICY, retention=Retention(5, "*-l4t-*"))
OLD = "v2.5.6-8a21dd5f"


def steps(given: Bench, wish: ProjectWish = WISH, *, dry_run: bool = False) -> dict[str, Step]:
    return {step.what: step for step in set_up_project(given.api, wish, dry_run=dry_run)}


def states(found: dict[str, Step]) -> set[State]:
    return {step.state for step in found.values()}


def test_a_project_is_made_and_the_second_time_nothing_is_changed(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        assert states(steps(given)) == {State.MADE}
        project = given.double.state.projects["new"]
        assert not project.public
        assert project.metadata["auto_sbom_generation"] == "true"
        assert project.metadata["severity"] == "high"
        assert project.storage_limit == 1 << 30
        assert project.immutable("any/where", "1.0.0-l4t-r35.2.1")
        assert not project.immutable("any/where", "latest")
        before = repr((project, given.double.state.retentions))
        assert states(steps(given)) == {State.THERE}
        assert repr((project, given.double.state.retentions)) == before


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        said = steps(given, dry_run=True)
        assert "new" not in given.double.state.projects
        assert {what: step.detail for what, step in said.items()} == {
            what: step.detail for what, step in steps(given).items()
        }
        wish = replace(WISH, name=PROJECT)
        said = steps(given, wish, dry_run=True)
        assert given.double.state.projects[PROJECT].metadata == {"public": "false"}
        done = steps(given, wish)
        assert {what: step.state for what, step in said.items()} == {
            what: step.state for what, step in done.items()
        }


def test_what_differs_is_changed_and_says_how_it_was(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        steps(given)
        project = given.double.state.projects["new"]
        project.metadata |= {"auto_scan": "false"}
        (rule,) = project.rules.values()
        rule["disabled"] = True
        found = steps(given, replace(WISH, policy=replace(POLICY, quota=2 << 30), public=True))
        assert found["auto-scan"] == Step("auto-scan", State.CHANGED, "on", "off")
        assert found["visibility"] == Step("visibility", State.CHANGED, "public", "private")
        assert found["quota"].before == f"{1 << 30} bytes"
        assert found["immutable tags"] == Step(
            "immutable tags", State.CHANGED, "*-l4t-*", "disabled"
        )
        assert (project.public, project.storage_limit) == (True, 2 << 30)
        assert len(project.rules) == 1
        assert project.immutable("x", "1-l4t-r35.2.1")


def test_what_was_on_goes_off_when_asked(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        steps(given)
        off = replace(WISH, policy=replace(POLICY, auto_scan=False, auto_sbom=False))
        for state in (State.CHANGED, State.THERE):
            found = steps(given, off)
            assert {found[what].state for what in ("auto-scan", "auto-SBOM")} == {state}
        metadata = given.double.state.projects["new"].metadata
        assert metadata["auto_scan"] == metadata["auto_sbom_generation"] == "false"
        plain = steps(given, replace(off, name=PROJECT))
        assert {plain[what].state for what in ("auto-scan", "auto-SBOM")} == {State.THERE}


def test_a_public_project_is_not_closed_unasked(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.double.state.projects[PROJECT].metadata["public"] = "true"
        found = steps(given, replace(WISH, name=PROJECT))
        assert found[f"project {PROJECT}"].detail == "public"
        assert given.double.state.projects[PROJECT].public


def test_somebody_elses_retention_stays_unless_asked(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        steps(given)
        other = replace(WISH, retention=Retention(50))
        found = steps(given, other)["retention"]
        assert (found.state, "left as it is" in found.detail) == (State.THERE, True)
        found = steps(given, replace(other, replace_retention=True))["retention"]
        assert (found.state, found.before) == (State.CHANGED, "another policy")
        (policy,) = given.double.state.retentions.values()
        assert policy["rules"][0]["params"] == {"latestPushedK": 50}


def test_an_old_harbor_gets_what_it_knows(tmp_path: Path) -> None:
    with bench(tmp_path, HarborDouble(version=OLD)) as given:
        found = steps(given)
        assert found["auto-SBOM"] == Step(
            "auto-SBOM", State.SKIPPED, "Harbor v2.5.6 has none, 2.11 was first"
        )
        assert states(found) == {State.MADE, State.SKIPPED}


def test_an_account_that_may_not_is_told_what_and_the_rest_goes_on(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        robot = add_robot(given.double, "project:read", "project:update", "quota:read")
    with bench(tmp_path / "r", given.double, projects=(), credentials=robot) as given:
        found = steps(given, replace(WISH, name=PROJECT))
        assert found["auto-scan"].state is State.CHANGED
        assert found["quota"].state is State.REFUSED
        assert found["immutable tags"].state is State.REFUSED
        assert robot.username in found["immutable tags"].detail


def test_whoever_may_make_projects_makes_one_though_told_that_it_is_forbidden(
    tmp_path: Path,
) -> None:
    with bench(tmp_path) as given:
        given.double.state.users["dev"] = User(9, "dev", "S3cret-pass")
    dev = Credentials("dev", "S3cret-pass")
    with bench(tmp_path / "dev", given.double, projects=(), credentials=dev) as given:
        wish = replace(WISH, name="mine", policy=replace(POLICY, quota=None))
        assert states(steps(given, wish)) == {State.MADE}
        assert states(steps(given, wish)) == {State.THERE}
        with pytest.raises(Unauthorized, match="dev is not allowed to look at project algorithms"):
            steps(given, replace(wish, name=PROJECT))


def test_a_proxy_cache_is_no_project_to_push_to(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.double.state.add_project("cache", registry_id=1)
        with pytest.raises(Refused, match="is a proxy cache"):
            steps(given, replace(WISH, name="cache"))


# --- robot accounts ---


def put_away(made: NewRobot) -> str:
    return f"{len(made.secret)} characters"


def test_an_account_is_made_once_and_its_secret_is_put_away(tmp_path: Path) -> None:
    wish = RobotWish("ci", PUSH, 30)
    with bench(tmp_path) as given:
        project = projects.get(given.api, PROJECT)
        (step,) = accounts.set_up_robot(given.api, project, wish, put_away)
        assert step.what == f"robot robot${PROJECT}+ci"
        assert step.state is State.MADE
        assert step.detail.endswith("32 characters")
        (step,) = accounts.set_up_robot(given.api, project, wish, put_away)
        assert step.state is State.THERE
        assert len(given.double.state.robots) == 1


def test_an_account_whose_secret_cannot_be_put_away_is_taken_back(tmp_path: Path) -> None:
    def fail(made: NewRobot) -> str:
        raise OSError("no space left")

    with bench(tmp_path) as given:
        project = projects.get(given.api, PROJECT)
        with pytest.raises(OSError, match="no space"):
            list(accounts.set_up_robot(given.api, project, RobotWish("ci", PUSH), fail))
        assert given.double.state.robots == {}


def test_an_account_gets_what_it_lacks(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        project = projects.get(given.api, PROJECT)
        robots.create(given.api, PROJECT, "ci", PULL)
        wish = RobotWish("ci", PUSH)
        (step,) = accounts.set_up_robot(given.api, project, wish, put_away, dry_run=True)
        assert (step.state, "may not repository:push" in step.detail) == (State.CHANGED, True)
        (step,) = accounts.set_up_robot(given.api, project, wish, put_away)
        assert (step.state, "repository:push" in step.detail) == (State.CHANGED, True)
        robot = accounts.get(given.api, project, "ci")
        assert all(robot.may(PROJECT, access) for access in PUSH)


def test_an_account_is_given_only_what_a_version_offers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.sandbox.harbor import robots as doubled

    without = {key: item for key, item in doubled.PROJECT_PERMISSIONS.items() if key != "scan"}
    monkeypatch.setattr(doubled, "PROJECT_PERMISSIONS", without)
    with bench(tmp_path) as given:
        accounts.create(given.api, PROJECT, RobotWish("ci", PUSH), put_away)
        (robot,) = given.double.state.robots.values()
        given_resources = {item["resource"] for item in robot.permissions[0]["access"]}
        assert "scan" not in given_resources
        assert "repository" in given_resources


@pytest.mark.parametrize(
    ("expires", "says"),
    [(-1, "never expires"), (86400 * 3, "until 1970-01-04"), (86400, "expired since 1970-01-02")],
)
def test_the_end_of_an_account_in_words(expires: int, says: str) -> None:
    assert accounts.expiry(expires, now=86400 * 2) == says
