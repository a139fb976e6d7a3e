"""Whether there is room for the base that is asked about."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from builder.doctor.check import Check, failed, ok, warning

GB = 10**9
MB = 10**6
# What layers grow by when they are unpacked: nvcr.io's Jetson images are 2 to 2.5 times as large.
_UNPACKED = 2.5
_ELSEWHERE = "choose another disk with --dist DIR"
_OURS = 200 * MB  # room for what a build adds to a base that is not pulled
_ANY_BASE = 20 * GB  # the larger bases, packed and unpacked, with room for a second


@dataclass(frozen=True)
class Room:
    """A folder on this machine, the bytes free there, and whether we may write in it.

    path: the nearest that exists.
    """

    path: Path
    free: int
    writable: bool = True


@dataclass(frozen=True)
class BaseSize:
    """Bytes of a base, packed and unpacked; `of` works out the one that is not known."""

    packed: int
    unpacked: int

    @classmethod
    def of(cls, packed: int | None, unpacked: int | None) -> BaseSize | None:
        """The sizes from either one; None when neither is known."""
        if packed is None and unpacked is None:
            return None
        small = packed if packed is not None else int((unpacked or 0) / _UNPACKED)
        return cls(small, unpacked if unpacked is not None else int(small * _UNPACKED))


def room_at(path: Path) -> Room:
    """The room in a folder, or where it would be made."""
    place = path.absolute()
    while not _is_there(place) and place != place.parent:
        place = place.parent
    return Room(place, shutil.disk_usage(place).free, os.access(place, os.W_OK))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def check_engine_disk(room: Room, size: BaseSize | None, *, pulled: bool) -> Check:
    """Whether Docker has room for the base. pulled: whether the build pulls it.

    size: None for no base in particular.
    """
    name = "docker disk"
    if not pulled:
        return _judge(name, room, _OURS, "the base is not pulled")
    if size is None:
        return _judge(name, room, _ANY_BASE, "bases take 2 to 15 GB each", severe=False)
    need = size.packed + size.unpacked + _OURS
    return _judge(name, room, need, f"the base, {_size(size.packed)}, is pulled and unpacked")


def check_dist_disk(room: Room, size: BaseSize | None, *, pulled: bool) -> Check:
    """Whether dist/ has room for the result. pulled: whether the base's layers come along."""
    name = "dist disk"
    if not room.writable:
        return failed(name, f"{room.path} cannot be written", _ELSEWHERE)
    if not pulled or size is None:
        return _judge(name, room, _OURS, "layouts without the base's layers are small")
    return _judge(name, room, 2 * size.packed + _OURS, "the base's layers pass through it")


def _judge(name: str, room: Room, need: int, why: str, *, severe: bool = True) -> Check:
    says = f"{_size(room.free)} free in {room.path}"
    if room.free >= need:
        return ok(name, says)
    remedies = "docker builder prune; docker image prune" if name == "docker disk" else _ELSEWHERE
    found = f"{says}, about {_size(need)} wanted: {why}"
    return failed(name, found, remedies) if severe else warning(name, found, remedies)


def _size(count: int) -> str:
    return f"{count / GB:.1f} GB" if count >= GB else f"{count / MB:.0f} MB"
