"""The engine without Docker: the plan's files on the base's manifest, in an OCI layout."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from builder.engines.direct import DirectEngine, WheelLayer
from builder.engines.image import BuiltImage
from builder.layer import Entry
from builder.plan import BuildPlan, ContextFile
from registry.errors import BadInput, Refused
from registry.layout import LayoutStore
from registry.oci import DOCKER_MANIFEST, OCI_MANIFEST
from registry.progress import SILENT
from tests.unit.builder import plans


def plan_of(folder: Path, dockerfile: str, *, docker: bool = True, **fields: object) -> BuildPlan:
    base = plans.remote(plans.put_base(folder / "base", docker=docker))
    files = plans.context(folder / "context", {"a.py": b"a", "tree/b": b"b", "tree/sub/c": b"c"})
    return plans.plan(base, dockerfile, files, **fields)


def build(plan: BuildPlan, folder: Path, wheels: WheelLayer | None = None) -> BuiltImage:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    unpack = (lambda *_: wheels) if wheels else (lambda *_: pytest.fail("no wheels"))
    return DirectEngine(unpack).build(plan, folder / "layout", scratch, SILENT)


def members(built: BuiltImage, layer: int) -> dict[str, tarfile.TarInfo]:
    path = LayoutStore(built.path).blob_path(built.layers[layer].descriptor.digest)
    with tarfile.open(path, "r:gz") as archive:
        return {item.name: item for item in archive}


def test_the_layout_names_the_image_and_holds_only_what_is_ours(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 'COPY --link a.py /opt/a.py\nENV A=1\nCMD ["a"]\n')
    built = build(plan, tmp_path / "out")
    store = LayoutStore(built.path)
    assert built.sparse
    assert [layer.ours for layer in built.layers] == [False, True]
    assert [store.blob_exists(layer.descriptor.digest) for layer in built.layers] == [False, True]
    manifest = store.manifest(plan.tag)
    assert manifest.digest == built.image.manifest.digest
    config = json.loads(store.blob_bytes(manifest.config))
    assert config["config"]["Cmd"] == ["a"]
    assert config["config"]["Env"][-1] == "A=1"
    assert [entry["created_by"] for entry in config["history"]] == [
        "base", "COPY --link a.py /opt/a.py", "ENV A=1", 'CMD ["a"]',
    ]  # fmt: skip
    assert len(config["rootfs"]["diff_ids"]) == len(manifest.layers) == 2
    assert manifest.annotations["io.imgctl.plan"] == plan.identity


@pytest.mark.parametrize(("docker", "kind"), [(True, DOCKER_MANIFEST), (False, OCI_MANIFEST)])
def test_the_result_is_of_the_bases_family(tmp_path: Path, docker: bool, kind: str) -> None:
    plan = plan_of(tmp_path, "COPY --link a.py /a\n", docker=docker)
    assert build(plan, tmp_path / "out").image.manifest.media_type == kind


def test_a_folder_is_copied_with_what_it_holds(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "COPY --link --chown=5:6 tree/ /srv/app/\n")
    found = members(build(plan, tmp_path / "out"), 1)
    assert list(found) == ["srv", "srv/app", "srv/app/b", "srv/app/sub", "srv/app/sub/c"]
    assert {(item.uid, item.gid) for name, item in found.items() if name != "srv"} == {(5, 6)}
    assert {item.mtime for item in found.values()} == {plan.created}


def test_wheels_come_first_and_are_told_of(tmp_path: Path) -> None:
    wheels = WheelLayer(
        (Entry("usr/local/lib/x.py", 0o644, kind="symlink", link="y"),),
        ({"name": "x", "version": "1", "file": "x.whl", "sha256": "0" * 64},),
    )
    plan = plan_of(tmp_path, "COPY --link a.py /a\n", requirements=("x",), method="wheels")
    built = build(plan, tmp_path / "out", wheels)
    assert "usr/local/lib/x.py" in members(built, 1)
    assert "a" in members(built, 2)
    assert built.wheels == wheels.wheels


def test_a_step_that_must_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="direct engine"):
        build(plan_of(tmp_path, "RUN make\n"), tmp_path / "out")


def test_a_base_with_onbuild_is_refused(tmp_path: Path) -> None:
    config = {"config": {"OnBuild": ["RUN make"]}}
    base = plans.remote(plans.put_base(tmp_path / "base", config=config))
    with pytest.raises(Refused, match="this base"):
        build(plans.plan(base, "ENV A=1\n"), tmp_path / "out")


def test_a_file_that_changed_since_the_plan_is_bad_input(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "COPY --link a.py /a\n")
    (tmp_path / "context" / "a.py").write_bytes(b"b")
    with pytest.raises(BadInput, match="changed while the image was built"):
        build(plan, tmp_path / "out")


def test_a_file_that_is_gone_is_bad_input(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "COPY --link a.py /a\n")
    (tmp_path / "context" / "a.py").unlink()
    with pytest.raises(BadInput, match=r"a\.py is gone"):
        build(plan, tmp_path / "out")


def test_a_source_the_context_does_not_have_is_bad_input(tmp_path: Path) -> None:
    base = plans.remote(plans.put_base(tmp_path / "base"))
    files: list[ContextFile] = []
    with pytest.raises(BadInput, match="no such file"):
        build(plans.plan(base, "COPY --link nothing /a\n", files), tmp_path / "out")
