"""Builds in dist/, found by what users call them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.dist import Build, find_builds, known_builds
from registry.errors import BadInput, CorruptContent
from tests.unit.imgctl.builds import make_build

OLD, NEW = "1.0.0-l4t-r35.2.1", "1.1.0-l4t-r35.2.1"


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two builds of mnist, one of gpu-test; the working folder is the one above."""
    monkeypatch.chdir(tmp_path)
    for image, tag in (("mnist", NEW), ("mnist", OLD), ("gpu-test", OLD)):
        make_build(Path("dist"), image, tag)
    return Path("dist")


def names(builds: list[Build]) -> list[str]:
    return [build.record.name for build in builds]


def test_without_names_all_builds_by_name_and_tag(dist: Path) -> None:
    assert names(find_builds(dist)) == [f"gpu-test:{OLD}", f"mnist:{OLD}", f"mnist:{NEW}"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mnist", [f"mnist:{OLD}", f"mnist:{NEW}"]),
        (f"mnist:{NEW}", [f"mnist:{NEW}"]),
        (f"dist/mnist/{NEW}", [f"mnist:{NEW}"]),
        (f"dist/mnist/{NEW}/build.json", [f"mnist:{NEW}"]),
        ("dist/gpu-test", [f"gpu-test:{OLD}"]),
        ("dist", [f"gpu-test:{OLD}", f"mnist:{OLD}", f"mnist:{NEW}"]),
    ],
)
def test_a_name_is_an_image_one_build_of_it_or_a_folder(
    dist: Path, name: str, found: list[str]
) -> None:
    assert names(find_builds(dist, [name])) == found


def test_a_build_that_is_named_twice_counts_once(dist: Path) -> None:
    assert names(find_builds(dist, ["mnist", f"mnist:{OLD}"])) == [f"mnist:{OLD}", f"mnist:{NEW}"]


def test_a_build_under_way_is_none_yet(dist: Path) -> None:
    make_build(dist, "mnist", "x").rename(dist / "mnist" / f".{OLD}.abc")
    assert len(find_builds(dist)) == 3


@pytest.mark.parametrize("name", ["nope", "mnist:nope", "../mnist", "", ".", "..", "dist/nope"])
def test_a_name_that_means_nothing_is_told_with_what_there_is(dist: Path, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        find_builds(dist, [name])
    assert repr(name) in caught.value.what
    assert "imgctl build" in caught.value.hint


def test_a_layout_that_is_no_build_of_ours_is_for_copy(dist: Path) -> None:
    folder = dist / "mnist" / OLD
    (folder / "build.json").unlink()
    with pytest.raises(BadInput) as caught:
        find_builds(dist, [str(folder)])
    assert f"imgctl copy oci:{folder}" in caught.value.hint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "Not/A name"),
        ("tag", "no tag"),
        ("digest", "sha256:short"),
        ("platform", "linux"),
        ("layers", [{"digest": "x"}]),
        ("base", {"sources": [{}]}),
        ("base", None),
    ],
)
def test_a_record_that_cannot_be_used_is_told(dist: Path, field: str, value: object) -> None:
    path = dist / "mnist" / OLD / "build.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(CorruptContent, match="is not a whole record") as caught:
        find_builds(dist, ["mnist"])
    assert caught.value.hint == "build again"


def test_what_is_known_of_dist_leaves_out_what_cannot_be_read(dist: Path) -> None:
    (dist / "mnist" / OLD / "build.json").write_text("{")
    assert names(known_builds(dist)) == [f"gpu-test:{OLD}", f"mnist:{NEW}"]
    assert known_builds(Path("nowhere")) == []
