"""Projects, artifacts and labels, on a double of Harbor."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import NotFound, Refused
from registry.harbor import artifacts, labels, projects, rules
from registry.harbor.problems import Conflict
from registry.harbor.projects import UNLIMITED, ProjectPolicy, Quota
from registry.harbor.rules import ImmutableRule
from registry.oci import OCI_MANIFEST
from tests.unit.registry.harbor.doubled import PROJECT, bench


def test_a_project_is_made_once_found_and_changed(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        api = given.api
        assert not projects.exists(api, "p")
        assert projects.find(api, "p") is None
        with pytest.raises(NotFound):
            projects.get(api, "p")
        assert projects.create(api, "p", ProjectPolicy(public=True))
        assert not projects.create(api, "p", ProjectPolicy())
        found = projects.get(api, "p")
        assert (found.name, found.public, found.registry_id) == ("p", True, 0)
        projects.set_metadata(api, "p", {"public": "false"})
        changed = projects.get(api, "p")
        assert not changed.public
        assert changed.metadata["auto_scan"] == "true"


def test_a_quota(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        assert projects.quota(given.api, PROJECT) == Quota(UNLIMITED, 0)
        given.push(given.image())
        projects.set_quota(given.api, projects.get(given.api, PROJECT), 10_000)
        found = projects.quota(given.api, PROJECT)
        assert found is not None
        assert found.hard == 10_000
        assert found.left == 10_000 - given.double.state.projects[PROJECT].used


@pytest.mark.parametrize(
    ("quota", "left"), [(Quota(-1, 5), None), (Quota(10, 4), 6), (Quota(10, 14), 0)]
)
def test_what_a_quota_leaves(quota: Quota, left: int | None) -> None:
    assert quota.left == left


def test_repositories_of_a_project(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        for name in ("mnist", "team/vision/yolo"):
            given.push(given.image(), name=name)
        assert projects.repositories(given.api, PROJECT) == ["mnist", "team/vision/yolo"]


def test_an_artifact_as_harbor_sees_it(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document, "1.0", "latest", labels=("edge",))
        found = artifacts.get(given.api, PROJECT, "mnist", "latest", labels=True)
        assert found.digest == document.digest
        assert found.manifest_media_type == OCI_MANIFEST
        assert found.size == len(document.raw) + sum(blob.size for blob in document.blobs())
        assert (found.os, found.architecture) == ("linux", "arm64")
        assert sorted(found.tags) == ["1.0", "latest"]
        assert found.labels == ("edge",)
        assert artifacts.find(given.api, PROJECT, "mnist", "2.0") is None
        assert artifacts.find(given.api, PROJECT, "none", "1.0") is None


def test_artifacts_are_listed_newest_first(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        images = [given.image(str(number).encode()) for number in range(3)]
        for number, document in enumerate(images):
            given.push(document, f"1.{number}")
        found = list(artifacts.listing(given.api, PROJECT, "mnist"))
        assert [item.digest for item in found] == [item.digest for item in reversed(images)]
        assert list(artifacts.listing(given.api, PROJECT, "none")) == []


def test_tags_are_added_but_not_moved(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.push(given.image(), "1.0")
        artifacts.add_tag(given.api, PROJECT, "mnist", "1.0", "stable")
        with pytest.raises(Conflict):
            artifacts.add_tag(given.api, PROJECT, "mnist", "1.0", "stable")
        assert artifacts.delete_tag(given.api, PROJECT, "mnist", "stable")
        assert not artifacts.delete_tag(given.api, PROJECT, "mnist", "stable")


def test_what_is_immutable_is_not_deleted(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.push(given.image(), "1.0", "10", "1.0.1", "latest")
        rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("1*"))
        for tag in ("1.0", "10", "1.0.1"):
            assert artifacts.is_immutable(given.api, PROJECT, "mnist", tag)
        assert not artifacts.is_immutable(given.api, PROJECT, "mnist", "latest")
        with pytest.raises(Refused, match="delete tag"):
            artifacts.delete_tag(given.api, PROJECT, "mnist", "1.0")
        with pytest.raises(Refused, match="immutable"):
            artifacts.delete(given.api, PROJECT, "mnist", "1.0")


def test_an_artifact_is_deleted_once(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document, "1.0")
        assert artifacts.delete(given.api, PROJECT, "mnist", document.digest)
        assert not artifacts.delete(given.api, PROJECT, "mnist", document.digest)


def test_a_copy_takes_every_tag(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        document = given.image()
        given.push(document, "1.0", "latest")
        artifacts.copy(given.api, f"{PROJECT}/mnist@{document.digest}", PROJECT, "stable/mnist")
        copied = given.repository("stable/mnist")
        assert copied.tags() == ["1.0", "latest"]
        assert copied.manifest("latest") == document


def test_labels_of_a_project_come_before_the_systems(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        api, number = given.api, projects.get(given.api, PROJECT).id
        body = {"name": "edge", "scope": "g"}
        api.change("POST", "/labels", "make a label", body)
        shared = labels.find(api, number, "edge")
        own = labels.create(api, number, "edge")
        labels.create(api, number, "edge-2")
        assert labels.find(api, number, "edge") == own != shared
        assert labels.find(api, number, "edg") is None
        given.push(given.image())
        assert labels.add(api, PROJECT, "mnist", "1.0", own)
        assert not labels.add(api, PROJECT, "mnist", "1.0", own)
