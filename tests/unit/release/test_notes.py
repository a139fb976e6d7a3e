"""Release notes: what images hold stays inside the Markdown it is put in."""

from __future__ import annotations

import pytest

from release.diff import Change
from release.notes import Since, notes
from release.record import ReleaseRecord


def since(*changes: Change) -> list[str]:
    record = ReleaseRecord("mnist", "1.1.0", "host.example/algorithms/mnist", ("r35.2.1",))
    told = notes(record, {}, {"r35.2.1": Since("1.0.0", changes)}, signed=False)
    return told.partition("## Since 1.0.0 (r35.2.1)\n\n")[2].strip().split("\n")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("home/run.py", "`home/run.py`"),
        ("a`b", "`` a`b ``"),
        ("one\n## two", r"`one\n## two`"),
        ("\udcff.bin", r"`\udcff.bin`"),
    ],
)
def test_a_file_name_is_code_on_one_line(name: str, shown: str) -> None:
    assert since(Change("file", name, "1", None)) == [f"- file {shown} is gone"]


def test_more_than_anyone_reads_is_counted() -> None:
    lines = since(*(Change("file", str(number), None, "1") for number in range(40)))
    assert len(lines) == 31
    assert lines[-1] == "- and 10 more: `imgctl diff`"
