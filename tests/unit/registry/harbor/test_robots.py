"""Robot accounts, on a double of Harbor."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import RegistryError, Unauthorized
from registry.harbor import projects, robots
from registry.harbor.api import HarborApi
from registry.harbor.problems import Conflict
from registry.harbor.robots import FOREVER, PULL, PUSH, Access, Robot
from registry.sandbox.harbor.state import Robot as Kept
from tests.unit.registry.harbor.doubled import PROJECT, Bench, bench

DAY = 24 * 3600


def login(given: Bench, username: str, password: str) -> bool:
    """Whether the double accepts this password."""
    known = Credentials(username, password)
    with RegistryClient(RegistryOptions(credentials=lambda host: known)) as client:
        try:
            HarborApi(client, given.running.host).check_login()
        except Unauthorized:
            return False
    return True


def age(account: Kept, days: int) -> None:
    """Have an account in the double be so many days older."""
    account.created -= days * DAY
    account.creation_time = datetime.fromtimestamp(account.created, UTC).isoformat()
    if account.expires_at >= 0:
        account.expires_at -= days * DAY


def test_an_account_is_made_seen_and_deleted(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        made = robots.create(given.api, PROJECT, "ci", PUSH, days=30, description="for CI")
        assert made.name == f"robot${PROJECT}+ci"
        assert made.secret not in repr(made)
        assert made.expires_at == pytest.approx(time.time() + 30 * DAY, abs=60)
        assert login(given, made.name, made.secret)
        (robot,) = robots.listing(given.api, projects.get(given.api, PROJECT))
        assert (robot.id, robot.name, robot.description) == (made.id, made.name, "for CI")
        assert all(robot.may(PROJECT, access) for access in PUSH)
        assert not robot.may("other", Access("repository", "push"))
        assert not robot.may(PROJECT, Access("artifact", "delete"))
        assert robots.listing(given.api) == []
        assert robots.delete(given.api, robot)
        assert not robots.delete(given.api, robot)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        robots.create(given.api, PROJECT, "edge", PULL)
        with pytest.raises(Conflict, match="make robot account edge"):
            robots.create(given.api, PROJECT, "edge", PULL)


def test_an_account_with_the_permissions_for_pushing_can_do_all_a_push_does(
    tmp_path: Path,
) -> None:
    with bench(tmp_path) as given:
        made = robots.create(given.api, PROJECT, "ci", PUSH)
    known = Credentials(made.name, made.secret)
    with bench(tmp_path / "ci", given.double, projects=(), credentials=known) as given:
        outcome = given.push(given.image(), labels=("edge",))
        assert outcome.extra["labels"] == ["edge"]


def test_a_new_secret_ends_the_old_one(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        made = robots.create(given.api, PROJECT, "ci", PULL, days=30)
        (robot,) = robots.listing(given.api, projects.get(given.api, PROJECT))
        new = robots.rotate(given.api, robot)
        assert not login(given, made.name, made.secret)
        assert login(given, new.name, new.secret)
        assert new.expires_at == made.expires_at


def test_a_life_is_lengthened_from_now(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        robots.create(given.api, PROJECT, "ci", PULL, days=30)
        (kept,) = given.double.state.robots.values()
        age(kept, 20)
        (robot,) = robots.listing(given.api, projects.get(given.api, PROJECT))
        new = robots.rotate(given.api, robot, days=30)
        assert new.expires_at == pytest.approx(time.time() + 30 * DAY, abs=DAY)
        forever = robots.rotate(given.api, robot, days=FOREVER)
        assert forever.expires_at == -1


def test_an_account_without_an_end_gets_one_counted_from_now(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        robots.create(given.api, PROJECT, "ci", PULL, days=FOREVER)
        (kept,) = given.double.state.robots.values()
        age(kept, 400)
        (robot,) = robots.listing(given.api, projects.get(given.api, PROJECT))
        new = robots.rotate(given.api, robot, days=30)
        assert new.expires_at == pytest.approx(time.time() + 30 * DAY, abs=DAY)


@pytest.mark.parametrize("created", ["", "soon", "0001-01-01T00:00:00.000Z"])
def test_a_life_is_lengthened_where_nothing_tells_when_it_began(created: str) -> None:
    now = 1_800_000_000.0
    ends = int(now) + 5 * DAY
    robot = Robot.from_json({"creation_time": created, "duration": 30, "expires_at": ends})
    assert robot.lasting(30, now).duration == 55


def test_nobody_changes_the_name_of_an_account(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        robots.create(given.api, PROJECT, "ci", PULL)
        (robot,) = robots.listing(given.api, projects.get(given.api, PROJECT))
        with pytest.raises(RegistryError, match="change robot account other"):
            robots.change(given.api, replace(robot, name="other"))


def test_permissions_for_every_project_and_denied_ones() -> None:
    access = [{"resource": "repository", "action": "pull"},
              {"resource": "repository", "action": "push", "effect": "deny"}]  # fmt: skip
    everywhere = {"kind": "project", "namespace": "*", "access": access}
    system = {"kind": "system", "namespace": "/", "access": access}
    robot = Robot.from_json({"level": "system", "permissions": [system, everywhere]})
    assert robot.may("any", Access("repository", "pull"))
    assert not robot.may("any", Access("repository", "push"))
    assert robot.namespaces == ("/", "*")


@pytest.mark.parametrize(("expires", "left"), [(-1, None), (1100, 100.0), (900, -100.0)])
def test_how_long_an_account_lives(expires: int, left: float | None) -> None:
    assert Robot.from_json({"expires_at": expires}).seconds_left(1000.0) == left
