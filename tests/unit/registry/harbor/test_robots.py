"""Robot accounts, on a double of Harbor."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import RegistryError, Unauthorized
from registry.harbor import projects, robots
from registry.harbor.api import HarborApi
from registry.harbor.problems import Conflict
from registry.harbor.robots import FOREVER, PULL, PUSH, Access, Robot
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
        kept.created -= 20 * DAY
        kept.expires_at -= 20 * DAY
        (robot,) = robots.listing(given.api, projects.get(given.api, PROJECT))
        new = robots.rotate(given.api, robot, days=30)
        assert new.expires_at == pytest.approx(time.time() + 30 * DAY, abs=DAY)
        forever = robots.rotate(given.api, replace(robot, duration=50), days=FOREVER)
        assert forever.expires_at == -1


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
