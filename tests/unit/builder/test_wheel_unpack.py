"""A wheel's files land where an installer for the base's Python would put them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Mapping
from os.path import normpath
from pathlib import Path

import pytest

from builder.layer import Entry
from builder.wheel_unpack import Scheme, wheel_entries
from registry.errors import CorruptContent

PYTHON38 = Scheme("3.8")
PACKAGES = "usr/local/lib/python3.8/dist-packages"


def wheel(folder: Path, files: Mapping[str, bytes], *, executable: str = "") -> Path:
    """A wheel `thing` 1.0 with these files beside its metadata."""
    path = folder / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"thing-1.0.dist-info/METADATA": b"Name: thing\n", **files}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o755 if name == executable else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def content(entry: Entry) -> bytes:
    assert entry.open is not None
    with entry.open() as stream:
        return stream.read()


def unpacked(path: Path) -> dict[str, Entry]:
    folder = Path(tempfile.mkdtemp(dir=path.parent)) / "content"
    return {entry.path: entry for entry in wheel_entries(path, PYTHON38, folder)}


def test_modules_go_to_debians_folder_for_what_pip_installs(tmp_path: Path) -> None:
    found = unpacked(wheel(tmp_path, {"thing/__init__.py": b"x = 1\n"}))
    assert content(found[f"{PACKAGES}/thing/__init__.py"]) == b"x = 1\n"
    assert content(found[f"{PACKAGES}/thing-1.0.dist-info/INSTALLER"]) == b"imgctl\n"


def test_the_data_folders_go_where_their_kind_says(tmp_path: Path) -> None:
    files = {
        "thing-1.0.data/purelib/a.py": b"",
        "thing-1.0.data/platlib/b.so": b"",
        "thing-1.0.data/scripts/run": b"#!pythonw -E\nprint(1)\n",
        "thing-1.0.data/data/share/thing/c.txt": b"",
        "thing-1.0.data/headers/thing.h": b"",
    }
    found = unpacked(wheel(tmp_path, files))
    assert {f"{PACKAGES}/a.py", f"{PACKAGES}/b.so", "usr/local/share/thing/c.txt"} < set(found)
    assert "usr/local/include/python3.8/thing/thing.h" in found
    script = found["usr/local/bin/run"]
    assert script.mode == 0o755
    assert content(script) == b"#!/usr/bin/python3\nprint(1)\n"


def test_a_console_script_calls_its_entry_point(tmp_path: Path) -> None:
    text = b"[console_scripts]\nThing = thing.cli:Main.run [extra]\n[other]\nx = y\n"
    found = unpacked(wheel(tmp_path, {"thing-1.0.dist-info/entry_points.txt": text}))
    script = content(found["usr/local/bin/Thing"]).decode()
    assert "from thing.cli import Main\n" in script
    assert "sys.exit(Main.run())" in script


def test_an_executable_file_stays_executable(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"thing/tool": b"", "thing/data": b""}, executable="thing/tool")
    found = unpacked(path)
    assert found[f"{PACKAGES}/thing/tool"].mode == 0o755
    assert found[f"{PACKAGES}/thing/data"].mode == 0o644


def test_the_record_lists_every_file_with_its_hash(tmp_path: Path) -> None:
    files = {
        "thing/a,b.py": b"x",
        "thing-1.0.data/scripts/run": b"",
        "thing-1.0.dist-info/RECORD": b"?",
    }
    found = unpacked(wheel(tmp_path, files))
    record = content(found[f"{PACKAGES}/thing-1.0.dist-info/RECORD"]).decode()
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(record))}
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).rstrip(b"=").decode()
    assert rows["thing/a,b.py"] == [f"sha256={digest}", "1"]
    assert rows["thing-1.0.dist-info/RECORD"] == ["", ""]
    assert {normpath(f"{PACKAGES}/{row}") for row in rows} == set(found)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../outside.py", "thing/../../x", "thing//x", "./x", "a\\b"]
)
def test_a_file_outside_the_wheels_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorruptContent, match="outside its folder"):
        unpacked(wheel(tmp_path, {name: b""}))


@pytest.mark.parametrize(
    "entry", ["x = os;import:system", "x = a:b();evil()", "a/b = thing:main", "x = thing"]
)
def test_an_entry_point_that_is_none_is_refused(tmp_path: Path, entry: str) -> None:
    text = f"[console_scripts]\n{entry}\n".encode()
    with pytest.raises(CorruptContent, match="entry point"):
        unpacked(wheel(tmp_path, {"thing-1.0.dist-info/entry_points.txt": text}))


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"other-1.0.dist-info/METADATA": b""})
    with pytest.raises(CorruptContent, match="is not a wheel"):
        unpacked(path)
    path.write_bytes(b"PK but not really")
    with pytest.raises(CorruptContent, match="is not a wheel"):
        unpacked(path)


def test_a_damaged_wheel_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"thing/a.py": b"some words of text " * 50})
    whole = path.read_bytes()
    start = whole.index(b"thing/a.py") + len("thing/a.py")
    for place in range(start, start + 12):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(CorruptContent, match="is not a wheel"):
            unpacked(path)
