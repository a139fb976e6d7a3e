"""Moving an image onto a newer base: its own layers stay, settings follow the base."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.base_image import RemoteBase, read_base
from builder.graft import Step, graft
from builder.layer import Layer
from registry.errors import Refused
from registry.layout import LayoutStore
from registry.oci import Platform, sha256
from registry.reference import Reference
from release.rebase import Rebase, carried_over, rebased, record_of
from release.remote import BASE_DIGEST, RemoteImage
from tests.unit.release.images import put, tar

NAME = Reference.parse("nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3")
IMAGE = Reference.parse("harbor.example/algorithms/mnist:1.0.0-l4t-r35.2.1")
OWN = Layer(Path(), sha256(b"own layer"), sha256(b"own tar"), 9)


def base(folder: Path, *contents: bytes, **settings: Any) -> RemoteBase:
    store = LayoutStore.create(folder)
    put(store, "r35.2.1-pth2.0-py3", *contents, **settings)
    return read_base(store, NAME, NAME, Platform())


def on(remote: RemoteBase, settings: dict[str, Any]) -> RemoteImage:
    """An image with one layer of its own on a base, as a build makes it."""
    steps = [Step("COPY run.py", OWN), Step("CMD run")]
    made = graft(remote.manifest, remote.config, settings, steps, 0, {BASE_DIGEST: "old"})
    config = type(remote.config).parse(made.config, made.manifest, "image")
    return RemoteImage(IMAGE, made.manifest, config)


@pytest.fixture
def job(tmp_path: Path) -> Rebase:
    old = base(tmp_path / "old", tar({"a": b"1"}), Env=["PATH=/cuda:/bin", "V=1"], User="root")
    new = base(
        tmp_path / "new",
        tar({"a": b"2"}),
        tar({"b": b"3"}),
        Env=["PATH=/cuda-12:/bin", "V=2", "NEW=1"],
        User="root",
    )
    image = on(old, {"Env": ["PATH=/opt/run:/cuda:/bin", "V=1", "OURS=yes"], "Cmd": ["run"],
                     "User": "root", "Labels": {"team": "red"}})  # fmt: skip
    return Rebase(image, old, new, "1.0.1", "1.0.1-l4t-r35.2.1", "r35.2.1", "5.1")


def test_the_new_base_comes_first_and_the_own_layers_stay(job: Rebase) -> None:
    made = rebased(job)
    digests = [layer.digest for layer in made.manifest.layers]
    assert digests == [*(layer.digest for layer in job.new.manifest.layers), OWN.digest]
    config = json.loads(made.config)
    assert config["rootfs"]["diff_ids"] == [*job.new.config.diff_ids, OWN.diff_id]
    assert [entry["created_by"] for entry in config["history"]] == ["COPY run.py", "CMD run"]


def test_settings_of_the_base_give_way_and_the_images_own_stay(job: Rebase) -> None:
    settings = json.loads(rebased(job).config)["config"]
    assert settings["Env"] == ["PATH=/opt/run:/cuda-12:/bin", "V=2", "NEW=1", "OURS=yes"]
    assert settings["Cmd"] == ["run"]
    assert settings["Labels"]["team"] == "red"
    assert settings["Labels"][BASE_DIGEST] == job.new.manifest.digest
    assert settings["Labels"]["org.opencontainers.image.version"] == "1.0.1"


def test_the_same_move_gives_the_same_digest(job: Rebase) -> None:
    assert rebased(job).manifest.digest == rebased(job).manifest.digest


def test_an_image_on_another_base_is_refused(job: Rebase, tmp_path: Path) -> None:
    other = base(tmp_path / "other", tar({"a": b"other"}))
    with pytest.raises(Refused, match="does not stand on"):
        rebased(Rebase(job.image, other, job.new, "1", "t", "r35.2.1", "5.1"))


def test_the_record_is_one_that_push_and_manifests_take(job: Rebase) -> None:
    made = rebased(job)
    record = record_of(job, made, ["run"], {"kind": "batch"})
    assert record["digest"] == made.manifest.digest
    assert [layer["ours"] for layer in record["layers"]] == [False, False, True]
    assert record["base"]["sources"] == [{"host": "nvcr.io", "repository": "nvidia/l4t-pytorch"}]


def test_a_variable_the_image_removed_stays_removed() -> None:
    old, new = {"Env": ["A=1", "B=2"]}, {"Env": ["A=1", "B=3"]}
    assert carried_over(old, new, {"Env": ["A=1"]})["Env"] == ["A=1"]


def test_an_image_with_a_step_that_ran_on_its_base_is_not_moved(job: Rebase) -> None:
    for text in (
        "RUN /bin/sh -c apt-get update # buildkit",
        "/bin/sh -c make",
        "|1 A=b /bin/sh -c x",
    ):
        made = graft(
            job.old.manifest, job.old.config, {}, [Step(text, OWN)], 0, {BASE_DIGEST: "old"}
        )
        config = type(job.old.config).parse(made.config, made.manifest, "image")
        full = replace(job, image=RemoteImage(IMAGE, made.manifest, config))
        with pytest.raises(Refused, match="not grafted"):
            rebased(full)
