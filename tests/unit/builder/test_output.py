"""dist/: whole results only, whoever else writes there and whenever somebody is killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builder import output
from builder.engines.direct import DirectEngine
from builder.plan import BuildPlan
from builder.record import BuildRecord, record_of
from registry.errors import BadInput, ImgctlError
from registry.progress import SILENT
from tests.unit.builder import plans

TAG = "1.0.0-l4t-r35.2.1"


@pytest.fixture
def plan(tmp_path: Path) -> BuildPlan:
    """A plan of one file on a base."""
    base = plans.remote(plans.put_base(tmp_path / "base"))
    files = plans.context(tmp_path / "context", {"a.py": b"print(1)"})
    return plans.plan(base, "COPY --link a.py /a.py\n", files)


def build(plan: BuildPlan, dist: Path) -> BuildRecord:
    """Build a plan into dist/ as `imgctl build` does."""
    with output.staging(dist, plan.image, plan.tag) as made:
        built = DirectEngine(lambda *_: pytest.fail("no wheels")).build(
            plan, made.layout, made.scratch, SILENT
        )
        record = record_of(plan, built, {})
        record.save(made.layout)
        output.publish(made, output.folder_of(dist, plan.image, plan.tag))
    return record


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_result_appears_whole_and_alone(plan: BuildPlan, tmp_path: Path) -> None:
    record = build(plan, tmp_path / "dist")
    assert names(tmp_path / "dist" / "app") == [TAG]
    folder = tmp_path / "dist" / "app" / TAG
    assert names(folder) == ["blobs", "build.json", "index.json", "oci-layout"]
    assert BuildRecord.load(folder).value == record.value


def test_a_new_result_takes_the_place_of_the_old_with_all_that_was_there(
    plan: BuildPlan, tmp_path: Path
) -> None:
    build(plan, tmp_path / "dist")
    (tmp_path / "dist" / "app" / TAG / "push.json").write_text("of the old one")
    build(plan, tmp_path / "dist")
    assert names(tmp_path / "dist" / "app") == [TAG]
    assert "push.json" not in names(tmp_path / "dist" / "app" / TAG)


def test_a_build_that_fails_leaves_the_old_result(plan: BuildPlan, tmp_path: Path) -> None:
    record = build(plan, tmp_path / "dist")
    with (
        pytest.raises(KeyboardInterrupt),
        output.staging(tmp_path / "dist", plan.image, plan.tag) as made,
    ):
        made.layout.mkdir()
        (made.layout / "half").write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path / "dist" / "app") == [TAG]
    assert output.finished(tmp_path / "dist", "app", TAG, plan.identity) == record


def test_what_a_killed_run_left_is_swept_and_a_running_one_is_not(tmp_path: Path) -> None:
    left = tmp_path / "app" / f".{TAG}.killed"
    left.mkdir(parents=True)
    (left / "large").write_text("x")
    with output.staging(tmp_path, "app", TAG) as running:
        assert not left.exists()
        with output.staging(tmp_path, "app", TAG) as other:
            assert running.scratch.is_dir()
            assert other.scratch != running.scratch
    assert names(tmp_path / "app") == []


def test_many_at_once_all_succeed(plan: BuildPlan, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda _: build(plan, tmp_path / "dist"), range(24)))
    assert len({record.digest for record in records}) == 1
    assert names(tmp_path / "dist" / "app") == [TAG]
    assert output.finished(tmp_path / "dist", "app", TAG, plan.identity) is not None


def test_a_result_is_recognised_by_its_plan(plan: BuildPlan, tmp_path: Path) -> None:
    record = build(plan, tmp_path)
    assert output.finished(tmp_path, "app", TAG, plan.identity) == record
    assert output.finished(tmp_path, "app", TAG, "sha256:" + "0" * 64) is None
    assert output.finished(tmp_path, "app", "2.0.0", plan.identity) is None


@pytest.mark.parametrize("damage", ["layer", "config", "manifest", "index", "record", "gone"])
def test_a_damaged_result_is_not_recognised(plan: BuildPlan, tmp_path: Path, damage: str) -> None:
    record = build(plan, tmp_path)
    folder = output.folder_of(tmp_path, "app", TAG)
    blobs = folder / "blobs" / "sha256"
    ours = record.layers(ours=True)[0].digest
    path = {
        "layer": blobs / ours[7:],
        "config": blobs / str(record.value["config_digest"])[7:],
        "manifest": blobs / record.digest[7:],
        "index": folder / "index.json",
        "record": folder / "build.json",
        "gone": blobs / ours[7:],
    }[damage]
    if damage == "gone":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-2] + b"!" + content[-1:])
    assert output.finished(tmp_path, "app", TAG, plan.identity) is None


def test_a_record_of_another_kind_is_not_recognised(plan: BuildPlan, tmp_path: Path) -> None:
    build(plan, tmp_path)
    path = output.folder_of(tmp_path, "app", TAG) / "build.json"
    others: list[object] = [[], {"kind": "push"}, {"kind": "build", "schema": 99}]
    for value in others:
        path.write_text(json.dumps(value))
        assert output.finished(tmp_path, "app", TAG, plan.identity) is None


def test_a_dist_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("a file")
    with (
        pytest.raises(BadInput, match="cannot write to"),
        output.staging(tmp_path / "dist", "app", TAG),
    ):
        pytest.fail("there is nothing to write in")


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_is_no_build_in_the_place_of_one_is_named_and_kept(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "app" / TAG
    target.parent.mkdir()
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(BadInput, match="in the way"), output.staging(tmp_path, "app", TAG):
        pytest.fail("there is no place for a result")
    assert names(tmp_path / "app") == [TAG]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, ImgctlError),
        (errno.EACCES, BadInput),
        (errno.EROFS, BadInput),
        (errno.EIO, ImgctlError),
        (errno.EMFILE, ImgctlError),
    ],
)
def test_whatever_the_system_refuses_is_an_error_of_this_build(
    tmp_path: Path, number: int, kind: type[ImgctlError]
) -> None:
    with (
        pytest.raises(kind, match=str(tmp_path / "app")) as caught,
        output.staging(tmp_path, "app", TAG),
    ):
        raise OSError(number, os.strerror(number), "some/file")
    assert type(caught.value) is kind
    assert os.strerror(number) in caught.value.why
    assert names(tmp_path / "app") == []


def test_a_second_interruption_does_not_stop_the_cleaning_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = shutil.rmtree, []

    def remove(path: Path, ignore_errors: bool) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", remove)
    with pytest.raises(KeyboardInterrupt), output.staging(tmp_path, "app", TAG):
        raise KeyboardInterrupt
    assert names(tmp_path / "app") == []
