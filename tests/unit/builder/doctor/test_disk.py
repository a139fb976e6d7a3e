"""Whether there is room: what a build needs, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import ANY

import pytest

from builder.doctor.disk import (
    GB,
    BaseSize,
    Room,
    check_dist_disk,
    check_engine_disk,
    room_at,
)

FIVE_GB = BaseSize(5 * GB, 12 * GB)


def room(gigabytes: float) -> Room:
    return Room(Path("/var/lib/docker"), int(gigabytes * GB))


def test_a_base_that_is_pulled_needs_room_packed_and_unpacked() -> None:
    assert check_engine_disk(room(18), FIVE_GB, pulled=True).state == "ok"
    check = check_engine_disk(room(16), FIVE_GB, pulled=True)
    assert check.state == "failed"
    assert "16.0 GB free in /var/lib/docker, about 17.2 GB wanted" in check.says
    assert check.remedies == ("docker builder prune; docker image prune",)


def test_a_base_that_is_not_pulled_needs_next_to_nothing() -> None:
    assert check_engine_disk(room(0.3), FIVE_GB, pulled=False).state == "ok"
    assert check_engine_disk(room(0.1), FIVE_GB, pulled=False).state == "failed"


def test_without_a_base_in_mind_little_room_is_a_warning() -> None:
    assert check_engine_disk(room(10), None, pulled=True).state == "warning"
    assert check_engine_disk(room(30), None, pulled=True).state == "ok"


def test_dist_needs_the_layers_only_when_they_come_along() -> None:
    assert check_dist_disk(room(5), FIVE_GB, pulled=True).state == "failed"
    assert check_dist_disk(room(11), FIVE_GB, pulled=True).state == "ok"
    assert check_dist_disk(room(0.3), FIVE_GB, pulled=False).state == "ok"


def test_a_dist_that_cannot_be_written_is_no_room() -> None:
    check = check_dist_disk(Room(Path("/mnt"), 90 * GB, writable=False), None, pulled=False)
    assert check.state == "failed"
    assert check.says == "/mnt cannot be written"
    assert "--dist" in check.remedies[0]


def test_whether_a_folder_can_be_written_is_asked_of_the_system(tmp_path: Path) -> None:
    assert room_at(tmp_path / "new" / "dist") == Room(tmp_path, ANY, True)


def test_folders_that_are_hidden_from_us_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.exists

    def exists(path: Path) -> bool:
        if path.name == "hidden":
            raise PermissionError
        return real(path)

    monkeypatch.setattr(Path, "exists", exists)
    assert room_at(tmp_path / "hidden").path == tmp_path


@pytest.mark.parametrize(
    ("packed", "unpacked", "size"),
    [
        (5 * GB, 12 * GB, FIVE_GB),
        (4 * GB, None, BaseSize(4 * GB, 10 * GB)),
        (None, 10 * GB, BaseSize(4 * GB, 10 * GB)),
        (None, None, None),
    ],
)
def test_one_size_tells_the_other(
    packed: int | None, unpacked: int | None, size: BaseSize | None
) -> None:
    assert BaseSize.of(packed, unpacked) == size


def test_a_folder_to_be_made_is_measured_where_it_will_be(tmp_path: Path) -> None:
    found = room_at(tmp_path / "not/yet")
    assert found.path == tmp_path
    assert found.free > 0
