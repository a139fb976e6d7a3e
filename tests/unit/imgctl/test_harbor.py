"""`imgctl harbor`, called in this process against a double of Harbor."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from registry.credentials import Credentials
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor
from tests.unit.imgctl.harbors import PROJECT, administrated, log_in
from tests.unit.imgctl.records import Call
from tests.unit.registry.harbor.doubled import add_robot

DAY = 24 * 3600


@pytest.fixture
def harbor(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHarbor]:
    with administrated(monkeypatch) as running:
        yield running


# --- init ---


def test_init_makes_all_a_pipeline_needs_and_the_second_time_nothing(
    call: Call, harbor: RunningHarbor
) -> None:
    command = ("harbor", "init", "--project", "new", "--quota", "200GB", "--secrets", "secrets")
    code, out, err = call(*command)
    assert (code, err) == (0, "")
    assert {line.split()[0] for line in out.splitlines()} == {"made"}
    project = harbor.double.state.projects["new"]
    assert project.storage_limit == 200 * 1000**3
    assert project.immutable("mnist", "1.0.0-l4t-r35.2.1")
    assert [robot.name for robot in harbor.double.state.robots.values()] == [
        "robot$new+ci", "robot$new+edge"
    ]  # fmt: skip
    code, out, err = call(*command)
    assert (code, err) == (0, "")
    assert {line.split()[0] for line in out.splitlines()} == {"there"}


def test_secrets_go_to_files_for_their_owner_alone_and_nowhere_else(
    call: Call, harbor: RunningHarbor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call("harbor", "init", "--secrets", "secrets", "--format", "json")
    assert code == 0, err
    ci, edge = harbor.double.state.robots.values()
    folder = tmp_path / "secrets"
    files = {path.name: path for path in folder.iterdir()}
    assert set(files) == {"ci.secret", "edge.secret", "harbor-pull.yaml"}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert files["ci.secret"].read_text() == f"{ci.secret}\n"
    for secret in (ci.secret, edge.secret, harbor.password):
        assert secret not in out + err
    manifest = yaml.safe_load(files["harbor-pull.yaml"].read_text())
    logins = json.loads(manifest["stringData"][".dockerconfigjson"])["auths"]
    assert list(logins) == [harbor.host]
    pair = base64.b64decode(logins[harbor.host]["auth"]).decode()
    assert pair == f"{edge.name}:{edge.secret}"
    log_in(monkeypatch, harbor, Credentials(ci.name, files["ci.secret"].read_text().strip()))
    assert call("harbor", "status")[0] == 0


def test_secrets_have_a_place_that_git_leaves_alone_unless_another_is_named(
    call: Call, harbor: RunningHarbor, tmp_path: Path
) -> None:
    for word in ("made", "there"):
        code, out, _ = call("harbor", "init")
        assert code == 0
        assert f"{word:<8}  robot robot${PROJECT}+ci" in out
    folder = tmp_path / "harbor-secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    names = sorted(path.name for path in (folder / PROJECT).iterdir())
    assert names == ["ci.secret", "edge.secret", "harbor-pull.yaml"]
    old = (folder / PROJECT / "edge.secret").read_text().strip()
    assert call("harbor", "robot", "rotate", "edge")[0] == 0
    new = (folder / PROJECT / "edge.secret").read_text().strip()
    manifest = (folder / PROJECT / "harbor-pull.yaml").read_text()
    assert new != old
    assert (new in manifest, old in manifest) == (True, False)


def test_accounts_that_are_not_wanted_are_not_made(call: Call, harbor: RunningHarbor) -> None:
    assert call("harbor", "init", "--push-robot", "", "--pull-robot", "")[0] == 0
    assert harbor.double.state.robots == {}


def test_a_secret_of_another_account_is_not_overwritten(
    call: Call, harbor: RunningHarbor, tmp_path: Path
) -> None:
    (tmp_path / "ci.secret").write_text("precious")
    code, _, err = call("harbor", "init", "--secrets", ".")
    assert code == 2
    assert "ci.secret is there already" in err
    assert (tmp_path / "ci.secret").read_text() == "precious"
    assert harbor.double.state.robots == {}


def test_a_dry_run_changes_nothing(call: Call, harbor: RunningHarbor, tmp_path: Path) -> None:
    code, out, _ = call("harbor", "init", "--project", "new", "--secrets", "secrets", "--dry-run")
    assert code == 0
    assert all(line.startswith("would make") for line in out.splitlines())
    assert "new" not in harbor.double.state.projects
    assert harbor.double.state.robots == {}
    assert not (tmp_path / "secrets").exists()


def test_the_settings_file_says_how_and_flags_stand_above_it(
    call: Call, harbor: RunningHarbor, tmp_path: Path
) -> None:
    text = 'harbor_project:\n  quota: 5GB\n  immutable: ["rel-*"]\n  severity: high\n'
    (tmp_path / "imgctl.yaml").write_text(text)
    code, _, err = call("harbor", "init", "--quota", "7GB", "--keep", "0")
    assert code == 0, err
    project = harbor.double.state.projects[PROJECT]
    assert project.storage_limit == 7 * 1000**3
    assert project.immutable("x", "rel-1")
    assert not project.immutable("x", "1-l4t-r35.2.1")
    assert project.metadata["severity"] == "high"
    assert harbor.double.state.retentions == {}


def test_an_account_that_may_not_do_it_ends_in_1_with_the_reason(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = add_robot(harbor.double, "project:read", "repository:push")
    log_in(monkeypatch, harbor, robot)
    code, out, _ = call("harbor", "init", "--quota", "1GB")
    assert code == 1
    assert f"{robot.username} is not allowed to" in out
    assert out.count("refused") >= 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--project", "Bad"), "cannot be the name of a Harbor project"),
        (("--quota", "12x"), "is not a size"),
        (("--immutable", ""), "'' is no pattern for tags"),
        (("--immutable", "rel-["), "'rel-[' is no pattern for tags"),
        (("--keep-schedule", "daily"), "six fields"),
        (("--keep-schedule", "* * * * * *"), "seconds (always 0)"),
        (("--proxy-cache", "Bad"), "cannot be the name of a Harbor project"),
        (("--proxy-cache", PROJECT), "cannot be its own proxy cache"),
        (("--proxy-cache", "cache", "--upstream", "nvcr.io"), "write https://nvcr.io"),
        (("--public-cache",), "goes with --proxy-cache"),
        (("--replicate", "nvidia/l4t-base"), "names no tag"),
        (("--replicate", "nvidia/L4T:1"), "lower case"),
        (("--replicate", "nvidia/x:1", "--replicate-to", "Bad"), "cannot be the name"),
        (("--push-robot", "C I"), "cannot be the name of a robot account"),
        (("--push-robot", "ci", "--pull-robot", "ci"), "both accounts would be 'ci'"),
        (("--secrets", "s", "--secret-name", "A B"), "secret name"),
        (("--secrets", "s", "--namespace", "A B"), "namespace"),
        (("--days", "0"), "-1 for no end"),
        (("--harbor", "https://h.example"), "is given as a URL"),
        (("--harbor", "h.example/team"), "names more than a host"),
        (("--username", "robot+ci"), "whose $… the shell took"),
    ],
)
def test_bad_input_is_named(
    call: Call, harbor: RunningHarbor, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = call("harbor", "init", *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_who_has_no_login_is_told_how_to_get_one(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMGCTL_USERNAME")
    code, _, err = call("harbor", "init")
    assert code == 1
    assert f"run: imgctl login {harbor.host}" in err
    monkeypatch.delenv("IMGCTL_HARBOR")
    code, _, err = call("harbor", "init")
    assert (code, "which Harbor?" in err) == (2, True)


def test_init_makes_a_proxy_cache_of_nvidias_registry_when_asked(
    call: Call, harbor: RunningHarbor
) -> None:
    for state in ("made", "there"):
        code, out, err = call("harbor", "init", "--proxy-cache", "cache")
        assert code == 0, err
        assert out.splitlines()[-1].startswith(f"{state:<8}  proxy cache cache")
    assert harbor.double.state.projects["cache"].registry_id


def test_init_makes_a_replication_rule_of_nvidias_registry_when_asked(
    call: Call, harbor: RunningHarbor
) -> None:
    tags = ("nvidia/l4t-base:r35.2.1", "nvcr.io/nvidia/l4t-jetpack:r35.2.1")
    rules = [part for tag in tags for part in ("--replicate", tag)]
    for state in ("would make", "made", "there"):
        more = ("--dry-run",) if state == "would make" else ()
        code, out, err = call("harbor", "init", *rules, *more)
        assert code == 0, err
        assert out.splitlines()[-1].startswith(state)
        assert "nvidia/{l4t-base,l4t-jetpack}:r35.2.1" in out
    (policy,) = harbor.double.state.policies.values()
    assert (policy["dest_namespace"], policy["trigger"]) == ("nvcr", {"type": "manual"})


# --- status ---


def test_status_tells_version_quota_rules_and_accounts(call: Call, harbor: RunningHarbor) -> None:
    call("harbor", "init", "--quota", "200GB", "--secrets", "secrets")
    code, out, err = call("harbor", "status")
    assert (code, err) == (0, "")
    for part in ("v2.12.2", "healthy", f"{PROJECT}: private", "0 B used, of 200 GB", "scan, SBOM",
                 "*-l4t-*", "robot$algorithms+ci", "until 20"):  # fmt: skip
        assert part in out
    value = json.loads(call("harbor", "status", "--format", "json")[1])
    assert value["healthy"]
    assert value["project"]["quota"]["left"] == 200 * 1000**3
    assert [robot["days_left"] for robot in value["robots"]] == [90.0, 90.0]
    assert value["warnings"] == []


def test_status_warns_of_what_somebody_should_look_after(call: Call, harbor: RunningHarbor) -> None:
    call("harbor", "init", "--quota", "1000", "--secrets", "secrets")
    state = harbor.double.state
    ci, edge = state.robots.values()
    ci.expires_at, edge.expires_at = int(time.time()) + 5 * DAY, int(time.time()) - DAY
    state.projects[PROJECT].blobs["sha256:" + "0" * 64] = 900
    state.read_only = True
    code, _, err = call("harbor", "status")
    assert code == 0
    assert "robot$algorithms+ci expires in 5 days: imgctl harbor robot rotate ci" in err
    assert "robot$algorithms+edge has expired" in err
    assert "the quota is 90% full" in err
    assert "read-only mode" in err


def test_status_of_a_project_that_is_not_there(call: Call, harbor: RunningHarbor) -> None:
    code, out, err = call("harbor", "status", "--project", "nope")
    assert (code, "nope: none" in out) == (1, True)
    assert "imgctl harbor init makes it" in err


def test_status_shows_what_an_account_may_see(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, harbor, add_robot(harbor.double, "repository:pull"))
    code, out, _ = call("harbor", "status")
    assert (code, f"{PROJECT}: not shown" in out) == (0, True)
    value = json.loads(call("harbor", "status", "--format", "json")[1])
    assert value["project"] == {"name": PROJECT, "exists": True}
    assert value["robots"] is None


def test_a_wrong_password_and_a_host_that_is_no_harbor_are_named(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCTL_PASSWORD", "Wr0ng-pass")
    for command in ("status", "init"):
        code, _, err = call("harbor", command)
        assert code == 1
        assert "does not accept the user name and password of 'admin'" in err
        assert "Wr0ng" not in err
    code, _, err = call("harbor", "status", "--harbor", "127.0.0.1:9")
    assert (code, "127.0.0.1:9" in err) == (1, True)


@pytest.mark.parametrize("version", ["v2.5.6-8a21dd5f", "v2.16.0-c50c7ddd"])
def test_the_oldest_and_the_newest_harbor(
    call: Call, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with administrated(monkeypatch, HarborDouble(version=version)):
        code, out, err = call("harbor", "init", "--secrets", "secrets")
        assert code == 0, err
        assert ("none, 2.11 was first" in out) is version.startswith("v2.5")
        assert call("harbor", "status")[0] == 0
