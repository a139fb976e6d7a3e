"""Patterns of Harbor's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.harbor.doublestar import matches


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("**", "a/b/c"),
        ("*", "mnist"),
        ("*-l4t-*", "1.0.0-l4t-r35.2.1"),
        ("v[0-9].*", "v1.2"),
        ("v[!a-z]*", "v1"),
        ("{mnist,gpu-test}", "gpu-test"),
        ("{rel-*,v{1,2}}", "v2"),
        ("team/**/x", "team/x"),
        ("team/**/x", "team/a/b/x"),
        ("?.0", "1.0"),
        (r"\*", "*"),
    ],
)
def test_names_that_match(pattern: str, name: str) -> None:
    assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*", "team/mnist"),
        ("?", "/"),
        ("v[0-9]", "va"),
        ("v[^0-9]", "v1"),
        ("rel-*", "1.0.0-rel-1"),
        ("{a,b}", "c"),
        ("1.0", "1x0"),
        ("{a", "{a"),
        ("[a", "[a"),
        ("a}", "b"),
        ("", "a"),
    ],
)
def test_names_that_do_not(pattern: str, name: str) -> None:
    assert not matches(pattern, name)


@given(st.text(alphabet="ab*?[]{},/\\-^!", max_size=12), st.text(alphabet="ab/-", max_size=8))
def test_no_pattern_is_too_odd(pattern: str, name: str) -> None:
    assert matches(pattern, name) in (True, False)


@given(st.text(alphabet="abc.-_0/", min_size=1, max_size=20))
def test_a_plain_name_matches_itself_and_everything_does_too(name: str) -> None:
    assert matches(name, name)
    assert matches("**", name)
