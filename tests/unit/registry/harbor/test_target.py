"""What Harbor adds to a push: project, immutable tags, quota, read-back, labels, scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.credentials import Credentials
from registry.errors import BadInput, CorruptContent, NotFound, Refused, RegistryError, Unauthorized
from registry.harbor import labels, projects, rules
from registry.harbor.api import HarborApi
from registry.harbor.problems import NotHarbor
from registry.harbor.projects import ProjectPolicy
from registry.harbor.rules import ImmutableRule
from registry.harbor.scan import NoScanner, ScanGate
from registry.harbor.target import HarborTarget
from registry.oci import Platform
from registry.origin import Origin
from registry.progress import SilentProgress
from registry.push import PushedImage, PushOptions
from registry.sandbox.harbor.double import HarborDouble
from registry.sandbox.harbor.state import Robot, Scanner, User
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from tests.unit.registry.harbor.doubled import LAYERS, PROJECT, add_robot, bench
from tests.unit.registry.harbor.scripted import harbor, refusal, reply

DRY = PushOptions(dry_run=True)


class Lines(SilentProgress):
    """A Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_an_image_is_pushed_and_harbor_says_the_same_of_it(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        outcome = given.push(document, "1.0", "latest")
        artifact = given.double.state.find_artifact(f"{PROJECT}/mnist", "latest")
        assert not outcome.unchanged
        assert artifact is not None
        assert artifact.document == document
        assert set(artifact.tags) == {"1.0", "latest"}
        assert outcome.tally.sent_bytes == sum(map(len, LAYERS)) + document.config.size


def test_nothing_to_do_takes_three_requests(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document)
    double = given.double
    with bench(tmp_path / "again", double, projects=()) as given:
        document = given.image()
        before = given.requests()
        assert given.push(document).unchanged
        assert given.requests() - before == 3


def test_nothing_to_do_with_labels_and_a_scan_takes_four_requests(tmp_path: Path) -> None:
    double = HarborDouble()
    double.state.scanner = Scanner(steps=("Success",))
    given_to_all: dict[str, Any] = {"labels": ("edge", "gpu"), "scan": ScanGate("critical")}
    with bench(tmp_path, double) as given:
        document = given.image()
        given.push(document, **given_to_all)
        before = given.requests()
        outcome = given.push(document, **given_to_all)
        assert outcome.unchanged
        assert given.requests() - before <= 4
        assert outcome.extra["labels"] == ["edge", "gpu"]


# --- the project ---


def test_a_missing_project_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        with pytest.raises(NotFound) as caught:
            given.push(given.image(), project="nope")
        assert str(caught.value) == (
            f"project 'nope' does not exist on {given.running.host}; add --create-project"
        )
        assert "nope" not in given.double.state.projects


def test_a_missing_project_is_made_private_and_by_the_policy(tmp_path: Path) -> None:
    policy = ProjectPolicy(quota=1 << 30, immutable=("*-l4t-*",), severity="critical")
    with bench(tmp_path) as given:
        given.push(given.image(), project="new", create_project=True, policy=policy)
        made = given.double.state.projects["new"]
        assert not made.public
        assert made.storage_limit == 1 << 30
        assert made.metadata["prevent_vul"] == "true"
        assert made.immutable("mnist", "1.0.0-l4t-r35.2.1")
        assert not made.immutable("mnist", "latest")


def test_a_quota_that_harbor_did_not_take_is_told(tmp_path: Path) -> None:
    double = HarborDouble()
    double.state.users["dev"] = User(99, "dev", "Dev-pass-1")
    lines = Lines()
    known = Credentials("dev", "Dev-pass-1")
    with bench(tmp_path, double, credentials=known) as given:
        given.push(given.image(), project="new", create_project=True,
                   policy=ProjectPolicy(quota=1 << 30), progress=lines)  # fmt: skip
    assert lines.lines == [
        "project new has no quota, not 1073741824 bytes: only an administrator may set one"
    ]


def test_a_rule_that_harbor_does_not_let_the_account_make_is_told(tmp_path: Path) -> None:
    double, lines = HarborDouble(), Lines()
    whole = [{"resource": "project", "action": "create"}]
    each = [{"resource": "repository", "action": action} for action in ("pull", "push")]
    permissions: list[dict[str, Any]] = [
        {"kind": "system", "namespace": "/", "access": whole},
        {"kind": "project", "namespace": "*", "access": each},
    ]
    robot = Robot(7, "robot$maker", "R0bot-secret", "system", permissions, -1, 0.0, -1)
    double.state.robots[7] = robot
    known = Credentials(robot.name, robot.secret)
    with bench(tmp_path, double, credentials=known) as given:
        given.push(given.image(), project="new", create_project=True,
                   policy=ProjectPolicy(immutable=("*-l4t-*",)), progress=lines)  # fmt: skip
        assert double.state.find_artifact("new/mnist", "1.0") is not None
    (line,) = lines.lines
    assert line.startswith("project new has no rule that holds tags *-l4t-*: robot$maker is not")


def test_a_dry_run_makes_no_project_and_tells_what_would_be_sent(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        outcome = given.push(document, project="new", create_project=True, options=DRY)
        assert outcome.tally.sent_bytes == sum(blob.size for blob in document.blobs())
        assert "new" not in given.double.state.projects
        small = ProjectPolicy(quota=5)
        with pytest.raises(Refused, match="has no room"):
            given.push(document, project="new", create_project=True, policy=small, options=DRY)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        outcome = given.push(given.image(), options=DRY, labels=("edge",), scan=ScanGate())
        assert outcome.tally.sent_bytes > 0
        assert not given.double.state.projects[PROJECT].repositories
        assert not given.double.state.labels


@pytest.mark.parametrize("name", ["Algorithms", "a/b", "", "a--b", "-a", "a" * 256])
def test_a_name_that_no_project_can_have(tmp_path: Path, name: str) -> None:
    with bench(tmp_path) as given, pytest.raises(BadInput):
        given.target(name)


def test_a_project_may_be_named_by_a_number(tmp_path: Path) -> None:
    with bench(tmp_path, projects=("2024",)) as given:
        given.push(given.image(), project="2024")
        assert projects.get(given.api, "2024").name == "2024"


def test_a_repository_may_have_more_levels(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.push(given.image(), name="team/vision/mnist", labels=("edge",))
        assert "team/vision/mnist" in given.double.state.projects[PROJECT].repositories


# --- who ---


def test_a_wrong_password_is_told_before_anything_else(tmp_path: Path) -> None:
    said = "does not accept the user name and password of 'admin'"
    wrong = Credentials("admin", "wrong")
    with bench(tmp_path, credentials=wrong) as given, pytest.raises(Unauthorized, match=said):
        given.push(given.image())


def test_a_robot_name_that_the_shell_has_eaten(tmp_path: Path) -> None:
    with bench(tmp_path, credentials=Credentials("robot+ci", "secret")) as given:
        with pytest.raises(Unauthorized) as caught:
            given.push(given.image())
        assert "single quotes" in caught.value.hint


def test_a_robot_for_pushing_alone_can_push(tmp_path: Path) -> None:
    double = HarborDouble()
    double.state.add_project(PROJECT)
    robot = add_robot(double, "repository:pull", "repository:push")
    with bench(tmp_path, double, projects=(), credentials=robot) as given:
        assert not given.push(given.image()).unchanged
        with pytest.raises(Refused, match="names another build"):
            given.push(given.image(b"other"))


def test_a_robot_that_may_not_look_is_still_told_of_an_immutable_tag(tmp_path: Path) -> None:
    double = HarborDouble()
    double.state.add_project(PROJECT)
    robot = add_robot(double, "repository:pull", "repository:push")
    with bench(tmp_path, double, projects=(), credentials=robot) as given:
        first = given.image()
        given.push(first, "1.0")
        double.state.projects[PROJECT].rules[1] = ImmutableRule("1.*", id=1).to_json()
        with pytest.raises(Refused, match="the tag is immutable"):
            given.push(given.image(b"other"), "1.0", options=PushOptions(force=True))
        assert given.push(first, "1.0").unchanged


def test_a_robot_cannot_read_a_base_in_another_private_project(tmp_path: Path) -> None:
    double = HarborDouble()
    double.state.add_project(PROJECT)
    double.state.add_project("nvcr")
    robot = add_robot(double, "repository:pull", "repository:push")
    with bench(tmp_path, double, projects=(), credentials=robot) as given:
        base = given.repository("l4t-base", project="nvcr")
        with pytest.raises(Unauthorized) as caught:
            base.manifest("r35.2.1")
        assert "missing permission: pull on nvcr/l4t-base" in caught.value.why
        assert "make nvcr public" in caught.value.hint
        double.state.projects["nvcr"].metadata["public"] = "true"
        with pytest.raises(NotFound):
            base.manifest("r35.2.1")


def test_a_robot_that_may_only_pull_is_told_what_it_lacks(tmp_path: Path) -> None:
    double = HarborDouble()
    double.state.add_project(PROJECT)
    robot = add_robot(double, "repository:pull")
    with bench(tmp_path, double, projects=(), credentials=robot) as given:
        with pytest.raises(Unauthorized) as caught:
            given.push(given.image())
        assert f"push on {PROJECT}/mnist" in str(caught.value)


def test_a_host_that_is_a_registry_but_no_harbor(tmp_path: Path) -> None:
    with bench(tmp_path) as given, serve(MemoryRegistry()) as host:
        target = HarborTarget(HarborApi(given.client, host), PROJECT)
        with pytest.raises(NotHarbor):
            target.prepare(given.client.repository(host, f"{PROJECT}/mnist"))


def test_a_harbor_in_read_only_mode_takes_nothing_new(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document)
        given.double.state.read_only = True
        assert given.push(document).unchanged
        before = given.client.bytes_sent
        with pytest.raises(RegistryError, match="read-only mode"):
            given.push(given.image(b"new"), "1.1")
        with pytest.raises(RegistryError, match="read-only mode"):
            given.push(document, project="new", create_project=True)
        assert given.client.bytes_sent - before < 1000


def test_nobody_pushes_to_a_proxy_cache(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.double.state.add_project("cache", registry_id=1)
        with pytest.raises(Refused, match="it is a proxy-cache project"):
            given.push(given.image(), project="cache")


# --- tags that must not move ---


def test_an_immutable_tag_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.push(given.image(), "1.0")
        rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("1.*"))
        before = given.client.bytes_sent
        with pytest.raises(Refused) as caught:
            given.push(given.image(b"other"), "1.0", options=PushOptions(force=True))
        assert "is immutable" in caught.value.what
        assert "tags 1.* in repositories **" in caught.value.why
        assert given.client.bytes_sent == before


def test_the_same_image_again_under_an_immutable_tag_is_no_error(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("**"))
        document = given.image()
        given.push(document)
        assert given.push(document).unchanged


def test_a_tag_that_no_rule_holds_moves(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("1.*"))
        given.push(given.image(), "1.0", "latest")
        given.push(given.image(b"next"), "1.1", "latest")


# --- quota ---


def test_a_quota_is_looked_at_before_anything_is_sent(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.double.state.projects[PROJECT].storage_limit = 10
        before = given.client.bytes_sent
        with pytest.raises(Refused) as caught:
            given.push(given.image(b"x" * 1000))
        assert "has no room" in caught.value.what
        assert "10 of its 10 are left" in caught.value.why
        assert given.client.bytes_sent == before


def test_a_quota_counts_only_what_is_missing(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.push(given.image(b"x" * 1000), "1.0")
        project = given.double.state.projects[PROJECT]
        project.storage_limit = project.used + 600
        given.push(given.image(b"x" * 1000, b"new"), "1.1")


def test_a_quota_is_told_on_a_dry_run_too(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.double.state.projects[PROJECT].storage_limit = 10
        with pytest.raises(Refused, match="has no room"):
            given.push(given.image(b"x" * 1000), options=DRY)


def test_a_quota_that_an_account_may_not_see_stops_a_base_before_it_is_sent(
    tmp_path: Path,
) -> None:
    base = b"x" * 100_000
    with bench(tmp_path, projects=(PROJECT, "nvcr")) as given:
        document = given.image(base, b"ours")
        given.push(document, project="nvcr", name="base")
        state = given.double.state
        state.projects["nvcr"].metadata["public"] = "true"
        state.projects[PROJECT].storage_limit = 1000
        robot = add_robot(given.double, "repository:pull", "repository:push")
    with bench(tmp_path / "robot", given.double, projects=(), credentials=robot) as given:
        document = given.image(base, b"ours")
        neighbour = given.repository("base", "nvcr")
        origin = Origin(neighbour, frozenset(blob.digest for blob in document.blobs()))
        with pytest.raises(Refused, match="quota has no room") as caught:
            given.push(document, origins=(origin,))
        assert "97.7 KiB of storage resource" in caught.value.why
        assert given.client.bytes_sent == 0
        assert state.find_artifact(f"{PROJECT}/mnist", "1.0") is None


def test_a_quota_counts_the_manifest_too(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image(b"x" * 1000)
        project = given.double.state.projects[PROJECT]
        blobs = sum(blob.size for blob in document.blobs())
        project.storage_limit = blobs + len(document.raw) - 1
        with pytest.raises(Refused, match="has no room"):
            given.push(document)
        assert given.client.bytes_sent == 0
        project.storage_limit += 1
        given.push(document)


# --- read back ---


def test_what_harbor_holds_is_compared_with_what_was_sent(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document)
        artifact = given.double.state.find_artifact(f"{PROJECT}/mnist", "1.0")
        assert artifact is not None
        size = sum(item.size for item in document.blobs())
        pushed = PushedImage(("1.0",), document.descriptor, Platform(), size)
        target, repository = given.target(), given.repository()
        target.verify(repository, pushed)
        artifact.size += 1
        with pytest.raises(CorruptContent, match="bytes, not"):
            target.verify(repository, pushed)
        artifact.size -= 1
        artifact.config["architecture"] = "amd64"
        with pytest.raises(CorruptContent, match="linux/amd64, not linux/arm64"):
            target.verify(repository, pushed)
        artifact.config["architecture"] = "arm64"
        artifact.tags.clear()
        with pytest.raises(CorruptContent, match=r"not on 1\.0"):
            target.verify(repository, pushed)


def test_a_layer_that_is_there_twice_counts_twice_in_harbor(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        assert not given.push(given.image(b"same", b"other", b"same")).unchanged


def test_a_project_that_keeps_back_what_is_vulnerable_is_pushed_to_all_the_same(
    tmp_path: Path,
) -> None:
    policy = ProjectPolicy(severity="high")
    bad = Scanner(steps=("Success",), counts={"Critical": 1})
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document, project="new", create_project=True, policy=policy)
        pulled = given.repository(project="new")
        with pytest.raises(Refused, match="the project's policy forbids it") as caught:
            pulled.manifest("1.0")
        assert "without vulnerability scanning" in caught.value.why
        for scanner, passes in ((bad, False), (Scanner(steps=("Success",)), True)):
            given.double.state.scanner = scanner
            gate = ScanGate(interval=0.01, max_age=0.0)
            assert given.push(document, project="new", scan=gate).unchanged
            if passes:
                assert pulled.manifest("1.0") == document
            else:
                with pytest.raises(Refused, match="the project's policy forbids it"):
                    pulled.manifest("1.0")


# --- labels ---


def test_labels_are_made_where_missing_and_put_on_once(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        for _ in range(2):
            outcome = given.push(document, labels=("edge", "gpu", "edge"))
            assert outcome.extra == {"labels": ["edge", "gpu"]}
        state = given.double.state
        assert sorted(label["name"] for label in state.labels.values()) == ["edge", "gpu"]
        artifact = state.find_artifact(f"{PROJECT}/mnist", "1.0")
        assert artifact is not None
        assert len(artifact.labels) == 2


def test_a_label_that_another_push_makes_meanwhile_will_do() -> None:
    taken = refusal("POST", "/labels", 409, "CONFLICT", "label edge already exists", once=True)
    ours = reply("GET", "/labels", [{"id": 7, "name": "edge"}])
    nothing = [reply("GET", "/labels", [], once=True) for _ in "pg"]
    with harbor(*nothing, taken, ours) as (api, _):
        assert labels.find_or_create(api, 1, "edge") == 7


# --- scans ---


def scanned(tmp_path: Path, scanner: Scanner, gate: ScanGate) -> dict[str, object]:
    with bench(tmp_path) as given:
        given.double.state.scanner = scanner
        return dict(given.push(given.image(), scan=gate).extra["scan"])


FAST = ScanGate(interval=0.01)


def test_a_scan_is_started_awaited_and_recorded(tmp_path: Path) -> None:
    found = scanned(tmp_path, Scanner(counts={"High": 2, "Low": 7}, fixable=3), FAST)
    assert found["state"] == "done"
    assert found["severity"] == "High"
    assert found["counts"] == {"high": 2, "low": 7}
    assert (found["total"], found["fixable"]) == (9, 3)
    assert found["scanner"] == "Trivy v0.50.1"
    assert found["finished"]


def test_a_scan_tells_how_far_it_is(tmp_path: Path) -> None:
    progress = Lines()
    with bench(tmp_path) as given:
        given.push(given.image(), scan=FAST, progress=progress)
    assert progress.lines == [
        "scan of mnist: asked for, nothing to be seen of it yet",
        "scan of mnist: queued",
        "scan of mnist: running",
        "scan of mnist: nothing found",
    ]


def test_a_gate_refuses_what_is_as_bad_or_worse(tmp_path: Path) -> None:
    scanner = Scanner(counts={"Critical": 1, "High": 2, "Medium": 4}, fixable=5)
    with pytest.raises(Refused) as caught:
        scanned(tmp_path, scanner, ScanGate("high", interval=0.01))
    assert caught.value.exit_code == 3
    assert "found 1 critical, 2 high; the limit is high" in caught.value.why


def test_a_gate_lets_pass_what_is_not_so_bad(tmp_path: Path) -> None:
    found = scanned(tmp_path, Scanner(counts={"High": 2}), ScanGate("critical", interval=0.01))
    assert found["severity"] == "High"


def test_a_scanner_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoScanner) as caught:
        scanned(tmp_path, Scanner(present=False), FAST)
    assert "without --scan" in caught.value.hint


@pytest.mark.parametrize(
    ("last", "said"),
    [("", "nothing to be seen of it"), ("Pending", "queued"), ("Running", "running")],
)
def test_a_scan_without_a_verdict_says_how_far_it_is(tmp_path: Path, last: str, said: str) -> None:
    gate = ScanGate(interval=0.01, timeout=0.05)
    with pytest.raises(RegistryError) as caught:
        scanned(tmp_path, Scanner(steps=("", last)), gate)
    assert said in caught.value.why


@pytest.mark.parametrize(("last", "said"), [("Error", "failed"), ("Stopped", "was stopped")])
def test_a_scan_that_ends_without_a_verdict(tmp_path: Path, last: str, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        scanned(tmp_path, Scanner(steps=("", "Running", last)), FAST)


def test_a_scan_that_runs_already_will_do(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document)
        given.api.change(
            "POST", f"/projects/{PROJECT}/repositories/mnist/artifacts/1.0/scan", "scan"
        )
        assert given.push(document, scan=FAST).extra["scan"]["state"] == "done"


def test_an_old_verdict_is_no_verdict_but_a_fresh_one_is(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.double.state.scanner = Scanner(steps=("Success",))
        document = given.image()
        given.push(document, scan=FAST)
        given.double.state.scanner = Scanner(steps=("", "Success"), counts={"Critical": 1})
        fresh = given.push(document, scan=FAST).extra["scan"]
        assert fresh["total"] == 0
        again = given.push(document, scan=ScanGate(interval=0.01, max_age=0.0)).extra["scan"]
        assert again["counts"] == {"critical": 1}
