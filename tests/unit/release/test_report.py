"""The release page: what it says, and that nothing in an image can make it say more."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from builder.graft import BaseConfig
from builder.matrix import Matrix
from registry.layout import LayoutStore
from registry.oci import Platform
from registry.reference import Reference
from release.charts import WIDTH, Point, Share, human, layer_bar, size_plot
from release.contents import from_layers
from release.diff import Change
from release.remote import BASE_DIGEST, BASE_NAME, L4T, VERSION, RemoteImage, read_image
from release.report import Findings, Part, Report, Signature, make_report, to_html
from tests.unit.release.images import put, tar

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
REFERENCE = Reference.parse("harbor.example/algorithms/mnist:1.4.0")


def image(folder: Path, **labels: str) -> RemoteImage:
    store = LayoutStore.create(folder)
    known = {
        VERSION: "1.4.0",
        L4T: "r35.2.1",
        BASE_NAME: "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3",
        BASE_DIGEST: "sha256:" + "1" * 64,
        "org.opencontainers.image.description": "Learns digits",
    }
    put(store, "1.4.0", tar({"etc/a": b"base" * 500}), tar({"home/run.py": b"ours"}),
        Labels={**known, **labels}, Cmd=["python3", "/home/run.py"])  # fmt: skip
    return read_image(store, REFERENCE, Platform())


@pytest.fixture
def report(tmp_path: Path) -> Report:
    found = Findings(
        signature=Signature("good, by key abc", "good"),
        base_layers=1,
        previous="1.3.0",
        changes=[Change("file", "home/run.py", "0644 3 bytes", "0644 4 bytes")],
        contents=[Part("tqdm", "package", "4.66.1", "MIT", "ab" * 32), Part("home/run.py", "file")],
        contents_from="as the attached SBOM lists them",
        workload={"kind": "batch", "gpus": 1},
    )
    return make_report(image(tmp_path / "layout"), found, Matrix.load(), "1.0.0")


def test_it_says_what_it_is_for_which_devices_and_how_to_check_and_run_it(report: Report) -> None:
    page = to_html(report)
    for text in (
        "mnist 1.4.0", "Learns digits", "Jetson AGX Orin", "JetPack 5.1", report.digest,
        "good, by key abc", "Since 1.3.0", "tqdm", "MIT", "1 package and 1 file",
        f"imgctl verify {report.reference} \\\n  --key signing.pub", "kind: Deployment",
        "nvidia.com/gpu",
    ):  # fmt: skip
        assert text in page, text


def test_the_page_fetches_nothing_and_runs_nothing(report: Report) -> None:
    page = to_html(report)
    assert re.findall(r"<(script|link|img|iframe|object|embed|base)\b", page) == []
    assert re.findall(r"(src|href|srcset|action)\s*=", page) == []
    assert re.findall(r"url\(|@import", page) == []
    assert "default-src 'none'; style-src 'unsafe-inline'" in page


def test_whatever_an_image_says_of_itself_is_only_text(tmp_path: Path) -> None:
    found = Findings(
        signature=Signature(HOSTILE),
        base_layers=1,
        previous=HOSTILE,
        changes=[Change(HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
        contents=[Part(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)],
    )
    names = (VERSION, BASE_NAME, BASE_DIGEST, "org.opencontainers.image.description")
    hostile = image(tmp_path / "layout", **dict.fromkeys(names, HOSTILE))
    page = to_html(make_report(hostile, found, Matrix.load(), "1.0.0"))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    plain = image(tmp_path / "layout", **{L4T: "r99.0.0"})
    report = make_report(plain, Findings(Signature("not signed")), Matrix.load(), "1.0.0")
    assert "which the matrix does not know" in dict(report.facts)["Runs on"]
    assert "could not be told" in report.layers_told
    assert report.changes is None
    assert not any("verify" in command for _, command in report.commands)
    assert "not signed" in to_html(report)


def test_an_image_without_a_history_still_has_its_layers_told_apart(report: Report) -> None:
    assert [layer.origin for layer in report.layers] == ["base", "ours"]


def test_contents_are_read_from_layers_where_nothing_is_attested(tmp_path: Path) -> None:
    store = LayoutStore.create(tmp_path / "layout")
    made = put(store, "x", tar({"lib/tqdm-4.66.1.dist-info/METADATA": b"m", "run.py": b"r"}))
    parts, unread = from_layers(store, made.layers)
    assert unread == 0
    assert Part("tqdm", "package", "4.66.1") in parts
    assert {part.name for part in parts if part.kind == "file"} == {
        "lib/tqdm-4.66.1.dist-info/METADATA",
        "run.py",
    }


def test_a_layer_that_cannot_be_read_is_counted_and_hides_no_other(tmp_path: Path) -> None:
    store = LayoutStore.create(tmp_path / "layout")
    made = put(store, "x", b"no tar at all", tar({"run.py": b"r"}))
    parts, unread = from_layers(store, made.layers)
    assert ([part.name for part in parts], unread) == (["run.py"], 1)


def test_names_that_turn_text_around_or_are_no_utf_8_are_shown_as_what_they_are(
    tmp_path: Path,
) -> None:
    names = ["\u202egnp.exe", "\udcff.bin", "ctl\x1b[31m"]
    found = Findings(Signature("x"), contents=[Part(name, "file") for name in names])
    page = to_html(make_report(image(tmp_path / "layout"), found, Matrix.load(), "1"))
    page.encode()
    for shown in (r"\u202egnp.exe", r"\udcff.bin", r"ctl\x1b[31m"):
        assert f">{shown}<" in page


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    found = Findings(
        Signature("x"),
        previous="1.3.0",
        changes=[Change("file", str(number), None, "1") for number in range(130)],
        contents=[Part(str(number), "file") for number in range(700)],
        contents_from="as the attached SBOM lists them",
    )
    page = to_html(make_report(image(tmp_path / "layout"), found, Matrix.load(), "1"))
    assert "And 30 more:" in page
    assert "0 packages and 700 files, as the attached SBOM lists them. The first 500" in page


def test_the_date_that_reproducible_builds_write_is_no_date(tmp_path: Path) -> None:
    created = "org.opencontainers.image.created"
    for date, said in (("1970-01-01T00:00:00Z", False), ("2025-03-04T05:06:07Z", True)):
        made = image(tmp_path / date, **{created: date})
        report = make_report(made, Findings(Signature("x")), Matrix.load(), "1")
        assert ("Created" in dict(report.facts)) is said


def test_a_small_layer_beside_a_huge_one_is_seen() -> None:
    shares = [Share("base", 6_000_000_000, "base"), Share("ours", 400, "ours")]
    widths = [float(width) for width in re.findall(r' width="([\d.]+)"', layer_bar(shares, "", ""))]
    assert min(widths) >= 3
    assert sum(widths) <= WIDTH


def test_a_release_on_another_base_is_marked() -> None:
    points = [Point("1.0", 10, "a"), Point("1.1", 12, "a"), Point("1.2", 12, "b")]
    plot = size_plot(points, "Sizes", "three releases")
    assert plot.count('class="dot"') == 2
    assert plot.count('class="ring"') == 1
    assert 'aria-label="Sizes. three releases"' in plot


@pytest.mark.parametrize("name", ["1.{}.0", "1.{}.0-rc.1", "1.{}.0-" + "rc." * 20 + "1"])
@pytest.mark.parametrize("count", [2, 9, 19, 20])
def test_names_under_the_plot_do_not_touch(name: str, count: int) -> None:
    plot = size_plot([Point(name.format(at), 10, "a") for at in range(count)], "", "")
    pattern = r'<text x="([\d.]+)" y="184" text-anchor="middle">([^<]*)</text>'
    places = sorted((float(x), len(text)) for x, text in re.findall(pattern, plot))
    edges = [(x - size * 3.7, x + size * 3.7) for x, size in places]
    assert edges[0][0] >= 0
    assert edges[-1][1] <= WIDTH
    assert all(one[1] < two[0] for one, two in pairwise(edges))


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 B"), (422, "422 B"), (6677, "6.7 kB"), (36_900_000, "36.9 MB"), (5.8e9, "5.8 GB")],
)
def test_sizes_for_a_reader(size: float, told: str) -> None:
    assert human(size) == told


def test_a_page_can_be_made_of_an_image_without_a_command(tmp_path: Path) -> None:
    plain = image(tmp_path / "layout")
    config = BaseConfig(plain.config.raw, {**plain.config.value, "config": {}})
    bare = replace(plain, config=config)
    assert "Manifests" in to_html(make_report(bare, Findings(Signature("x")), Matrix.load(), "1"))
