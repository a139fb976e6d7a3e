"""The difference of two images."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import CorruptContent
from registry.layout import LayoutStore
from registry.oci import Platform
from registry.reference import Reference
from release.diff import Change, Difference, compare
from release.remote import BASE_DIGEST, BASE_NAME, read_image
from tests.unit.release.images import put, tar

BASE = tar({"etc": None, "etc/os-release": b"Ubuntu"})


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore.create(tmp_path / "layout")


def difference(store: LayoutStore) -> Difference:
    names = [Reference.parse(f"host.example/images/x:{tag}") for tag in ("a", "b")]
    one, two = (read_image(store, name, Platform()) for name in names)
    return compare(one, store, two, store)


def test_one_image_under_two_names_is_the_same(store: LayoutStore) -> None:
    put(store, "a", BASE)
    put(store, "b", BASE)
    found = difference(store)
    assert found.same
    assert found.changes == ()


def test_a_changed_script_is_one_line(store: LayoutStore) -> None:
    put(store, "a", BASE, tar({"home": None, "home/run.py": b"print(1)"}))
    put(store, "b", BASE, tar({"home": None, "home/run.py": b"print(12)"}))
    found = difference(store)
    assert not found.same
    (change,) = found.changes
    assert (change.what, change.name) == ("file", "home/run.py")
    assert change.before is not None
    assert "8 bytes" in change.before
    assert change.after is not None
    assert "9 bytes" in change.after


def test_packages_bases_settings_and_labels_are_told_apart(store: LayoutStore) -> None:
    wheel = {"usr/lib/python3/tqdm-{}.dist-info/METADATA": b"x", "usr/lib/python3/tqdm.py": b"y"}
    before = {path.format("4.66.1"): content for path, content in wheel.items()}
    after = {path.format("4.67.0"): content for path, content in wheel.items()}
    put(store, "a", BASE, tar(before), Env=["A=1", "B=2"],
        Labels={BASE_NAME: "nvcr.io/x:1", BASE_DIGEST: "sha256:1", "team": "red"})  # fmt: skip
    put(store, "b", tar({"etc": None}), tar(after), Env=["A=1", "B=3"], Cmd=["run", "now"],
        Labels={BASE_NAME: "nvcr.io/x:1", BASE_DIGEST: "sha256:2", "team": "red"})  # fmt: skip
    changes = difference(store).changes
    assert Change("base", "digest", "sha256:1", "sha256:2") in changes
    assert Change("package", "tqdm", "4.66.1", "4.67.0") in changes
    assert Change("setting", "env B", "2", "3") in changes
    assert Change("setting", "cmd", None, "run now") in changes
    assert not [change for change in changes if change.name in ("team", "env A", "name")]


def test_links_and_deleted_files_are_named(store: LayoutStore) -> None:
    put(store, "a", BASE, tar({"opt/link": "/opt/one"}))
    put(store, "b", BASE, tar({"opt/link": "/opt/two", "etc/.wh.os-release": b""}))
    changes = {change.name: change for change in difference(store).changes}
    assert changes["opt/link"].after == "0644 0:0 symlink /opt/two"
    assert changes["etc/os-release"].after == "0000 0:0 deleted"


def test_large_layers_are_not_read(store: LayoutStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "a", BASE)
    put(store, "b", BASE, tar({"weights": b"w" * 5000}))
    monkeypatch.setattr("release.diff.LARGEST_READ", 10)
    found = difference(store)
    assert found.changes == ()
    assert len(found.unread) == 1


def test_what_is_no_tar_and_what_contradicts_itself_is_corrupt(store: LayoutStore) -> None:
    put(store, "a", BASE)
    put(store, "b", BASE, b"this is no tar archive at all, whatever the manifest says" * 20)
    with pytest.raises(CorruptContent, match="is no tar"):
        difference(store)
