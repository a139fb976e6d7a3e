"""The L4T matrix: what it holds, how a user names a release, and that the data says one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.matrix import DATA, L4TRelease, Matrix, covers, number, read_data
from registry.errors import BadInput

MATRIX = Matrix.load()


def test_every_release_from_jetpack_4_2_to_7_2_1_is_known() -> None:
    assert len(MATRIX.releases) == 46
    assert (MATRIX.releases[0].name, MATRIX.releases[-1].name) == ("r32.1.0", "r39.2.1")
    numbers = [release.number for release in MATRIX.releases]
    assert numbers == sorted(set(numbers))


def test_a_release_says_what_its_jetpack_holds() -> None:
    release = MATRIX.release("r35.2.1")
    assert (release.jetpack, release.ubuntu, release.python) == ("5.1", "20.04", "3.8")
    assert (release.cuda, release.cudnn, release.tensorrt) == ("11.4.298", "8.6.0.166", "8.5.2")
    assert release.modules == ("agx-xavier", "xavier-nx", "agx-orin", "orin-nx")
    assert release.sm == (72, 87)
    assert release.line == (35, 2)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("r35.2.1", "r35.2.1"),
        ("35.2.1", "r35.2.1"),
        ("R35.2.1", "r35.2.1"),
        (" r35.2.1 ", "r35.2.1"),
        ("l4t-r35.2.1", "r35.2.1"),
        ("jetpack-5.1", "r35.2.1"),
        ("jp5.1", "r35.2.1"),
        ("JetPack 5.1", "r35.2.1"),
        ("5.1.3", "r35.5.0"),
        ("6.0", "r36.3.0"),
        ("6.0 DP", "r36.2.0"),
        ("jetpack-6.0-dp", "r36.2.0"),
        ("6.1", "r36.4.0"),
        ("6.1 rev1", "r36.4.2"),
        ("jetpack-6.1-rev1", "r36.4.2"),
        ("7.2 EA", "r39.0.0"),
        ("4.6.6", "r32.7.6"),
    ],
)
def test_a_release_is_named_by_l4t_or_by_jetpack(text: str, name: str) -> None:
    assert MATRIX.release(text).name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [("5.1.5", "r35.6.3"), ("4.5.1", "r32.5.2"), ("6.2.1", "r36.4.7"), ("jetpack-7.0", "r38.2.2")],
)
def test_a_jetpack_of_several_releases_is_its_newest_and_says_so(text: str, name: str) -> None:
    assert MATRIX.release(text).name == name
    assert name in MATRIX.chosen(text)


def test_nothing_is_said_where_there_is_nothing_to_choose() -> None:
    assert MATRIX.chosen("r35.6.2") == ""
    assert MATRIX.chosen("5.1.3") == ""


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("r35.9.9", "r35.6.4"),
        ("r35.2.2", "r35.3.1"),
        ("r99.1.1", "r39.2.1"),
        ("10.1", "r32.1.0"),
        ("r36.4", "r36.4.3"),
        ("r36", "r36.5.2"),
        ("5.0", "jetpack-5.0-dp"),
        ("4.9", "jetpack-4.6.6"),
        ("jp6", "jetpack-6.2.3"),
    ],
)
def test_an_unknown_release_is_an_error_that_names_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(BadInput) as caught:
        MATRIX.release(text)
    assert nearest in caught.value.why


@pytest.mark.parametrize("text", ["", "latest", "r35.2.1.1", "35,2,1", "r", "jetpack-", "v35.2.1"])
def test_what_is_no_version_at_all_is_said_to_be_none(text: str) -> None:
    with pytest.raises(BadInput, match="is not an L4T release or JetPack version"):
        MATRIX.release(text)


@given(st.text(max_size=20) | st.from_regex(r"(jp|r)?[0-9]{1,2}(\.[0-9]{1,2}){0,3}( ?dp)?"))
def test_any_text_gives_a_release_of_that_name_or_bad_input(text: str) -> None:
    try:
        release = MATRIX.release(text)
    except BadInput:
        return
    squeezed = "".join(text.lower().split()).replace("-", "").replace("_", "")
    assert squeezed.endswith((release.version, release.jetpack.replace(" ", "").lower()))


@pytest.mark.parametrize("release", MATRIX.releases, ids=lambda item: item.name)
def test_every_release_is_found_by_its_own_names(release: L4TRelease) -> None:
    assert MATRIX.release(release.name) == release
    assert MATRIX.release(f"jetpack-{release.jetpack}").jetpack == release.jetpack


def test_an_unknown_family_suggests_the_nearest() -> None:
    with pytest.raises(BadInput) as caught:
        MATRIX.family("l4t-pytroch")
    assert "l4t-pytorch" in caught.value.hint


def test_patterns_cover_majors_lines_releases_and_ranges() -> None:
    assert covers("35", "35.2.1")
    assert covers("35.2", "35.2.1")
    assert not covers("35.2", "35.3.1")
    assert covers("36.2..36.3", "36.3.0")
    assert not covers("36.2..36.3", "36.4.0")
    assert covers("38..39", "39.2.1")
    assert not covers("32.5.0", "32.5.1")


def test_a_version_is_up_to_three_numbers() -> None:
    assert number("35.2.1") == (35, 2, 1)
    for text in ("", "35.", "a", "1.2.3.4", "-1"):
        with pytest.raises(ValueError, match="is not a version"):
            number(text)


def test_modules_agree_with_the_lines_they_are_said_to_be_on() -> None:
    for release in MATRIX.releases:
        for name in release.modules:
            module = MATRIX.module(name)
            assert release.major in module.majors, (release.name, name)
            assert not module.since or release.number >= number(module.since), (release.name, name)


def test_every_fact_names_a_source_that_is_explained() -> None:
    for release in MATRIX.releases:
        assert release.source.split(":")[0] in MATRIX.sources, release
        assert release.confidence in ("high", "medium", "low")
    for family in MATRIX.families:
        named = {item.source for item in family.tags}
        named |= {item.source for item in family.fallbacks}
        named |= {item.source for item in family.missing}
        assert named <= set(MATRIX.sources), family.name
        for tag in family.tags:
            assert tag.evidence in MATRIX.evidence, tag


def test_every_release_named_in_the_image_list_exists() -> None:
    lines = {f"{release.line[0]}.{release.line[1]}" for release in MATRIX.releases}
    for family in MATRIX.families:
        for tag in family.tags:
            named = (*tag.serves, *tag.fits, *tag.on_request, *((tag.l4t,) if tag.l4t else ()))
            assert all(MATRIX.known(version) for version in named), tag
            assert set(tag.runs_on) <= lines, tag
        for fallback in family.fallbacks:
            assert all(MATRIX.known(version) for version in (*fallback.releases, fallback.use))
            assert any(tag.l4t == fallback.use for tag in family.tags), fallback
        names = [tag.tag for tag in family.tags]
        assert len(names) == len(set(names))
        assert not {missing.tag for missing in family.missing} & set(names)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yaml")), ids=lambda path: path.name)
def test_no_value_was_cut_in_two_by_an_unquoted_comma(path: Path) -> None:
    def empty(value: Any, key: str) -> list[str]:
        if isinstance(value, dict):
            return [name for k, v in value.items() for name in empty(v, str(k))]
        if isinstance(value, list):
            return [name for item in value for name in empty(item, key)]
        return [key] if value is None else []

    # r39.0.0's components are the only facts that are really unknown.
    assert set(empty(read_data(path.name), "")) <= {"cudnn", "tensorrt"}


def test_r32_images_ask_the_toolkit_for_all_host_libraries() -> None:
    assert MATRIX.env(MATRIX.release("r32.7.1")) == {"NVIDIA_REQUIRE_JETPACK": "csv-mounts=all"}
    assert MATRIX.env(MATRIX.release("r35.2.1")) == {}


def test_each_release_has_an_oldest_device_plugin() -> None:
    versions = {item.name: MATRIX.plugin_version(item).version for item in MATRIX.releases}
    assert versions["r35.2.1"] == "v0.13.0"
    assert versions["r36.4.3"] == "v0.16.0"
    assert versions["r38.2.0"] == "v0.17.3"
