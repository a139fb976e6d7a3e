"""`imgctl harbor robot`, called in this process against a double of Harbor."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from registry.credentials import Credentials
from registry.harbor.robots import PUSH
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor
from registry.sandbox.harbor.state import Robot
from tests.unit.imgctl.harbors import PROJECT, administrated, log_in
from tests.unit.imgctl.records import Call
from tests.unit.registry.harbor.doubled import add_robot

CI = f"robot${PROJECT}+ci"
DAY = 24 * 3600


@pytest.fixture
def harbor(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHarbor]:
    with administrated(monkeypatch) as running:
        yield running


def only(running: RunningHarbor) -> Robot:
    (robot,) = running.double.state.robots.values()
    return robot


def test_an_account_is_made_and_its_password_is_in_the_file_alone(
    call: Call, harbor: RunningHarbor, tmp_path: Path
) -> None:
    code, out, err = call("harbor", "robot", "create", "ci", "--for", "push", "--secret-file", "ci")
    robot = only(harbor)
    assert (code, err) == (0, "")
    assert f"robot {CI}" in out
    assert (tmp_path / "ci").read_text() == f"{robot.secret}\n"
    assert (tmp_path / "ci").stat().st_mode & 0o777 == 0o600
    assert robot.secret not in out
    assert robot.duration == 90
    code, out, _ = call("harbor", "robot", "create", "ci", "--for", "push", "--secret-file", "ci")
    assert (code, out.split()[0]) == (0, "there")
    assert only(harbor).secret == robot.secret


def test_a_password_has_a_place_unless_another_is_named(
    call: Call, harbor: RunningHarbor, tmp_path: Path
) -> None:
    for word in ("made", "there"):
        code, out, err = call("harbor", "robot", "create", "ci", "--for", "push")
        assert (code, out.split()[0]) == (0, word), err
    file = tmp_path / "harbor-secrets" / PROJECT / "ci.secret"
    assert file.read_text() == f"{only(harbor).secret}\n"
    assert call("harbor", "robot", "rotate", CI)[0] == 0
    assert file.read_text() == f"{only(harbor).secret}\n"


def test_a_password_is_printed_alone_when_asked(call: Call, harbor: RunningHarbor) -> None:
    code, out, err = call("harbor", "robot", "create", "edge", "--show-secret", "--days", "-1")
    assert (code, out) == (0, f"{only(harbor).secret}\n")
    assert "never expires" in err
    code, out, _ = call("harbor", "robot", "rotate", "edge", "--show-secret", "--format", "json")
    value = json.loads(out)
    assert (value["secret"], value["expires_at"]) == (only(harbor).secret, -1)


def test_an_account_gets_one_more_permission(call: Call, harbor: RunningHarbor) -> None:
    call("harbor", "robot", "create", "ci", "--show-secret")
    code, out, _ = call("harbor", "robot", "create", "ci", "--allow", "artifact:delete",
                        "--show-secret")  # fmt: skip
    assert (code, "may artifact:delete now" in out) == (0, True)
    code, out, err = call("harbor", "robot", "create", "ci", "--allow", "foo:bar", "--show-secret")
    assert (code, out) == (2, "")
    assert "there is no permission foo:bar" in err


def test_a_dry_run_makes_and_rotates_nothing(
    call: Call, harbor: RunningHarbor, tmp_path: Path
) -> None:
    where = ("--secret-file", "deep/ci", "--dry-run")
    assert call("harbor", "robot", "create", "ci", *where)[1].startswith("would make")
    assert harbor.double.state.robots == {}
    call("harbor", "robot", "create", "ci", "--show-secret")
    before = only(harbor).secret
    code, out, _ = call("harbor", "robot", "rotate", "ci", *where)
    assert (code, out.startswith("would rotate")) == (0, True)
    assert only(harbor).secret == before
    assert list(tmp_path.iterdir()) == []


def test_a_rotated_account_has_a_new_password_and_a_new_life(
    call: Call, harbor: RunningHarbor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("harbor", "robot", "create", "ci", "--secret-file", "ci")
    robot = only(harbor)
    old, robot.expires_at = robot.secret, int(time.time()) - DAY
    files = ("--secret-file", "ci", "--pull-secret", "pull.yaml")
    code, out, err = call("harbor", "robot", "rotate", "ci", *files)
    assert (code, err) == (0, "")
    assert "password in ci, Secret in pull.yaml" in out
    new = (tmp_path / "ci").read_text().strip()
    assert new == robot.secret != old
    assert robot.expires_at == pytest.approx(time.time() + 90 * DAY, abs=2 * DAY)
    manifest = yaml.safe_load((tmp_path / "pull.yaml").read_text())
    assert new in manifest["stringData"][".dockerconfigjson"]
    log_in(monkeypatch, harbor, Credentials(CI, new))
    assert call("harbor", "robot", "check")[0] == 0


def test_accounts_are_listed(call: Call, harbor: RunningHarbor) -> None:
    for name in ("ci", "edge"):
        call("harbor", "robot", "create", name, "--show-secret")
    code, out, _ = call("harbor", "robot", "list")
    assert (code, len(out.splitlines())) == (0, 2)
    assert out.startswith(f"{CI}  until 20")
    listed = json.loads(call("harbor", "robot", "list", "--format", "json")[1])
    assert [item["name"] for item in listed] == [CI, f"robot${PROJECT}+edge"]
    assert not any("secret" in item for item in listed)


def test_check_names_what_is_missing_for_which_command(call: Call, harbor: RunningHarbor) -> None:
    call("harbor", "robot", "create", "edge", "--show-secret")
    code, out, _ = call("harbor", "robot", "check", "edge")
    assert code == 0
    lines = [re.split(r" {2,}", line.strip()) for line in out.splitlines()[1:]]
    assert ["docker pull", "an edge device pulls", "yes"] in lines
    release = ["imgctl release", "signatures and attestations", "no, lacks repository:push"]
    assert release in lines
    assert call("harbor", "robot", "check", "edge", "--for", "push")[0] == 1
    assert call("harbor", "robot", "check", "edge", "--for", "docker pull")[0] == 0
    call("harbor", "robot", "create", "edge", "--for", "push", "--show-secret")
    assert call("harbor", "robot", "check", "edge", "--for", "push")[0] == 0


def test_an_account_checks_itself_by_harmless_questions(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = repr(harbor.double.state.projects)
    log_in(monkeypatch, harbor, add_robot(harbor.double, "repository:pull", "project:read"))
    value = json.loads(call("harbor", "robot", "check", "--format", "json")[1])
    found = {(item["command"], item["what"]): item for item in value["uses"]}
    assert found["imgctl push", "blobs, manifests, tags"]["missing"] == ["repository:push"]
    assert found["docker pull", "an edge device pulls"]["missing"] == []
    assert found["imgctl harbor status", "project and quota"]["missing"] == ["quota:read"]
    assert "scan:create" in found["imgctl push --scan", "the scan's verdict"]["unknown"]
    assert repr(harbor.double.state.projects) == before


def test_what_an_account_for_ci_is_given_is_all_that_is_ever_needed(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, harbor, add_robot(harbor.double, *map(str, PUSH)))
    value = json.loads(call("harbor", "robot", "check", "--format", "json")[1])
    # Taking tags off is not what CI is for.
    lacks = [item["command"] for item in value["uses"] if item["missing"]]
    assert [command for command in lacks if "--delete" not in command] == []


@pytest.mark.parametrize("state", ["disabled", "expired"])
def test_check_says_that_an_account_is_of_no_use_any_more(
    call: Call, harbor: RunningHarbor, state: str
) -> None:
    call("harbor", "robot", "create", "ci", "--for", "push", "--show-secret")
    if state == "disabled":
        only(harbor).disable = True
    else:
        only(harbor).expires_at = int(time.time()) - DAY
    code, _, err = call("harbor", "robot", "check", "ci", "--for", "push")
    assert (code, state in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("create", "ci", "--show-secret", "--days", "0"), 2, "-1 for no end"),
        (("create", "ci", "--show-secret", "--secret-file", "x"), 2, "give either"),
        (("create", CI, "--show-secret"), 2, "write 'ci'"),
        (("create", "C I", "--show-secret"), 2, "cannot be the name of a robot account"),
        (("create", "ci", "--show-secret", "--allow", "pull"), 2, "write RESOURCE:ACTION"),
        (("create", "ci", "--show-secret", "--project", "nope"), 1, "project 'nope'"),
        (("rotate", "nope", "--show-secret"), 1, "has no robot account 'nope'"),
        (("check", "nope"), 1, "it has none"),
        (("check", "--for", "pish"), 2, "nothing is known of permissions for 'pish'"),
        (("check", "--project", "nope"), 1, "project 'nope' does not exist"),
    ],
)
def test_bad_input_is_named(
    call: Call, harbor: RunningHarbor, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = call("harbor", "robot", *arguments)
    assert result[:2] == (code, "")
    assert says in result[2]


def test_who_may_not_see_accounts_is_told(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = add_robot(harbor.double, "project:read")
    log_in(monkeypatch, harbor, robot)
    code, _, err = call("harbor", "robot", "list")
    assert code == 1
    assert f"{robot.username} is not allowed to list the robot accounts" in err


def test_an_account_may_make_another_though_it_may_not_see_what_is_offered(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("project:read", "robot:create", "robot:list", "repository:pull")
    maker = add_robot(harbor.double, *more)
    log_in(monkeypatch, harbor, maker)
    code, _, err = call("harbor", "robot", "create", "edge", "--show-secret")
    assert code == 0, err
    assert call("harbor", "robot", "check", "edge", "--for", "docker pull")[0] == 0
    code, out, _ = call("harbor", "robot", "create", "ci", "--for", "push", "--show-secret")
    assert code == 1
    assert "refused" in out
    assert "must be equal to or more restrictive than the creator robot's permissions" in out


def test_old_harbors_take_any_permission(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    double = HarborDouble(version="v2.5.6-8a21dd5f")
    with administrated(monkeypatch, double):
        code, _, err = call("harbor", "robot", "create", "ci", "--for", "push", "--show-secret")
        assert code == 0, err
        assert call("harbor", "robot", "check", "ci", "--for", "push")[0] == 0
