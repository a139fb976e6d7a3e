"""`imgctl images`: what can be built, and for which L4T lines."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.imgctl.records import Call


def test_each_image_with_the_lines_of_each_base(call: Call) -> None:
    code, out, _ = call("images")
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "gpu-test",
        "mnist",
        "tensorflow",
    ]
    assert any(line.split() == ["pytorch-igpu", "r36.2,", "r36.3,", "r36.4,", "r36.5"]
               for line in lines)  # fmt: skip


def test_a_teams_images_beside_the_built_in_ones(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "images/detector"
    folder.mkdir(parents=True)
    (folder / "image.yaml").write_text("name: detector\nversion: 0.1.0\nbases: [l4t-jetpack]\n")
    _, out, _ = call("images", "--format", "json")
    images = {image["name"]: image for image in json.loads(out)}
    assert set(images) == {"detector", "gpu-test", "mnist", "tensorflow"}
    assert images["detector"]["lines"]["l4t-jetpack"][0] == "r35.1"


def test_a_definition_that_is_wrong_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "images/detector/image.yaml").mkdir(parents=True)
    code, out, err = call("images")
    assert (code, out) == (2, "")
    assert "images/detector/image.yaml cannot be read" in err
