"""A layer's bytes come from its content only, and folders of the base keep what they have."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.layer import Entry, file_entry, with_folders, write_layer
from registry.errors import BadInput
from registry.oci import DOCKER_LAYER_GZIP, OCI_LAYER_GZIP


def entry(path: str, content: bytes = b"x", mode: int = 0o644, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(path, mode, uid, gid, size=len(content), open=lambda: io.BytesIO(content))


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path, "r:gz") as archive:
        return archive.getmembers()


def test_a_layer_holds_the_files_with_their_modes_and_numeric_owners(tmp_path: Path) -> None:
    entries = [entry("opt/app/run.py", b"print(1)\n", 0o755, 1000, 1001)]
    layer = write_layer(entries, tmp_path / "layer", created=0)
    run = members(layer.path)[-1]
    assert (run.name, run.mode, run.uid, run.gid, run.uname, run.mtime) == (
        "opt/app/run.py", 0o755, 1000, 1001, "", 0,
    )  # fmt: skip
    with tarfile.open(layer.path, "r:gz") as archive:
        content = archive.extractfile("opt/app/run.py")
        assert content is not None and content.read() == b"print(1)\n"


def test_digest_and_diff_id_are_those_of_the_bytes(tmp_path: Path) -> None:
    layer = write_layer([entry("a")], tmp_path / "layer", created=0)
    blob = layer.path.read_bytes()
    assert layer.digest == "sha256:" + hashlib.sha256(blob).hexdigest()
    assert layer.diff_id == "sha256:" + hashlib.sha256(gzip.decompress(blob)).hexdigest()
    assert layer.size == len(blob)
    assert layer.descriptor(docker=True).media_type == DOCKER_LAYER_GZIP
    assert layer.descriptor(docker=False).media_type == OCI_LAYER_GZIP


def test_order_umask_and_file_times_do_not_change_the_digest(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    first = write_layer(
        [file_entry(source, "/b", 0o644, 0, 0, 7), entry("a/c")], tmp_path / "1", created=0
    )
    os.utime(source, (1, 1))
    before = os.umask(0o077)
    try:
        again = write_layer(
            [entry("a/c"), file_entry(source, "/b", 0o644, 0, 0, 7)], tmp_path / "2", created=0
        )
    finally:
        os.umask(before)
    assert first.digest == again.digest


def test_the_digest_of_a_known_layer_stays_what_it_is(tmp_path: Path) -> None:
    """Released images are named by this; a change here is a change for every user."""
    layer = write_layer([entry("opt/a", b"hello\n", 0o755)], tmp_path / "layer", created=0)
    assert layer.diff_id == (
        "sha256:3c1e9fe82ae7d45e32dabeaa3555de358c96ea26c5c760be0f93f8b209ef0c5e"
    )


@given(st.binary(max_size=2000), st.integers(0, 2**31))
def test_python_reads_back_what_was_written(content: bytes, created: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        layer = write_layer([entry("x", content)], Path(folder) / "layer", created)
        with tarfile.open(layer.path, "r:gz") as archive:
            stream = archive.extractfile("x")
            assert stream is not None and stream.read() == content
            assert archive.getmember("x").mtime == created


class TestFolders:
    """Which owner and mode the folders above the files get."""

    def test_system_folders_stay_roots_whoever_owns_the_file(self) -> None:
        found = {item.path: item for item in with_folders([entry("home/app/x", uid=7, gid=8)])}
        assert (found["home"].uid, found["home"].mode) == (0, 0o755)
        assert (found["home/app"].uid, found["home/app"].gid) == (7, 8)

    def test_tmp_and_root_keep_the_modes_every_base_gives_them(self) -> None:
        found = {item.path: item.mode for item in with_folders([entry("tmp/a"), entry("root/b")])}
        assert found["tmp"] == 0o1777
        assert found["root"] == 0o700

    def test_a_folder_of_files_with_different_owners_is_roots(self) -> None:
        found = {
            item.path: item
            for item in with_folders([entry("opt/x/a", uid=1), entry("opt/x/b", uid=2)])
        }
        assert (found["opt/x"].uid, found["opt/x"].gid) == (0, 0)

    def test_each_folder_comes_once_and_before_what_it_holds(self) -> None:
        paths = [
            item.path for item in with_folders([entry("opt/a/x"), entry("opt/a-b"), entry("opt/z")])
        ]
        assert paths == ["opt", "opt/a", "opt/a/x", "opt/a-b", "opt/z"]

    def test_recorded_folders_change_nothing(self) -> None:
        recorded, file = Entry("opt/a", 0o700, 5, 5, "folder"), entry("opt/a/x")
        assert with_folders([recorded, file]) == with_folders([file])

    def test_a_file_in_the_place_of_a_folder_is_refused(self) -> None:
        with pytest.raises(BadInput, match="/opt/x/y cannot be in the image"):
            with_folders([entry("opt/x"), entry("opt/x/y")])

    def test_the_later_of_two_entries_for_a_path_counts(self) -> None:
        (kept,) = with_folders([entry("a", b"old", 0o600), entry("a", b"new", 0o644)])
        assert kept.mode == 0o644


def test_a_file_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1234")
    planned = file_entry(source, "/a", 0o644, 0, 0, 4, hashlib.sha256(b"1234").hexdigest())
    for changed in (b"4321", b"123", b"12345"):
        source.write_bytes(changed)
        with pytest.raises(BadInput, match="changed while the image was built"):
            write_layer([planned], tmp_path / "layer", created=0)


def test_links_and_long_names_survive(tmp_path: Path) -> None:
    long = "opt/" + "ü" * 60 + "/" + "n" * 90
    entries = [
        entry(long),
        Entry("opt/soft", 0o777, kind="symlink", link="../etc/x"),
        Entry("opt/hard", 0o644, kind="hardlink", link=long),
    ]
    layer = write_layer(entries, tmp_path / "layer", created=0)
    found = {item.name: item for item in members(layer.path)}
    assert found[long].isfile()
    assert found["opt/soft"].linkname == "../etc/x"
    assert found["opt/hard"].islnk() and found["opt/hard"].linkname == long


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    class Zeros(io.RawIOBase):
        left = 64 << 20

        def read(self, size: int = -1, /) -> bytes:
            taken = min(size, self.left)
            self.left -= taken
            return bytes(taken)

    @contextmanager
    def zeros() -> Iterator[BinaryIO]:
        yield Zeros()  # type: ignore[misc]

    tracemalloc.start()
    try:
        write_layer([Entry("big", 0o644, size=64 << 20, open=zeros)], tmp_path / "layer", 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
