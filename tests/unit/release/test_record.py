"""Records of releases: kept after every step, found again, and held by one at a time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from registry.errors import BadInput, CorruptContent, Refused
from release.record import ReleaseRecord, interrupted, load_record, only_one, record_path

RECORD = ReleaseRecord("mnist", "1.4.0", "harbor.example/algorithms/mnist", ("r35.2.1", "r36.4.3"))


def test_outcomes_are_kept_by_step_and_release(tmp_path: Path) -> None:
    path = record_path(tmp_path, "mnist", "1.4.0")
    record = RECORD.with_outcome("push", "r35.2.1", {"digest": "sha256:1"})
    record = record.with_outcome("push", "r36.4.3", {"digest": "sha256:2"})
    record.save(path)
    found = load_record(path)
    assert found == record
    assert found is not None
    assert found.outcome("push", "r36.4.3") == {"digest": "sha256:2"}
    assert found.outcome("sign", "r36.4.3") is None
    assert [item.name for item in path.parent.iterdir()] == ["1.4.0.release.json"]


def test_without_a_record_nothing_was_done(tmp_path: Path) -> None:
    assert load_record(record_path(tmp_path, "mnist", "1.4.0")) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": "build"}', '{"kind": "release", "schema": 1}']
)
def test_what_is_no_record_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CorruptContent):
        load_record(path)


def test_a_record_of_the_future_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"kind": "release", "schema": 9}')
    with pytest.raises(BadInput, match="another version"):
        load_record(path)


def test_a_bumped_release_that_was_interrupted_is_found_again(tmp_path: Path) -> None:
    wanted = replace(RECORD, version="1.0.0", revision="abc", bump="minor")
    assert interrupted(tmp_path, wanted) is None
    for version in ("1.9.0", "1.10.0"):
        replace(wanted, version=version).save(record_path(tmp_path, "mnist", version))
    (tmp_path / "mnist" / "9.0.0.release.json").write_text("{")
    assert interrupted(tmp_path, wanted) == "1.10.0"
    for other in (
        replace(wanted, revision="def"),
        replace(wanted, bump="major"),
        replace(wanted, repository="harbor.example/other/mnist"),
        replace(wanted, releases=("r35.2.1",)),
    ):
        assert interrupted(tmp_path, other) is None
    done = replace(wanted, version="1.10.0", finished="2026-01-02T03:04:05Z")
    done.save(record_path(tmp_path, "mnist", "1.10.0"))
    assert interrupted(tmp_path, wanted) == "1.9.0"


def test_a_second_release_is_told_who_holds_it(tmp_path: Path) -> None:
    holder = "\n".join(
        [
            "import sys, pathlib",
            "from release.record import only_one",
            "with only_one(pathlib.Path(sys.argv[1]), 'mnist'):",
            "    print('held', flush=True)",
            "    sys.stdin.read()",
        ]
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="already") as caught, only_one(tmp_path, "mnist"):
            pytest.fail("both hold it")
        assert f"process {child.pid} on" in caught.value.why
        child.communicate(timeout=10)
    with only_one(tmp_path, "mnist"):
        assert (tmp_path / "mnist" / ".release.lock").exists()
