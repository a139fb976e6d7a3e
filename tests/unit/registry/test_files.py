"""Files are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.files import replace_json, replace_text


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    replace_json(path, {"ü": 1})
    replace_json(path, {"ü": 2})
    assert path.read_text(encoding="utf-8") == '{\n  "ü": 2\n}\n'
    assert [item.name for item in tmp_path.iterdir()] == ["record.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    replace_text(path, "old", 0o600)
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "\ud800")
    assert path.read_text() == "old"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["secret"]
