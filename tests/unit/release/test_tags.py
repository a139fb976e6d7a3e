"""Tags of a release: what is fixed, what moves, and that it only moves forward."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from semver import Version

from registry.errors import BadInput, Refused
from release.tags import TagScheme, check_above, next_version, parse_version

SCHEME = TagScheme()


def v(text: str) -> Version:
    return Version.parse(text)


def test_a_build_is_named_for_ever_by_version_and_release() -> None:
    assert SCHEME.fixed_tag(v("1.4.0"), "r35.2.1") == "1.4.0-l4t-r35.2.1"


def test_the_first_release_takes_every_readable_tag() -> None:
    assert SCHEME.moving_tags(v("1.4.0"), "r35.2.1", []) == ["1.4.0", "1.4", "1", "latest"]


def test_a_fix_of_an_older_line_leaves_the_newer_ones_alone() -> None:
    released = [v("1.3.0"), v("1.4.0"), v("2.0.0")]
    assert SCHEME.moving_tags(v("1.3.1"), "r35.2.1", released) == ["1.3.1", "1.3"]
    assert SCHEME.moving_tags(v("1.5.0"), "r35.2.1", released) == ["1.5.0", "1.5", "1"]


def test_a_pre_release_gets_its_own_tag_only() -> None:
    assert SCHEME.moving_tags(v("2.0.0-rc.1"), "r35.2.1", []) == []


def test_a_pre_release_holds_nothing_back() -> None:
    assert "latest" in SCHEME.moving_tags(v("1.4.0"), "r35.2.1", [v("2.0.0-rc.1")])


def test_versions_are_read_from_the_tags_of_one_release() -> None:
    ours = [f"{version}-l4t-r35.2.1" for version in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1")]
    tags = [*ours, "1.0.0-l4t-r36.4.3", "latest", "1.0", "sha256-ab.sig", "x-l4t-r35.2.1"]
    found = SCHEME.versions(tags, "r35.2.1")
    assert [str(item) for item in found] == ["1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1"]


@pytest.mark.parametrize(
    ("last", "bump", "expected"),
    [
        ("1.4.2", "patch", "1.4.3"),
        ("1.4.2", "minor", "1.5.0"),
        ("1.4.2", "major", "2.0.0"),
        ("1.4.2", "pre", "1.4.3-rc.1"),
        ("1.4.3-rc.1", "pre", "1.4.3-rc.2"),
        ("1.4.3-rc.2", "patch", "1.4.3"),
        ("1.5.0-rc.1", "minor", "1.5.0"),
        ("1.4.3-rc.1", "minor", "1.5.0"),
        ("2.0.0-rc.1", "major", "2.0.0"),
        ("1.5.0-rc.1", "major", "2.0.0"),
    ],
)
def test_the_next_version(last: str, bump: str, expected: str) -> None:
    assert str(next_version([v("0.1.0"), v(last)], bump, v("9.9.9"))) == expected


def test_the_first_version_is_the_definitions() -> None:
    assert str(next_version([], "minor", v("1.2.0"))) == "1.2.0"
    assert str(next_version([], "pre", v("1.2.0"))) == "1.2.0-rc.1"
    assert str(next_version([], "pre", v("1.2.0-beta"))) == "1.2.0-beta"


def test_another_l4t_release_of_the_line_keeps_the_tags_of_the_same_version() -> None:
    here, there = [v("1.3.0")], [v("1.4.0")]
    assert SCHEME.moving_tags(v("1.4.0"), "r35.4.1", here, there) == []
    assert SCHEME.moving_tags(v("1.4.1"), "r35.4.1", here, there) == ["1.4.1", "1.4", "1", "latest"]
    assert SCHEME.moving_tags(v("1.3.1"), "r35.4.1", here, there) == ["1.3.1", "1.3"]


versions = st.builds(
    Version,
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
    st.one_of(st.none(), st.integers(1, 9).map(lambda n: f"rc.{n}")),
)


@settings(max_examples=200, phases=[Phase.explicit, Phase.generate], deadline=None)
@given(
    st.lists(versions, min_size=1, max_size=6), st.sampled_from(["major", "minor", "patch", "pre"])
)
def test_the_next_version_is_above_all_released(released: list[Version], bump: str) -> None:
    assert next_version(released, bump, v("0.1.0")) > max(released)


@settings(max_examples=200, phases=[Phase.explicit, Phase.generate], deadline=None)
@given(st.lists(versions, min_size=1, max_size=8, unique_by=str))
def test_in_whatever_order_releases_come_the_tags_end_on_the_highest(order: list[Version]) -> None:
    names: dict[str, Version] = {}
    for number, version in enumerate(order):
        for tag in SCHEME.moving_tags(version, "r35.2.1", order[:number]):
            names[tag] = version
    final = [item for item in order if not item.prerelease]
    assert names.get("latest") == max(final, default=None)
    for item in final:
        peers = [other for other in final if (other.major, other.minor) == (item.major, item.minor)]
        assert names[f"{item.major}.{item.minor}"] == max(peers)


def test_a_version_below_the_last_is_refused_unless_it_is_a_backport() -> None:
    with pytest.raises(Refused, match="is released"):
        check_above(v("1.9.0"), [v("1.0.0"), v("2.0.0")])
    check_above(v("1.9.0"), [v("2.0.0")], backport=True)
    check_above(v("2.0.0"), [v("2.0.0")])


@pytest.mark.parametrize("text", ["1.0", "v1.0.0", "", "1.0.0+build", "01.0.0", "1.0.0 "])
def test_what_cannot_be_a_version_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        parse_version(text)


@pytest.mark.parametrize(
    "section",
    [
        {"fixed": "{version}"},
        {"fixed": "{version}-{l4t}-{date}"},
        {"moving": ["-{version}"]},
        {"moving": "latest"},
        {"mowing": []},
        {"moving": [1]},
    ],
)
def test_a_scheme_that_cannot_work_is_bad_input(section: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        TagScheme.parse(section)


def test_a_team_has_its_own_scheme() -> None:
    scheme = TagScheme.parse({"fixed": "jetson-{l4t}_{version}", "moving": ["{major}-{l4t}"]})
    assert scheme.fixed_tag(v("1.2.3"), "r35.2.1") == "jetson-r35.2.1_1.2.3"
    assert scheme.versions(["jetson-r35.2.1_1.2.3"], "r35.2.1") == [v("1.2.3")]
    assert scheme.moving_tags(v("1.2.3"), "r35.2.1", []) == ["1-r35.2.1"]
