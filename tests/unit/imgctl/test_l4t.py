"""`imgctl l4t`: what it prints, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imgctl.cli import cli
from imgctl.output import run


@pytest.fixture
def imgctl(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*args: str) -> tuple[int, str, str]:
        code = run(cli, ["l4t", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("# R35 (release), REVISION: 5.0, GCID: 1\n")
    tree = tmp_path / "proc/device-tree"
    tree.mkdir(parents=True)
    (tree / "compatible").write_text("nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0")
    return tmp_path


def test_the_table_has_a_row_for_every_release(imgctl: Any) -> None:
    code, out, _ = imgctl()
    rows = out.splitlines()
    assert code == 0
    assert len(rows) == 1 + 46
    assert rows[0].split()[:5] == ["L4T", "JETPACK", "UBUNTU", "PYTHON", "CUDA"]
    assert any(row.split()[:5] == ["r35.2.1", "5.1", "20.04", "3.8", "11.4.298"] for row in rows)


def test_the_table_as_json(imgctl: Any) -> None:
    _, out, _ = imgctl("--format", "json")
    releases = json.loads(out)
    assert releases[-1]["name"] == "r39.2.1"
    assert releases[-1]["sm"] == [87, 110]


def test_one_release_with_all_that_exists_for_it(imgctl: Any) -> None:
    code, out, _ = imgctl("r35.5.0")
    assert code == 0
    assert "JetPack 5.1.3" in out
    assert "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3" in out
    assert "every r35 host drives it" in out
    assert "its images begin with r36.2.0" in out
    assert "apt suite: r35.5" in out
    assert "tensorflow 2.12.0+nv23.06" in out
    assert "runs images of: r35.1.0 to r35.6.4" in out


def test_one_release_as_json(imgctl: Any) -> None:
    _, out, _ = imgctl("36.4.3", "--format", "json")
    found = json.loads(out)
    answers = {item["family"]: item for item in found["families"]}
    assert found["name"] == "r36.4.3"
    assert answers["l4t-pytorch"]["answer"] == "none"
    assert answers["pytorch-igpu"]["reference"] == "nvcr.io/nvidia/pytorch:25.06-py3-igpu"
    assert answers["l4t-base"]["answer"] == "stand-in"
    assert found["frameworks"][0]["torchvision"] == "0.20.0"


def test_a_jetpack_of_several_releases_says_which_was_taken(imgctl: Any) -> None:
    code, out, err = imgctl("jetpack-5.1.5")
    assert code == 0
    assert "taking r35.6.3" in err
    assert out.startswith("r35.6.3")


def test_community_images_are_named_as_such(imgctl: Any) -> None:
    _, out, _ = imgctl("r36.4.0")
    assert "docker.io/dustynv/l4t-pytorch:r36.4.0" in out
    assert "not NVIDIA's" in out


@pytest.mark.parametrize("text", ["r35.9.9", "5.0", "latest", ""])
def test_an_unknown_release_is_one_error(imgctl: Any, text: str) -> None:
    code, out, err = imgctl(text)
    assert (code, out) == (2, "")
    assert text in err
    assert "imgctl l4t" in err


def test_this_device(imgctl: Any, jetson: Path) -> None:
    code, out, _ = imgctl("--detect", "--root", str(jetson))
    assert code == 0
    assert out.startswith("This device: Jetson AGX Orin, L4T r35.5.0 (from /etc/nv_tegra_release)")
    assert "nvcr.io/nvidia/l4t-jetpack:r35.4.1" in out


def test_this_device_as_json(imgctl: Any, jetson: Path) -> None:
    _, out, _ = imgctl("--detect", "--root", str(jetson), "--format", "json")
    found = json.loads(out)
    assert found["device"]["module"] == "agx-orin"
    assert found["release"]["name"] == "r35.5.0"


@pytest.mark.parametrize("output_format", ["text", "json"])
def test_a_device_newer_than_the_matrix_is_shown_and_then_an_error(
    imgctl: Any, jetson: Path, output_format: str
) -> None:
    (jetson / "etc/nv_tegra_release").write_text("# R41 (release), REVISION: 1.0, GCID: 1\n")
    code, out, err = imgctl("--detect", "--root", str(jetson), "--format", output_format)
    assert code == 2
    assert "41.1.0" in out
    assert "nearest: r39.2.1" in err


def test_a_machine_that_is_no_jetson(imgctl: Any, tmp_path: Path) -> None:
    code, out, err = imgctl("--detect", "--root", str(tmp_path))
    assert (code, out) == (1, "")
    assert "not a Jetson" in err


def test_a_release_and_detect_exclude_each_other(imgctl: Any) -> None:
    code, _, err = imgctl("r35.2.1", "--detect")
    assert code == 2
    assert "either a release or --detect" in err


def test_a_root_without_detect_is_bad_input(imgctl: Any, jetson: Path) -> None:
    code, out, err = imgctl("--root", str(jetson))
    assert (code, out) == (2, "")
    assert "--detect" in err
