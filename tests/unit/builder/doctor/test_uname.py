"""The arm64 program that is run to see whether arm64 programs run."""

from __future__ import annotations

import struct
from itertools import pairwise

from builder.doctor.uname import program


def test_it_is_an_elf_executable_for_aarch64() -> None:
    kind, machine, version = struct.unpack_from("<HHI", program(), 16)
    assert program()[:7] == b"\x7fELF\x02\x01\x01"
    assert (kind, machine, version) == (2, 183, 1)


def test_it_starts_at_its_first_instruction_and_is_mapped_whole() -> None:
    data = program()
    (entry,) = struct.unpack_from("<Q", data, 24)
    kind, flags, offset, address, _, in_file, in_memory, _ = struct.unpack_from(
        "<IIQQQQQQ", data, 64
    )
    assert (kind, flags, offset) == (1, 5, 0)
    assert in_file == in_memory == len(data) == 196
    assert data[entry - address :][:4] == bytes.fromhex("ff0308d1")  # sub sp, sp, #512


def test_it_asks_the_kernel_for_uname_write_and_exit_only() -> None:
    words = struct.unpack("<19I", program()[120:])
    calls = [(before >> 5) & 0xFFFF for before, word in pairwise(words) if word == 0xD4000001]
    assert calls == [160, 64, 93]
