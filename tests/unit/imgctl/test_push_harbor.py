"""`imgctl push --harbor`, called in this process against a double of Harbor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import Refused
from registry.oci import Document, sha256
from registry.sandbox.harbor.double import RunningHarbor, harbor_double
from registry.sandbox.harbor.state import Scanner, User
from tests.unit.imgctl.builds import BASE_LAYER, make_build, put_base
from tests.unit.imgctl.records import TAG, Call
from tests.unit.registry.harbor.doubled import add_robot

BASE = "nvcr/nvidia/l4t-base"
PROJECT = "algorithms"
SELECTORS = {
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "*-l4t-*"}],
    "scope_selectors": {
        "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
    },
}


@pytest.fixture
def harbor(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHarbor]:
    """A Harbor with the base in project nvcr, and an empty project; its administrator pushes."""
    with harbor_double(projects=("nvcr", PROJECT)) as running:
        credentials = Credentials(running.username, running.password)
        with RegistryClient(RegistryOptions(credentials=lambda host: credentials)) as client:
            put_base(client.repository(running.host, BASE, push=True))
        monkeypatch.setenv("IMGCTL_HARBOR", running.host)
        log_in(monkeypatch, credentials)
        yield running


def log_in(monkeypatch: pytest.MonkeyPatch, credentials: Credentials) -> None:
    monkeypatch.setenv("IMGCTL_USERNAME", credentials.username)
    monkeypatch.setenv("IMGCTL_PASSWORD", credentials.password)


@pytest.fixture
def build(tmp_path: Path, harbor: RunningHarbor) -> Path:
    """A build of mnist on that base."""
    return make_build(tmp_path / "dist", base=(harbor.host, BASE))


def artifact_of(harbor: RunningHarbor, name: str = f"{PROJECT}/mnist") -> Any:
    return harbor.double.state.find_artifact(name, TAG)


def test_a_build_goes_to_the_default_project_and_its_base_is_mounted(
    call: Call, harbor: RunningHarbor, build: Path
) -> None:
    code, out, err = call("push", "--format", "json")
    assert code == 0, err
    record = json.loads(out)
    digest = json.loads((build / "build.json").read_text())["digest"]
    assert record["reference"] == f"{harbor.host}/{PROJECT}/mnist:{TAG}@{digest}"
    assert record["bytes"]["mounted"] == len(BASE_LAYER)
    assert record["requests"] <= 12
    assert artifact_of(harbor).document.digest == digest
    assert json.loads((build / "push.json").read_text()) == record


def test_nothing_to_do_takes_three_requests(call: Call, harbor: RunningHarbor, build: Path) -> None:
    first = call("push")
    second = call("push")
    assert second[:2] == first[:2] == (0, first[1])
    assert second[2] == "  already there, 3 requests\n"


def test_a_missing_project_is_named_and_made_when_asked(
    call: Call, harbor: RunningHarbor, build: Path
) -> None:
    code, out, err = call("push", "--project", "nope")
    assert (code, out) == (1, "")
    assert err == (
        f"imgctl: project 'nope' does not exist on {harbor.host}\n  fix: add --create-project\n"
    )
    assert call("push", "--project", "nope", "--create-project")[0] == 0
    assert not harbor.double.state.projects["nope"].public
    assert artifact_of(harbor, "nope/mnist") is not None


def test_a_project_may_be_named_by_a_number(call: Call, harbor: RunningHarbor, build: Path) -> None:
    harbor.double.state.add_project("2024")
    assert call("push", "--project", "2024")[0] == 0
    assert artifact_of(harbor, "2024/mnist") is not None


def test_a_wrong_password_is_tried_once_however_many_images_there_are(
    call: Call, harbor: RunningHarbor, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_build(build.parents[1], "gpu-test")
    log_in(monkeypatch, Credentials("admin", "Wr0ng-pass"))
    code, out, err = call("push")
    assert (code, out) == (1, "")
    assert err.count("imgctl: ") == 1
    assert "does not accept the user name and password of 'admin'" in err
    assert "Wr0ng" not in err


def test_a_robot_account_pushes_with_the_least_of_rights(
    call: Call, harbor: RunningHarbor, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = add_robot(harbor.double, "repository:pull", "repository:push")
    (account,) = harbor.double.state.robots.values()
    account.permissions += [
        {
            "kind": "project",
            "namespace": "nvcr",
            "access": [{"resource": "repository", "action": "pull"}],
        }
    ]
    log_in(monkeypatch, robot)
    code, out, err = call("push", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["blobs"]["mounted"] == 1


def test_a_robot_that_may_not_push_is_told_what_it_lacks(
    call: Call, harbor: RunningHarbor, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = add_robot(harbor.double, "repository:pull")
    log_in(monkeypatch, robot)
    code, _, err = call("push")
    assert code == 1
    assert f"{robot.username} is not allowed to push to" in err
    assert "missing permission: push on algorithms/mnist" in err
    assert artifact_of(harbor) is None


def test_labels_and_the_scan_are_in_the_record(
    call: Call, harbor: RunningHarbor, build: Path
) -> None:
    harbor.double.state.scanner = Scanner(steps=("", "Success"), counts={"High": 2}, fixable=1)
    code, out, err = call(
        "push", "--label", "edge", "--scan", "--fail-on", "critical", "--format", "json"
    )
    assert code == 0, err
    record = json.loads(out)
    assert record["labels"] == ["edge"]
    assert record["scan"]["counts"] == {"high": 2}


def test_a_scan_above_the_limit_is_exit_3_and_leaves_no_record(
    call: Call, harbor: RunningHarbor, build: Path
) -> None:
    harbor.double.state.scanner = Scanner(steps=("Success",), counts={"Critical": 1})
    code, out, err = call("push", "--fail-on", "critical")
    assert (code, out) == (3, "")
    assert "found 1 critical" in err
    assert not (build / "push.json").exists()
    assert not (build / "pod.yaml").exists()


def test_without_a_scanner_that_is_said(call: Call, harbor: RunningHarbor, build: Path) -> None:
    harbor.double.state.scanner = Scanner(present=False)
    code, _, err = call("push", "--scan")
    assert code == 1
    assert "Harbor has no scanner for it" in err


def test_an_immutable_tag_does_not_move(
    call: Call, harbor: RunningHarbor, build: Path, tmp_path: Path
) -> None:
    call("push")
    before = artifact_of(harbor).document.digest
    harbor.double.state.projects[PROJECT].rules[1] = {"id": 1, "disabled": False, **SELECTORS}
    assert call("push")[0] == 0  # the same again is no move
    make_build(tmp_path / "dist", base=(harbor.host, BASE), script=b"changed")
    code, out, err = call("push", "--force")
    assert (code, out) == (3, "")
    assert "is immutable" in err
    assert artifact_of(harbor).document.digest == before


def test_too_small_a_quota_is_told_before_a_byte_is_sent(
    call: Call, harbor: RunningHarbor, build: Path
) -> None:
    harbor.double.state.projects[PROJECT].storage_limit = 10
    code, out, err = call("push")
    assert (code, out) == (3, "")
    assert "has no room" in err
    assert harbor.double.state.projects[PROJECT].blobs.keys() <= {sha256(BASE_LAYER)}


def test_read_only_mode_is_told(call: Call, harbor: RunningHarbor, build: Path) -> None:
    harbor.double.state.read_only = True
    code, _, err = call("push")
    assert code == 1
    assert f"{harbor.host} is in read-only mode" in err


def test_a_dry_run_changes_nothing(call: Call, harbor: RunningHarbor, build: Path) -> None:
    code, _, err = call("push", "--dry-run", "--label", "new", "--scan")
    assert code == 0
    assert "would have sent" in err
    assert harbor.double.state.projects[PROJECT].repositories == {}
    assert harbor.double.state.labels == {}
    assert not (build / "push.json").exists()


def test_a_proxy_cache_project_takes_no_push(
    call: Call, harbor: RunningHarbor, build: Path
) -> None:
    harbor.double.state.add_project("cache", registry_id=1)
    code, out, err = call("push", "--project", "cache")
    assert (code, out) == (3, "")
    assert "it is a proxy-cache project" in err


def test_a_project_is_made_by_the_policy_in_the_settings_file(
    call: Call, harbor: RunningHarbor, build: Path, tmp_path: Path
) -> None:
    policy = 'harbor_project:\n  quota: 5GB\n  immutable: ["*-l4t-*"]\n'
    (tmp_path / "imgctl.yaml").write_text(policy)
    assert call("push", "--project", "made", "--create-project")[0] == 0
    made = harbor.double.state.projects["made"]
    assert made.storage_limit == 5_000_000_000
    assert made.immutable("mnist", TAG)


def test_an_immutable_tag_that_another_push_of_the_same_build_has_set_meanwhile_is_fine(
    call: Call, harbor: RunningHarbor, build: Path
) -> None:
    call("push")
    rule = {"id": 1, "disabled": False, **SELECTORS}
    harbor.double.state.projects[PROJECT].rules[1] = rule
    credentials = Credentials(harbor.username, harbor.password)
    with RegistryClient(RegistryOptions(credentials=lambda host: credentials)) as client:
        repository = client.repository(harbor.host, f"{PROJECT}/mnist", push=True)
        document = repository.manifest(TAG)
        repository.put_manifest(document, TAG)
        value = {**document.value, "annotations": {"other": "image"}}
        with pytest.raises(Refused):
            repository.put_manifest(Document.of(value, document.media_type), TAG)


@pytest.mark.parametrize("state", ["disabled", "expired"])
def test_an_account_that_is_of_no_use_any_more_may_be_why_a_password_is_wrong(
    call: Call,
    harbor: RunningHarbor,
    build: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
) -> None:
    log_in(monkeypatch, add_robot(harbor.double, "repository:pull", "repository:push"))
    (account,) = harbor.double.state.robots.values()
    account.disable, account.expires_at = state == "disabled", 1 if state == "expired" else -1
    code, _, err = call("push")
    assert code == 1
    assert "an account that has expired or is disabled is refused so too" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--project", "No_pe!"), "'No_pe!' cannot be the name of a Harbor project"),
        (("--project", "a/b"), "'a/b' cannot be the name of a Harbor project"),
        (("--harbor", "h.example/team"), "names more than a host"),
        (("--username", "robot+ci"), "write it in single quotes"),
    ],
)
def test_what_cannot_be_a_project_or_a_host_is_said_before_anything_is_asked(
    call: Call, build: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = call("push", *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_a_robots_name_with_two_dollars_is_recognised(
    call: Call, harbor: RunningHarbor, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, Credentials("robot$$algorithms+ci", "S3cret-pass"))
    code, _, err = call("push")
    assert code == 1
    assert "a robot account's name has one $" in err


def test_who_logs_in_by_single_sign_on_pushes_with_the_cli_secret(
    call: Call, harbor: RunningHarbor, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = harbor.double.state
    state.users["dev"] = User(9, "dev", "cli-secret", single_sign_on=True)
    state.projects[PROJECT].owner = "dev"
    state.projects["nvcr"].metadata["public"] = "true"
    log_in(monkeypatch, Credentials("dev", "cli-secret"))
    assert call("push")[0] == 0
    assert artifact_of(harbor) is not None
    assert call("push")[2] == "  already there, 6 requests\n"
    code, _, err = call("push", "--label", "edge")
    assert code == 1
    assert "dev is not allowed to look at" in err
    assert "a CLI secret of single sign-on is good for pushing and pulling alone" in err
    assert "fix: log in as a robot account that may do it" in err
    log_in(monkeypatch, Credentials("dev", "wr0ng"))
    assert "does not accept the user name and password of 'dev'" in call("push")[2]
