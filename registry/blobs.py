"""Streams of bytes that are checked against the descriptor they were asked for by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from registry.errors import CorruptContent, NotFound
from registry.oci import Descriptor

# Large enough that the interpreter's work per chunk vanishes beside hashing it.
CHUNK = 1 << 20


@dataclass(frozen=True)
class Unread:
    """Bytes that lie in an open file and have not been read: the kernel may send them by itself.

    handle: the file's descriptor. offset, length: where they are in it, in bytes.
    """

    handle: int
    offset: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice) -> Unread:
        start, stop, _ = part.indices(self.length)
        return Unread(self.handle, self.offset + start, max(0, stop - start))

    def read(self) -> bytes:
        """The bytes themselves; fewer where the file has become shorter."""
        return os.pread(self.handle, self.length, self.offset)


Chunk: TypeAlias = bytes | Unread
"""A piece of a blob on its way."""

OpenChunks = Callable[[], AbstractContextManager[Iterator[Chunk]]]
"""Opens a blob's bytes from the start; called again when a transfer has to start over."""


def unread(handle: int, offset: int, length: int) -> Iterator[Unread]:
    """Part of an open file as chunks of CHUNK bytes."""
    for start in range(0, length, CHUNK):
        yield Unread(handle, offset + start, min(CHUNK, length - start))


def in_memory(chunk: Chunk) -> bytes:
    """The chunk's bytes, read if they have not been."""
    return chunk if isinstance(chunk, bytes) else chunk.read()


def verified(chunks: Iterable[Chunk], descriptor: Descriptor, place: str) -> Iterator[bytes]:
    """Pass chunks on while hashing them; the last one only once digest and size are right.

    A consumer therefore never sees the end of wrong content. place: where the bytes come from,
    for the error. Raises CorruptContent.
    """
    algorithm, _, wanted = descriptor.digest.partition(":")
    state = hashlib.new(algorithm)
    length = 0
    held: bytes | None = None
    for chunk in map(in_memory, chunks):
        length += len(chunk)
        if length > descriptor.size:
            break
        state.update(chunk)
        if held is not None:
            yield held
        held = chunk
    if length != descriptor.size:
        more = "more than " if length > descriptor.size else ""
        raise CorruptContent(
            f"blob {descriptor.digest} in {place} has the wrong size",
            f"it holds {more}{min(length, descriptor.size)} bytes, the manifest says "
            f"{descriptor.size}",
        )
    if state.hexdigest() != wanted:
        raise CorruptContent(
            f"blob {descriptor.digest} in {place} is corrupt",
            f"its content hashes to {algorithm}:{state.hexdigest()}",
        )
    if held is not None:
        yield held


def missing_blob(descriptor: Descriptor, place: str) -> NotFound:
    """The error for a blob that a manifest names and the store does not hold."""
    return NotFound(f"blob {descriptor.digest} is missing in {place}")


def check_size(descriptor: Descriptor, size: int, place: str) -> None:
    """Raise CorruptContent when a stored blob's size is not its descriptor's."""
    if size != descriptor.size:
        raise CorruptContent(
            f"blob {descriptor.digest} in {place} has the wrong size",
            f"it holds {size} bytes, the manifest says {descriptor.size}",
        )


def check_limit(descriptor: Descriptor, limit: int, place: str) -> None:
    """Raise CorruptContent when a blob is too large to be held in memory."""
    if descriptor.size > limit:
        raise CorruptContent(
            f"blob {descriptor.digest} in {place} is too large for what it should be",
            f"it has {descriptor.size} bytes, at most {limit} are read",
        )
