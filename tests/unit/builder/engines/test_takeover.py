"""What BuildKit exports becomes the image the direct engine would have made."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from builder.engines.direct import DirectEngine
from builder.engines.takeover import Export, full_steps, grafted_steps, settings_of
from builder.graft import Step
from builder.layer import Layer
from builder.plan import BuildPlan
from registry.errors import CorruptContent, ImgctlError
from registry.layout import LayoutStore
from registry.oci import OCI_INDEX, Document
from registry.progress import SILENT
from tests.unit.builder import plans
from tests.unit.builder.engines.exports import NOW, member, tar, write_export

STUB = tar()
COPIES = "COPY --link --chown=7:8 a.py /opt/app/a.py\nENV A=1\nCOPY --link b.py /b.py\n"


@pytest.fixture
def plan(tmp_path: Path) -> BuildPlan:
    """A plan of two copies and a setting."""
    base = plans.remote(plans.put_base(tmp_path / "base"))
    files = plans.context(tmp_path / "context", {"a.py": b"a", "b.py": b"b"})
    return plans.plan(base, COPIES, files)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def full_plan(tmp_path: Path, dockerfile: str = "RUN make\n") -> BuildPlan:
    base = plans.remote(plans.put_base(tmp_path / "base"))
    return plans.plan(base, dockerfile)


def on_base(plan: BuildPlan, folder: Path, *layers: bytes, **more: Any) -> Export:
    """An export of these layers on the plan's base, with the base's history before them."""
    steps = more.pop("steps", [{"created_by": "RUN make"} for _ in layers])
    return write_export(folder, layers, before=plan.remote.config.diff_ids,
                        history=[*plan.remote.config.history, *steps], **more)  # fmt: skip


def layer_of(step: Step) -> Layer:
    assert step.layer is not None
    return step.layer


def members(layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.path, "r:gz") as archive:
        return {item.name: item for item in archive}


def test_grafted_layers_are_the_direct_engines_to_the_byte(
    plan: BuildPlan, tmp_path: Path, scratch: Path
) -> None:
    # BuildKit gives folders it had to make the file's owner, and today's date.
    first = tar(
        member("opt/", None, uid=7, gid=8),
        member("opt/app/", None, uid=7, gid=8),
        member("opt/app/a.py", b"a", uid=7, gid=8),
    )
    export = write_export(tmp_path / "export", [STUB, first, tar(member("b.py", b"b"))])
    steps = grafted_steps(plan, export, scratch)
    direct_scratch = tmp_path / "direct-scratch"
    direct_scratch.mkdir()
    direct = DirectEngine(lambda *_: pytest.fail("no wheels")).build(
        plan, tmp_path / "direct", direct_scratch, SILENT
    )
    ours = [step.layer.digest for step in steps if step.layer]
    assert ours == [item.descriptor.digest for item in direct.layers if item.ours]
    assert [step.created_by for step in steps] == [
        "COPY --link --chown=7:8 a.py /opt/app/a.py", "ENV A=1", "COPY --link b.py /b.py",
    ]  # fmt: skip


def test_a_graft_with_other_layers_than_the_dockerfile_asks_for_is_an_error(
    plan: BuildPlan, tmp_path: Path, scratch: Path
) -> None:
    export = write_export(tmp_path / "export", [STUB, tar(member("b.py"))])
    with pytest.raises(ImgctlError, match="other layers"):
        grafted_steps(plan, export, scratch)


def test_a_full_build_keeps_everything_but_dates_after_the_plans(
    tmp_path: Path, scratch: Path
) -> None:
    plan = full_plan(tmp_path)
    layer = tar(
        member("etc/", None, mode=0o750),
        member("etc/new", b"new", uid=5, gid=6, mode=0o4755),
        member("etc/old", b"old", mtime=1000),
        member("etc/link", b"", type=tarfile.SYMTYPE, linkname="new"),
        member("etc/hard", b"", type=tarfile.LNKTYPE, linkname="etc/new"),
        member("etc/.wh.gone", b""),
        member("etc/fifo", b"", type=tarfile.FIFOTYPE),
        member("etc/dev", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("etc/cap", b"c", pax_headers={"SCHILY.xattr.security.capability": "x",
                                             "LIBARCHIVE.creationtime": "1"}),
    )  # fmt: skip
    export = on_base(plan, tmp_path / "export", layer)
    (step,) = full_steps(plan, export, scratch)
    found = members(layer_of(step))
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        assert list(found) == archive.getnames()
    assert found["etc"].mode == 0o750
    new = found["etc/new"]
    assert (new.mode, new.uid, new.gid) == (0o4755, 5, 6)
    assert found["etc/new"].mtime == plan.created < NOW
    assert found["etc/old"].mtime == 1000
    assert (found["etc/link"].linkname, found["etc/hard"].linkname) == ("new", "etc/new")
    assert found["etc/fifo"].isfifo()
    assert (found["etc/dev"].devmajor, found["etc/dev"].devminor) == (1, 3)
    assert found["etc/cap"].pax_headers == {"SCHILY.xattr.security.capability": "x"}


def test_two_full_builds_at_different_times_are_the_same(tmp_path: Path, scratch: Path) -> None:
    plan = full_plan(tmp_path)
    digests = set()
    for later in (0, 5000.5):
        layer = tar(member("a", b"a", mtime=NOW + later))
        export = on_base(plan, tmp_path / f"export-{later}", layer)
        (step,) = full_steps(plan, export, scratch)
        digests.add(layer_of(step).digest)
    assert len(digests) == 1


def test_a_linked_copy_in_a_full_build_is_as_in_a_graft(tmp_path: Path, scratch: Path) -> None:
    plan = full_plan(tmp_path, "RUN make\nENV A=1\nCOPY --link a /opt/a\n")
    layers = [tar(member("made")), tar(member("opt/", None, uid=9), member("opt/a", b"a"))]
    steps = [{"created_by": "RUN make"}, {"created_by": "ENV A=1", "empty_layer": True},
             {"created_by": "COPY a /opt/a"}]  # fmt: skip
    export = on_base(plan, tmp_path / "export", *layers, steps=steps)
    made, setting, copied = full_steps(plan, export, scratch)
    assert setting.layer is None
    assert list(members(layer_of(made))) == ["made"]
    assert members(layer_of(copied))["opt"].uid == 0


def test_a_build_on_something_else_is_not_taken_over(tmp_path: Path, scratch: Path) -> None:
    plan = full_plan(tmp_path)
    export = write_export(tmp_path / "export", [tar(member("a"))], before=["sha256:" + "e" * 64])
    with pytest.raises(ImgctlError, match="something else than the base"):
        full_steps(plan, export, scratch)


def test_history_and_layers_must_fit(tmp_path: Path, scratch: Path) -> None:
    plan = full_plan(tmp_path)
    export = on_base(plan, tmp_path / "export", tar(member("a")),
                     steps=[{"created_by": "RUN make", "empty_layer": True}])  # fmt: skip
    with pytest.raises(CorruptContent, match="history"):
        full_steps(plan, export, scratch)


def test_settings_are_the_bases_with_what_the_dockerfile_changed(
    tmp_path: Path,
) -> None:
    config = {"config": {"Env": ["PATH=/usr/bin"], "Cmd": ["/bin/bash"], "Hostname": "kept"}}
    base = plans.remote(plans.put_base(tmp_path / "base", config=config))
    plan = plans.plan(base, 'ENV A=1\nENTRYPOINT ["a"]\n')
    made = {"Env": ["PATH=/usr/bin", "A=1"], "Entrypoint": ["a"], "ArgsEscaped": True}
    export = write_export(tmp_path / "export", [STUB], settings=made)
    assert settings_of(plan, export) == {
        "Env": ["PATH=/usr/bin", "A=1"],
        "Entrypoint": ["a"],
        "Hostname": "kept",
        "Labels": {"io.imgctl.l4t": "r35.2.1"},
    }


def test_an_export_that_is_no_single_image_is_corrupt(tmp_path: Path) -> None:
    export = write_export(tmp_path / "one", [STUB])
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX,
             "manifests": [export.manifest.descriptor.to_json()]}  # fmt: skip
    store = LayoutStore(tmp_path / "one")
    store.put_manifest(Document.of(index, OCI_INDEX), "second")
    with pytest.raises(CorruptContent, match="2 images"):
        Export.open(tmp_path / "one")
    only = LayoutStore.create(tmp_path / "index")
    (only.path / "blobs/sha256" / export.manifest.digest[7:]).write_bytes(export.manifest.raw)
    only.put_manifest(Document.of(index, OCI_INDEX), "latest")
    with pytest.raises(CorruptContent, match="an index"):
        Export.open(tmp_path / "index")


def test_a_layer_that_is_not_gzip_is_corrupt(tmp_path: Path, scratch: Path) -> None:
    plan = full_plan(tmp_path)
    export = on_base(plan, tmp_path / "export", tar(member("a")))
    blob = export.manifest.layers[-1]
    export.store.blob_path(blob.digest).write_bytes(b"\x28\xb5\x2f\xfd" + b"z" * 40)
    with pytest.raises(CorruptContent, match="not gzip"):
        full_steps(plan, export, scratch)
