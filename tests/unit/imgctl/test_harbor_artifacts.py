"""`imgctl harbor artifacts`, `tag`, `copy` and `gc`, called against a double of Harbor."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.oci import OCI_CONFIG, OCI_MANIFEST, Document
from registry.sandbox.harbor.double import RunningHarbor
from registry.sandbox.harbor.state import Artifact, Scan
from tests.unit.imgctl.harbors import PROJECT, administrated, log_in
from tests.unit.imgctl.records import Call
from tests.unit.registry.harbor.doubled import add_robot
from tests.unit.registry.images import blob, chunks_of, put_image

NAME = "team/mnist"
LAYER = b"a layer " * 1000


@pytest.fixture
def harbor(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHarbor]:
    """A Harbor with two versions of an image, the first of them signed."""
    with administrated(monkeypatch) as running:
        known = Credentials(running.username, running.password)
        with RegistryClient(RegistryOptions(credentials=lambda host: known)) as client:
            repository = client.repository(running.host, f"{PROJECT}/{NAME}", push=True)
            first = put_image(repository, "1.0", LAYER, b"first")
            put_image(repository, "2.0", LAYER, b"second")
            repository.push_blob(blob(b"{}"), chunks_of(b"{}"))
            signature = {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": "application/vnd.example.signature",
                "config": blob(b"{}", OCI_CONFIG).to_json(),
                "layers": [blob(b"first").to_json()],
                "subject": first.descriptor.to_json(),
            }
            repository.put_manifest(Document.of(signature, OCI_MANIFEST))
        yield running


def at(running: RunningHarbor, reference: str, name: str = f"{PROJECT}/{NAME}") -> Artifact:
    found = running.double.state.find_artifact(name, reference)
    assert found is not None
    return found


def hold(running: RunningHarbor, pattern: str, project: str = PROJECT) -> None:
    """A rule on immutable tags."""
    running.double.state.projects[project].rules[999] = {
        "id": 999,
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": pattern}],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
        },
    }


# --- artifacts ---


def test_a_project_is_listed_newest_first_without_signatures(
    call: Call, harbor: RunningHarbor
) -> None:
    artifact = at(harbor, "1.0")
    artifact.scan = Scan("1", ["Success"], {"High": 2}, 1)
    code, out, err = call("harbor", "artifacts")
    assert (code, err) == (0, "")
    newest, oldest = out.splitlines()
    assert newest.startswith(f"{NAME}@sha256:")
    assert "linux/arm64" in newest
    assert "2.0" in newest
    assert newest.endswith("not scanned")
    assert oldest.endswith("scan: 2 high")
    value = json.loads(call("harbor", "artifacts", NAME, "--format", "json")[1])
    assert [item["tags"] for item in value] == [["2.0"], ["1.0"]]
    assert value[1]["digest"] == artifact.document.digest
    assert value[1]["size"] == artifact.size


def test_a_repository_that_is_not_there_is_told(call: Call, harbor: RunningHarbor) -> None:
    code, out, err = call("harbor", "artifacts", "nope")
    assert (code, out) == (0, "")
    assert f"{PROJECT}/nope holds nothing" in err
    code, _, err = call("harbor", "artifacts", "--project", "nope")
    assert (code, "project 'nope' does not exist" in err) == (1, True)


def test_an_account_that_may_only_list_can_list(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = add_robot(harbor.double, "repository:list", "artifact:list", "artifact:read")
    log_in(monkeypatch, harbor, robot)
    code, out, err = call("harbor", "artifacts")
    assert (code, err) == (0, "")
    assert "mnist@" in out
    assert call("harbor", "robot", "check", "--for", "harbor artifacts")[0] == 0


# --- tag ---


def test_tags_are_made_and_moved_in_one_step_each(call: Call, harbor: RunningHarbor) -> None:
    code, out, _ = call("harbor", "tag", f"{NAME}:1.0", "stable", "latest")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["made", "made"])
    code, out, _ = call("harbor", "tag", f"{NAME}:2.0", "latest")
    assert (code, out.split()[0]) == (0, "changed")
    assert at(harbor, "1.0").document.digest in out
    assert set(at(harbor, "2.0").tags) == {"2.0", "latest"}
    assert set(at(harbor, "1.0").tags) == {"1.0", "stable"}
    code, out, _ = call("harbor", "tag", f"{NAME}:2.0", "latest", "--format", "json")
    assert [item["state"] for item in json.loads(out)["tags"]] == ["there"]


def test_a_tag_that_a_rule_holds_stays_and_so_do_the_others(
    call: Call, harbor: RunningHarbor
) -> None:
    hold(harbor, "1.*")
    code, out, err = call("harbor", "tag", f"{NAME}:2.0", "latest", "1.0")
    assert (code, out) == (3, "")
    assert f"{NAME}:1.0 is immutable and names another image" in err
    assert "tags 1.*" in err
    assert set(at(harbor, "2.0").tags) == {"2.0"}
    assert call("harbor", "tag", f"{NAME}:1.0", "1.0")[0] == 0
    call("harbor", "tag", f"{NAME}:1.0", "old")
    for more in ((), ("--dry-run",)):
        code, out, err = call("harbor", "tag", NAME, "old", "1.0", "--delete", *more)
        assert (code, out) == (3, "")
        assert f"{NAME}:1.0 is immutable" in err
        assert "tags 1.*" in err
        assert set(at(harbor, "1.0").tags) == {"1.0", "old"}


def test_an_account_that_may_not_look_at_rules_is_told_by_harbor(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(harbor, "1.*")
    robot = add_robot(harbor.double, "repository:pull", "artifact:read", "tag:delete")
    log_in(monkeypatch, harbor, robot)
    code, _, err = call("harbor", "tag", NAME, "1.0", "--delete")
    assert (code, "the tag is immutable" in err, "harbor status" in err) == (3, True, True)


def test_a_tag_is_taken_off_and_what_it_named_stays(call: Call, harbor: RunningHarbor) -> None:
    digest = at(harbor, "1.0").document.digest
    assert call("harbor", "tag", NAME, "1.0", "--delete", "--dry-run")[1].startswith("would delete")
    assert "1.0" in at(harbor, digest).tags
    code, out, _ = call("harbor", "tag", NAME, "1.0", "--delete")
    assert (code, out.split()[0], digest in out) == (0, "deleted", True)
    assert at(harbor, digest).tags == {}
    assert call("harbor", "tag", NAME, "1.0", "--delete")[1].split()[0] == "absent"


def test_a_dry_run_moves_no_tag(call: Call, harbor: RunningHarbor) -> None:
    code, out, _ = call("harbor", "tag", f"{NAME}:2.0", "1.0", "new", "--dry-run")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == ["change", "make"]
    assert set(at(harbor, "2.0").tags) == {"2.0"}


# --- copy ---


def test_a_copy_takes_one_tag_and_the_signatures_and_sends_nothing(
    call: Call, harbor: RunningHarbor
) -> None:
    call("harbor", "tag", f"{NAME}:1.0", "another")
    harbor.double.state.add_project("prod")
    code, out, err = call("harbor", "copy", f"{NAME}:1.0", "prod/app:released")
    digest = at(harbor, "1.0").document.digest
    assert (code, out) == (0, f"{harbor.host}/prod/app:released@{digest}\n"), err
    assert "sent nothing, mounted" in err
    assert set(at(harbor, digest, "prod/app").tags) == {"released"}
    subjects = [
        artifact.document.subject.digest
        for artifact in harbor.double.state.projects["prod"].repositories["app"].artifacts.values()
        if artifact.document.subject
    ]
    assert subjects == [digest]
    code, again, err = call("harbor", "copy", f"{NAME}:1.0", "prod/app:released")
    assert (code, again) == (0, out)
    assert "already there" in err


def test_name_and_tag_stay_unless_others_are_given(call: Call, harbor: RunningHarbor) -> None:
    code, out, _ = call("harbor", "copy", f"{NAME}:1.0", "prod", "--create-project")
    assert (code, out.startswith(f"{harbor.host}/prod/{NAME}:1.0@")) == (0, True)


def test_a_copy_looks_at_project_rule_and_dry_run(call: Call, harbor: RunningHarbor) -> None:
    code, _, err = call("harbor", "copy", f"{NAME}:1.0", "prod")
    assert (code, "project 'prod' does not exist" in err) == (1, True)
    code, _, err = call("harbor", "copy", f"{NAME}:1.0", "prod", "--create-project", "--dry-run")
    assert (code, "would have" in err) == (0, True)
    assert "prod" not in harbor.double.state.projects
    call("harbor", "copy", f"{NAME}:1.0", "prod", "--create-project")
    hold(harbor, "1.0", "prod")
    code, _, err = call("harbor", "copy", f"{NAME}:2.0", f"prod/{NAME}:1.0")
    assert (code, "is immutable and names another image" in err) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tag", f"{NAME}:1.0", "a b"), 2, "cannot be a tag"),
        (("tag", f"{NAME}:1.0", "x", "--delete"), 2, "--delete goes with IMAGE alone"),
        (("tag", f"{NAME}:9", "x"), 1, f"{NAME}:9: it does not exist"),
        (("tag", f"{NAME}:1.0", "x", "--project", "nope"), 1, "project 'nope' does not exist"),
        (("tag", "Team/x:1.0", "x"), 2, "repository names are lower case"),
        (("copy", f"{NAME}:9", PROJECT), 1, f"{NAME}:9: it does not exist"),
        (("copy", f"{NAME}@sha256:{'0' * 64}", "prod"), 2, "which tag shall it get?"),
        (("copy", f"{NAME}:1.0", "Prod"), 2, "repository names are lower case"),
    ],
)
def test_bad_input_is_named(
    call: Call, harbor: RunningHarbor, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = call("harbor", *arguments)
    assert result[:2] == (code, "")
    assert says in result[2]


# --- gc ---


def test_garbage_is_counted_before_it_is_collected(call: Call, harbor: RunningHarbor) -> None:
    code, out, err = call("harbor", "gc", "--dry-run")
    assert (code, out) == (0, "would delete 0 blobs and 0 manifests, 0 B\n")
    assert "younger than two hours" in err
    value = json.loads(call("harbor", "gc", "--format", "json")[1])
    assert (value["status"], value["dry_run"]) == ("Success", False)
    asked = [json.loads(item["job_parameters"])["dry_run"]
             for item in harbor.double.state.collections.values()]  # fmt: skip
    assert asked == [True, False]


def test_who_may_not_collect_is_told(
    call: Call, harbor: RunningHarbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, harbor, add_robot(harbor.double, "repository:pull"))
    code, _, err = call("harbor", "gc", "--dry-run")
    assert (code, "is not allowed to collect garbage" in err) == (1, True)
