"""`uname -m` as a program for linux/arm64, small enough to be written down.

It needs no C library, no file and no image: run on a machine, or by RUN on `scratch`, it shows
whether arm64 programs work there. Specs: ELF-64, AArch64 procedure call and syscall conventions.
"""

from __future__ import annotations

import struct

PRINTS = "aarch64"

_ADDRESS = 0x400000
_HEADERS = 64 + 56  # bytes of the ELF header and of one program header

# As an assembler made them; the comments are what it was given.
_CODE = (
    0xD10803FF,  # sub  sp, sp, #512    room for struct utsname
    0x910003E0,  # mov  x0, sp
    0xD2801408,  # mov  x8, #160        uname
    0xD4000001,  # svc  #0
    0x910413E1,  # add  x1, sp, #260    its field `machine`
    0xD2800002,  # mov  x2, #0
    0x38626823,  # ldrb w3, [x1, x2]    until the end of the string
    0x34000063,  # cbz  w3, #12
    0x91000442,  # add  x2, x2, #1
    0x17FFFFFD,  # b    #-12
    0x52800143,  # mov  w3, #10         and a line feed
    0x38226823,  # strb w3, [x1, x2]
    0x91000442,  # add  x2, x2, #1
    0xD2800020,  # mov  x0, #1
    0xD2800808,  # mov  x8, #64         write
    0xD4000001,  # svc  #0
    0xD2800000,  # mov  x0, #0
    0xD2800BA8,  # mov  x8, #93         exit
    0xD4000001,  # svc  #0
)


def program() -> bytes:
    """The executable file."""
    code = struct.pack(f"<{len(_CODE)}I", *_CODE)
    size = _HEADERS + len(code)
    entry = _ADDRESS + _HEADERS
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)  # 64 bit, little-endian, version 1
    # Executable, AArch64; one program header directly behind this one; no sections.
    header = struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    # The whole file, readable and executable.
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x10000)
    return identity + header + load + code
