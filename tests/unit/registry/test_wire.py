"""Bodies that are files go out byte for byte, by the kernel where it can."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.blobs import CHUNK, Chunk, OpenChunks, unread
from registry.client import RegistryClient, RegistryOptions
from registry.errors import CorruptContent, Unauthorized
from registry.oci import OCI_LAYER_GZIP, Descriptor, sha256
from registry.retry import RetryPolicy
from tests.support.reqresp import Entry, Server, serve

CONTENT = os.urandom(2 * CHUNK + 12_345)
LAYER = Descriptor(OCI_LAYER_GZIP, sha256(CONTENT), len(CONTENT))
BEGIN = Entry("POST", "/v2/p/r/blobs/uploads/", status=202, reply={"Location": "/up/1"})
WHOLE = Entry("PUT", "/up/1", body=CONTENT, status=201)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(b"before" + CONTENT + b"after")
    return path


def lying_in(path: Path, length: int = LAYER.size) -> OpenChunks:
    """The bytes of a file from its seventh on, unread."""

    @contextmanager
    def open_chunks() -> Iterator[Iterator[Chunk]]:
        with path.open("rb") as stream:
            yield unread(stream.fileno(), 6, length)

    return open_chunks


def push(server: Server, source: OpenChunks, descriptor: Descriptor = LAYER, **options: Any) -> int:
    """Push a blob; how many bytes of bodies were sent."""
    retry = RetryPolicy(attempts=2, first=0.001)
    with RegistryClient(RegistryOptions(retry=retry, timeout=5, **options)) as client:
        client.repository(server.host, "p/r").push_blob(descriptor, source)
        return client.bytes_sent


class Kernel:
    """sendfile(2), counting what it sends, or refusing as some file systems do."""

    def __init__(self, refusal: int = 0) -> None:
        self.sent = 0
        self._refusal = refusal
        self._really = os.sendfile

    def __call__(self, out: int, source: int, offset: int, count: int) -> int:
        if self._refusal:
            raise OSError(self._refusal, "refused")
        # Less than is asked for, as with a full socket.
        done = self._really(out, source, offset, min(count, 300_000))
        self.sent += done
        return done


def test_a_file_is_sent_by_the_kernel(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setattr(os, "sendfile", kernel)
    with serve(BEGIN, WHOLE) as server:
        assert push(server, lying_in(file)) == LAYER.size
    assert kernel.sent == LAYER.size


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.ENOSYS])
def test_a_file_the_kernel_cannot_send_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    monkeypatch.setattr(os, "sendfile", Kernel(refusal))
    with serve(BEGIN, WHOLE) as server:
        assert push(server, lying_in(file)) == LAYER.size


def test_a_file_goes_in_pieces_that_are_no_multiple_of_a_chunk(file: Path) -> None:
    size = 700_001
    starts = range(0, LAYER.size, size)
    patches = (
        Entry("PATCH", "/up/1", body=CONTENT[start : start + size], once=True, status=202,
              reply={"Location": "/up/1", "Range": f"0-{min(start + size, LAYER.size) - 1}"})
        for start in starts
    )  # fmt: skip
    with serve(BEGIN, *patches, Entry("PUT", "/up/1", body=b"", status=201)) as server:
        push(server, lying_in(file), max_request_body=size)


def test_a_file_and_bytes_may_follow_each_other(file: Path) -> None:
    @contextmanager
    def mixed() -> Iterator[Iterator[Chunk]]:
        with lying_in(file)() as chunks:
            _, *rest = chunks
            yield iter([CONTENT[:CHUNK], *rest])

    with serve(BEGIN, WHOLE) as server:
        push(server, mixed)


def test_a_file_that_becomes_shorter_is_told(file: Path) -> None:
    """And the registry never gets the last bytes, so that it cannot take what it has for whole."""
    longer = Descriptor(OCI_LAYER_GZIP, LAYER.digest, LAYER.size + 100)
    with serve(BEGIN) as server, pytest.raises(CorruptContent) as caught:
        push(server, lying_in(file, longer.size), longer)
    assert "became shorter" in caught.value.what


def test_an_early_answer_ends_the_sending_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(1 << 30)
    large = Descriptor(OCI_LAYER_GZIP, LAYER.digest, (1 << 30) - 6)
    refused = Entry("PUT", "/up/1", status=403, unread=True)
    retry = RetryPolicy(attempts=2, first=0.001)
    with (
        serve(BEGIN, refused) as server,
        RegistryClient(RegistryOptions(retry=retry, timeout=5)) as client,
    ):
        with pytest.raises(Unauthorized):
            client.repository(server.host, "p/r").push_blob(large, lying_in(path, large.size))
        assert client.bytes_sent < 64 << 20
