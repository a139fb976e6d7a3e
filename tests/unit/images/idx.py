"""Synthetic digits in MNIST's file format: ten bright squares at ten places, with noise."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path

SIDE = 28


def digit(kind: int, noise: random.Random) -> bytes:
    """A 28x28 image of class 0..9: a 7x7 square whose place tells the class."""
    top, left = divmod(kind, 4)
    pixels = bytearray(noise.randrange(60) for _ in range(SIDE * SIDE))
    for row in range(top * 9, top * 9 + 7):
        for column in range(left * 7, left * 7 + 7):
            pixels[row * SIDE + column] = 200 + noise.randrange(56)
    return bytes(pixels)


def images_file(count: int, noise: random.Random) -> bytes:
    """IDX3 of `count` images whose classes go round 0..9."""
    header = struct.pack(">IIII", 2051, count, SIDE, SIDE)
    return header + b"".join(digit(index % 10, noise) for index in range(count))


def labels_file(count: int) -> bytes:
    """IDX1 of the classes that go with `images_file`."""
    return struct.pack(">II", 2049, count) + bytes(index % 10 for index in range(count))


def write_dataset(raw: Path, *, train: int = 320, test: int = 100, packed: bool = False) -> Path:
    """The four files in `raw`, as .gz when `packed`; returns the folder."""
    raw.mkdir(parents=True, exist_ok=True)
    noise = random.Random(7)
    contents = {
        "train-images-idx3-ubyte": images_file(train, noise),
        "train-labels-idx1-ubyte": labels_file(train),
        "t10k-images-idx3-ubyte": images_file(test, noise),
        "t10k-labels-idx1-ubyte": labels_file(test),
    }
    for name, content in contents.items():
        if packed:
            (raw / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (raw / name).write_bytes(content)
    return raw
