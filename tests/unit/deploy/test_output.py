"""Manifests as files: one each, and the two that go beside a push record."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from deploy.output import write_folder, write_matching
from registry.errors import BadInput
from tests.unit.imgctl.records import DIGEST, build_record, push_record


def test_a_push_record_gets_its_pod_and_its_deployment(tmp_path: Path) -> None:
    written = write_matching(push_record(), tmp_path)
    assert [path.name for path in written] == ["pod.yaml", "deployment.yaml"]
    pod, deployment = (yaml.safe_load(path.read_text()) for path in written)
    assert (pod["kind"], deployment["kind"]) == ("Pod", "Deployment")
    inner = deployment["spec"]["template"]["spec"]
    image = f"local-harbor.com/algorithms/mnist@{DIGEST}"
    assert [spec["containers"][0]["image"] for spec in (pod["spec"], inner)] == [image, image]


def test_what_is_no_push_record_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        write_matching(build_record(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_are_replaced_and_others_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    (tmp_path / "a-pod.yaml").write_text("old")
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    write_folder([item], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-pod.yaml",
        "kustomization.yaml",
        "note.txt",
    ]
    assert yaml.safe_load((tmp_path / "a-pod.yaml").read_text()) == item


def test_only_its_owner_reads_a_secret(tmp_path: Path) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    path, kustomization = write_folder([item], tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kustomization.stat().st_mode) == 0o644


def test_a_kustomization_of_someone_else_is_not_replaced(tmp_path: Path) -> None:
    item = {"kind": "Pod", "metadata": {"name": "app"}}
    write_folder([item], tmp_path)
    write_folder([item], tmp_path)
    theirs = "resources: [base]\n"
    (tmp_path / "kustomization.yaml").write_text(theirs)
    (tmp_path / "app-pod.yaml").unlink()
    with pytest.raises(BadInput, match="was not written by imgctl"):
        write_folder([item], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kustomization.yaml"]
    assert (tmp_path / "kustomization.yaml").read_text() == theirs
