"""The document says what was measured: medians, spread, and which targets were missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.report import markdown, quantity
from bench.result import Figure, Kept, Result, Row, Table, Target, load, save

ROWS = (
    Row("ours", {"wall": Figure.of("s", [0.3, 0.1, 0.2]), "sent": Figure.of("B", [1500])}),
    Row("theirs", {"wall": Figure.of("s", [12.5])}),
)
RESULT = Result(
    "copy",
    "Copying",
    "How it is done.",
    (Table("One image", ROWS, "A note."),),
    (Target("kept", 0.2, 0.4, "s"), Target("broken", 30, 19, "")),
)
KEPT = Kept(RESULT, "2026-11-24 10:00 UTC", "abc1234", 61.25, {"memory": "8 GB"}, False)


def test_a_cell_is_the_median_with_lowest_and_highest() -> None:
    text = markdown({"copy": KEPT}, [])
    assert "| `ours` | 0.200 s (0.100 s – 0.300 s) | 1.5 kB | 3 |" in text
    assert "| `theirs` | 12.5 s | – | 1 |" in text


def test_a_missed_target_stands_out() -> None:
    text = markdown({"copy": KEPT}, [])
    assert "| kept | ≤ 0.400 s | 0.200 s | met |" in text
    assert "| broken | ≤ 19 | 30 | **missed** |" in text


def test_parts_come_in_the_order_asked_for_and_machines_are_told_apart() -> None:
    other = replace(KEPT, result=replace(RESULT, name="build", title="Building"))
    elsewhere = replace(other, machine={"memory": "16 GB"})
    text = markdown({"copy": KEPT, "build": elsewhere}, ["build", "copy"])
    assert text.index("## Building") < text.index("## Copying")
    assert "For Building:" in text
    assert "For Copying:" in text
    assert "For" not in markdown({"copy": KEPT, "build": other}, []).split("## Machine")[1]


def test_a_quick_run_is_called_one() -> None:
    assert "a quick run" in markdown({"copy": replace(KEPT, quick=True)}, [])
    assert "a quick run" not in markdown({"copy": KEPT}, [])


def test_results_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert load(path) == {}
    save(path, {"copy": replace(KEPT, seconds=61.2)})
    assert load(path) == {"copy": replace(KEPT, seconds=61.2)}


def test_a_figure_without_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Figure.of("s", [])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "0.012 s"),
        (1.234, "s", "1.23 s"),
        (65.43, "s", "65.4 s"),
        (999, "B", "999 B"),
        (4_200_000_000, "B", "4.2 GB"),
        (19, "", "19"),
        (0.7, "x", "0.70"),
        (3.14, "%", "3.1 %"),
    ],
)
def test_quantities_have_as_many_digits_as_tell_something(
    value: float, unit: str, text: str
) -> None:
    assert quantity(value, unit) == text
