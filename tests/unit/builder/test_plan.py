"""A plan's identity is what decides the image's bytes: no less, and no more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.base_image import read_base
from builder.definition import load
from builder.mirror import Mirror
from builder.plan import BuildPlan, Choices, make_plan
from registry.errors import BadInput
from tests.unit.builder import plans

DEFINITION = """\
name: app
version: 1.2.3
description: An app
bases: [l4t-pytorch]
files:
  - {source: b.py, target: /opt/b.py}
  - {source: a.py, target: /opt/a.py, mode: "0755"}
command: [python3, /opt/a.py]
workload: {kind: service, gpus: 2}
"""
GRAFTED = plans.HEAD + "COPY --link a.py /opt/a.py\n"


def definition(folder: Path, text: str = DEFINITION) -> Any:
    home = folder / "app"
    home.mkdir(parents=True)
    (home / "image.yaml").write_text(text)
    (home / "a.py").write_bytes(b"a")
    (home / "b.py").write_bytes(b"bb")
    return load(home)


def make(folder: Path, dockerfile: str = GRAFTED, **choices: Any) -> BuildPlan:
    base = plans.remote(plans.put_base(folder / "base"))
    choice = Choices(**choices)
    return make_plan(definition(folder), plans.RELEASE, plans.BASE, base, dockerfile, choice)


def test_a_plan_names_the_image_its_base_and_its_files(tmp_path: Path) -> None:
    plan = make(tmp_path)
    assert plan.name == "app:1.2.3-l4t-r35.2.1"
    assert plan.method == "graft"
    assert [(file.path, file.mode, file.size) for file in plan.files] == [
        ("a.py", 0o755, 1), ("b.py", 0o644, 2),
    ]  # fmt: skip
    assert plan.workload == {"kind": "service", "gpus": 2, "host_network": False}


def test_without_a_date_of_its_own_the_image_has_the_bases(tmp_path: Path) -> None:
    assert make(tmp_path / "a").created == 1675246272  # 2023-02-01T10:11:12.5Z
    assert make(tmp_path / "b", created=5).created == 5


def test_labels_and_annotations_say_where_it_comes_from(tmp_path: Path) -> None:
    plan = make(tmp_path, source="https://git.example.com/app", revision="abc",
                labels={"team": "vision"})  # fmt: skip
    oci = "org.opencontainers.image."
    assert plan.annotations[f"{oci}base.name"] == str(plans.BASE.reference)
    assert plan.annotations[f"{oci}base.digest"] == plan.remote.manifest.digest
    assert plan.annotations[f"{oci}source"] == "https://git.example.com/app"
    assert plan.annotations[f"{oci}revision"] == "abc"
    assert plan.annotations["io.imgctl.jetpack"] == "5.1"
    assert plan.labels == {**plan.annotations, "team": "vision"}
    assert f"{oci}source" not in make(tmp_path / "other").annotations
    assert plan.all_annotations["io.imgctl.plan"] == plan.identity


def test_the_identity_is_the_same_wherever_and_from_whichever_mirror(tmp_path: Path) -> None:
    plan = make(tmp_path / "here")
    assert make(tmp_path / "there").identity == plan.identity
    mirrored = Mirror.parse("mirror.example.com/nvcr").of(plan.remote.reference)
    assert mirrored.name == f"mirror.example.com/nvcr/{plan.remote.reference.repository}"
    elsewhere = read_base(plan.remote.store, plan.remote.reference, mirrored, plans.ARM64)
    assert replace(plan, remote=elsewhere).identity == plan.identity


@pytest.mark.parametrize(
    "choices",
    [
        {"created": 1},
        {"revision": "abc"},
        {"source": "https://git.example.com"},
        {"labels": {"a": "b"}},
        {"build_args": {"A": "1"}},
    ],
)
def test_every_choice_that_decides_bytes_changes_the_identity(
    tmp_path: Path, choices: dict[str, Any]
) -> None:
    assert make(tmp_path / "a").identity != make(tmp_path / "b", **choices).identity


def test_content_mode_and_dockerfile_change_the_identity(tmp_path: Path) -> None:
    plan = make(tmp_path)
    first = plan.files[0]
    others = [
        replace(plan, files=(replace(first, sha256="0" * 64), *plan.files[1:])),
        replace(plan, files=(replace(first, mode=0o600), *plan.files[1:])),
        replace(plan, dockerfile=plan.dockerfile + "ENV A=1\n"),
        replace(plan, requirements=("x",)),
    ]
    assert len({plan.identity, *(other.identity for other in others)}) == 5
    moved = replace(first, source=tmp_path / "elsewhere")
    assert replace(plan, files=(moved, *plan.files[1:])).identity == plan.identity


@pytest.mark.parametrize(
    ("dockerfile", "wheels", "method", "blocked"),
    [
        (GRAFTED, False, "graft", False),
        (GRAFTED, True, "wheels", False),
        (plans.HEAD + "RUN make\n", False, "full", True),
        (plans.HEAD + "COPY --link --from=x /a /a\n", False, "graft", True),
        (f"FROM {plans.BASE.reference} AS x\nRUN make\n{plans.HEAD}", False, "full", True),
    ],
)
def test_the_method_is_the_cheapest_that_gives_the_image(
    tmp_path: Path, dockerfile: str, wheels: bool, method: str, blocked: bool
) -> None:
    base = plans.remote(plans.put_base(tmp_path / "base"))
    plan = make_plan(definition(tmp_path), plans.RELEASE, plans.BASE, base, dockerfile, Choices(),
                     wheels=wheels)  # fmt: skip
    assert plan.method == method
    assert (plan.only_buildx() is not None) == blocked


def test_a_plan_is_json_for_a_reader(tmp_path: Path) -> None:
    value = json.loads(json.dumps(make(tmp_path).to_json()))
    assert value["plan"] == make(tmp_path / "again").identity
    assert value["base_source"].startswith("127.0.0.1:5000/nvidia/l4t-pytorch@sha256:")
    assert value["files"][0] == {
        "path": "a.py",
        "mode": "0755",
        "size": 1,
        "sha256": value["files"][0]["sha256"],
    }
    assert str(tmp_path) not in json.dumps(value)


def test_a_file_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    found = definition(tmp_path)
    (tmp_path / "app" / "a.py").unlink()
    base = plans.remote(plans.put_base(tmp_path / "base"))
    with pytest.raises(BadInput, match="cannot be read"):
        make_plan(found, plans.RELEASE, plans.BASE, base, GRAFTED, Choices())


def test_steps_that_a_base_brings_itself_are_run_on_the_base(tmp_path: Path) -> None:
    settings = {"config": {"OnBuild": ["RUN make"]}}
    base = plans.remote(plans.put_base(tmp_path / "base", config=settings))
    wanted = definition(tmp_path)
    plan = make_plan(wanted, plans.RELEASE, plans.BASE, base, GRAFTED, Choices(created=0))
    assert plan.method == "full"
