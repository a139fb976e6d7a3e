"""Files are found, and replaced all or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.pin.files import Change, read_source, write_all, yaml_files
from registry.errors import BadInput, ImgctlError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name: str, text: str = "a: 1\n") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_gives_its_yaml_and_nothing_else(folder: Path) -> None:
    for name in ("b/x.yaml", "a.yml", "c.json", "d.txt", ".git/e.yaml", "b/templates/f.yaml"):
        put(name)
    assert yaml_files([Path()], ["templates/*"]) == [Path("a.yml"), Path("b/x.yaml")]
    assert yaml_files([Path("c.json"), Path("a.yml"), Path("a.yml")]) == [
        Path("c.json"),
        Path("a.yml"),
    ]


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="nowhere is not there"):
        yaml_files([Path("nowhere")])


def test_what_is_not_utf8_is_refused_with_its_line(folder: Path) -> None:
    (folder / "a.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(BadInput, match=r"a\.yaml:2: not UTF-8"):
        read_source(Path("a.yaml"))


def test_files_are_replaced_with_their_mode_and_line_ends_kept(folder: Path) -> None:
    path = put("a.yaml", "a: 1\r\n")
    path.chmod(0o640)
    write_all([Change(path, "a: 1\r\n", "a: 2\r\n"), Change(Path("new"), None, "é\n")])
    assert path.read_bytes() == b"a: 2\r\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert Path("new").read_bytes() == "é\n".encode()
    assert names(folder) == ["a.yaml", "new"]


def test_a_link_stays_a_link() -> None:
    real, link = put("real/a.yaml"), Path("a.yaml")
    link.symlink_to(real)
    write_all([Change(link, "a: 1\n", "a: 2\n")])
    assert link.is_symlink()
    assert real.read_text() == "a: 2\n"


def test_a_file_that_changed_meanwhile_stops_everything(folder: Path) -> None:
    first, second = put("a.yaml"), put("b.yaml", "b: changed\n")
    with pytest.raises(ImgctlError, match=r"b\.yaml was changed by someone else"):
        write_all([Change(first, "a: 1\n", "a: 2\n"), Change(second, "b: 1\n", "b: 2\n")])
    assert first.read_text() == "a: 1\n"
    assert names(folder) == ["a.yaml", "b.yaml"]


def test_a_lock_that_appeared_meanwhile_stops_everything() -> None:
    lock = put("lock")
    with pytest.raises(ImgctlError, match="changed by someone else"):
        write_all([Change(lock, None, "x\n")])
    assert lock.read_text() == "a: 1\n"


def test_without_permission_no_file_changes(folder: Path) -> None:
    first, second = put("a.yaml"), put("closed/b.yaml")
    folder.chmod(0o777)
    first.chmod(0o666)
    Path("closed").chmod(0o555)
    user = os.geteuid()
    if user == 0:  # whom no mode stops
        os.seteuid(65534)
    try:
        with pytest.raises(ImgctlError, match=r"cannot write closed/b\.yaml; permission"):
            write_all([Change(second, "a: 1\n", "a: 2\n"), Change(first, "a: 1\n", "a: 2\n")])
    finally:
        os.seteuid(user)
    assert (first.read_text(), second.read_text()) == ("a: 1\n", "a: 1\n")
    assert names(folder) == ["a.yaml", "closed"]
