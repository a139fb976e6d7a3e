"""How the places of a copy are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.client import RegistryClient, RegistryOptions
from registry.errors import BadInput
from registry.location import Location

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("h.example/p/x:1.0", "h.example/p/x", "1.0"),
        ("h.example/p/x", "h.example/p/x", ""),
        (f"h.example/p/x:1.0@{DIGEST}", "h.example/p/x", DIGEST),
        ("127.0.0.1:5000/x", "127.0.0.1:5000/x", ""),
        ("alpine", "docker.io/library/alpine", ""),
        ("oci:dist/mnist", "oci:dist/mnist", ""),
        ("oci:dist/mnist:1.0", "oci:dist/mnist", "1.0"),
        (f"oci:dist/mnist@{DIGEST}", "oci:dist/mnist", DIGEST),
        ("oci:/a:b/c", "oci:/a:b/c", ""),
        ("oci:/a:b/c:d", "oci:/a:b/c", "d"),
        ("oci-archive:x.tar", "oci-archive:x.tar", ""),
        ("oci-archive:x.tar:1.0-l4t-r35.2.1", "oci-archive:x.tar", "1.0-l4t-r35.2.1"),
    ],
)
def test_a_place_and_the_name_in_it(text: str, place: str, name: str) -> None:
    location = Location.parse(text)
    assert (str(location), location.name) == (place, name)


def test_a_path_that_is_there_may_hold_a_colon(here: Path) -> None:
    (here / "a:b").mkdir()
    assert Location.parse("oci:a:b").path == Path("a:b")
    assert Location.parse("oci:a:b:c").name == "c"


@given(st.from_regex(r"[a-z0-9/]{1,9}", fullmatch=True), st.from_regex(r"\w{1,9}", fullmatch=True))
def test_a_place_reads_back_as_it_is_written(path: str, tag: str) -> None:
    if tag.isascii():
        location = Location.parse(f"oci:{path}:{tag}")
        assert Location.parse(location.named(location.name)) == location


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oci:", "names no directory"),
        ("oci-archive:", "names no file"),
        ("oci:dist:no tag", "'no tag' cannot be a tag"),
        ("oci:dist:", "'' cannot be a tag"),
        ("docker://h.example/x", "given as a URL"),
        ("docker-daemon:x:1", "no place to copy from or to"),
        ("docker-archive:x.tar", "no place to copy from or to"),
        ("./dist/mnist", "write oci:./dist/mnist"),
        ("/dist/mnist", "write oci:/dist/mnist"),
        ("h.example/p/X", "lower case"),
        ("h.example/x:no tag", "is not a tag"),
        ("", "is not an image reference"),
    ],
)
def test_what_is_no_place_is_told_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        Location.parse(text)
    assert said in str(caught.value)


def test_a_folder_named_without_scheme_is_not_taken_for_docker_hub(here: Path) -> None:
    (here / "dist").mkdir()
    with pytest.raises(BadInput, match="is a file or folder here"):
        Location.parse("dist")


@pytest.mark.parametrize("scheme", ["oci", "oci-archive"])
def test_a_source_that_is_not_there_is_told(scheme: str) -> None:
    with (
        RegistryClient(RegistryOptions()) as client,
        pytest.raises(BadInput, match="there is no"),
        Location.parse(f"{scheme}:nowhere").open_source(client),
    ):
        pass


def test_a_layout_is_not_made_among_other_things(here: Path) -> None:
    (here / "home").mkdir()
    (here / "home" / "letter.txt").write_text("")
    (here / "file").write_text("")
    with RegistryClient(RegistryOptions()) as client:
        for place, said in (("oci:home", "holds other things"), ("oci:file", "is a file")):
            with (
                pytest.raises(BadInput, match=said),
                Location.parse(place).open_target(client),
            ):
                pass
    assert sorted(path.name for path in (here / "home").iterdir()) == ["letter.txt"]
