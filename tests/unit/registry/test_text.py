"""Text of strangers: seen as what it is, by people and by terminals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 漢字.txt", "naïve 漢字.txt"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff.bin", r"\udcff.bin"),
        ("one\ntwo", "one\ntwo"),
    ],
)
def test_what_would_not_be_seen_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters()))
def test_a_line_stays_one_and_can_be_written(text: str) -> None:
    shown = visible(text, lines=False)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
