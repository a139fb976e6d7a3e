"""Blobs are mounted, sent whole or in pieces, and started over when that is what helps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import upload
from registry.blobs import in_memory
from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import (
    CorruptContent,
    ImgctlError,
    NotFound,
    Refused,
    RegistryError,
    Unauthorized,
    Unreachable,
)
from registry.oci import OCI_LAYER_GZIP, Descriptor, sha256
from registry.repository import Repository
from registry.retry import RetryPolicy
from registry.upload import _exactly, _Pieces
from tests.support.reqresp import Entry, Seen, Server, query_of, serve

CONTENT = bytes(range(256)) * 1000  # 256 000 bytes
LAYER = Descriptor(OCI_LAYER_GZIP, sha256(CONTENT), len(CONTENT))
UPLOADS = "/v2/p/r/blobs/uploads/"
BLOB = f"/v2/p/r/blobs/{LAYER.digest}"
# A signed state as distribution makes it, with an escape that must not be rewritten.
STATE = "_state=a-B_9%3d=="
DIGEST_QUERY = "digest=" + LAYER.digest.replace(":", "%3A")
CHUNK = 100_000
NO_ROOM = (
    "adding 250.0 KiB of storage resource, which when updated to current usage of 0 B will exceed "
    "the configured upper limit of 1000 B."
)


class Source:
    """Content that is opened anew for each attempt, in uneven chunks."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.opened = 0

    @contextmanager
    def __call__(self) -> Iterator[Iterator[bytes]]:
        self.opened += 1
        yield (self.content[start : start + 7777] for start in range(0, len(self.content), 7777))


def client_for(**options: Any) -> RegistryClient:
    policy = RetryPolicy(attempts=3, first=0.001, longest=0.01)
    return RegistryClient(RegistryOptions(retry=policy, timeout=5, **options))


def begin(number: int = 1, **options: Any) -> Entry:
    """The reply that begins upload `number`."""
    location = {"Location": f"{{base}}/up/{number}?{STATE}"}
    return Entry("POST", UPLOADS, status=202, reply=location, **options)


def finish(number: int = 1, body: bytes | None = CONTENT, **options: Any) -> Entry:
    options = {"status": 201, **options}
    return Entry("PUT", f"/up/{number}", f"{STATE}&{DIGEST_QUERY}", body=body, **options)


def errors(code: str, message: str = "") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def push(*entries: Entry, source: Source | None = None, **options: Any) -> Server:
    """Push the layer to p/r of a scripted registry."""
    with serve(*entries) as server, client_for(**options) as client:
        client.repository(server.host, "p/r").push_blob(LAYER, source or Source())
    return server


def failure(*entries: Entry, source: Source | None = None, **options: Any) -> ImgctlError:
    with pytest.raises(ImgctlError) as caught:
        push(*entries, source=source, **options)
    return caught.value


# --- in one piece ---


def test_one_put_of_known_length() -> None:
    """Never chunked encoding: Harbor would record a size of 0."""
    length = {"content-length": str(len(CONTENT)), "transfer-encoding": None}
    server = push(begin(), finish(headers=length))
    assert server.lines == [f"POST {UPLOADS}", f"PUT /up/1?{STATE}&{DIGEST_QUERY}"]


def test_an_empty_blob() -> None:
    empty = Descriptor(OCI_LAYER_GZIP, sha256(b""), 0)
    query = f"{STATE}&digest={empty.digest.replace(':', '%3A')}"
    entries = (begin(), Entry("PUT", "/up/1", query, {"content-length": "0"}, b"", status=201))
    with serve(*entries) as server, client_for() as client:
        client.repository(server.host, "p/r").push_blob(empty, Source(b""))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/up/1", f"/up/1?{DIGEST_QUERY}"),
        ("{base}/up/1?a=%2f&b", f"/up/1?a=%2f&b&{DIGEST_QUERY}"),
        ("https://{host}/up/1?x=[y]|", f"/up/1?x=[y]|&{DIGEST_QUERY}"),
    ],
)
def test_the_location_goes_back_byte_for_byte(location: str, target: str) -> None:
    """Also when it names our host with another scheme, as behind a proxy that hides TLS."""
    entries = (
        Entry("POST", UPLOADS, status=202, reply={"Location": location}),
        Entry("PUT", "/up/1", status=201),
    )
    assert push(*entries).lines[-1] == f"PUT {target}"


def test_a_location_on_another_host_gets_no_password() -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="r"'}
    with serve(Entry("PUT", "/up/1", headers={"authorization": None}, status=201)) as other:
        entries = (
            begin_at(other, headers={"authorization": "Basic dTpw"}),
            Entry("POST", UPLOADS, status=401, reply=challenge),
        )
        server = push(*entries, credentials=lambda host: Credentials("u", "p"))
    assert [seen.line for seen in server.requests] == [f"POST {UPLOADS}"] * 2
    assert other.requests[0].body == CONTENT


def begin_at(other: Server, **options: Any) -> Entry:
    location = {"Location": f"{other.base}/up/1"}
    return Entry("POST", UPLOADS, status=202, reply=location, **options)


def test_an_upload_without_a_location() -> None:
    assert "without saying where" in failure(Entry("POST", UPLOADS, status=202)).what


# --- starting over ---


def test_a_broken_put_starts_the_blob_over() -> None:
    """Never resumed: distribution 2.8 has thrown the upload away."""
    source = Source()
    entries = (
        begin(1, once=True),
        finish(1, drop=True, once=True),
        Entry("HEAD", BLOB, status=404),
        begin(2, once=True),
        finish(2, once=True),
    )
    push(*entries, source=source)
    assert source.opened == 2


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (404, errors("BLOB_UPLOAD_UNKNOWN")),
        (400, errors("BLOB_UPLOAD_INVALID")),
        (416, b""),
        (500, errors("UNKNOWN")),
        (499, b""),
    ],
)
def test_a_lost_upload_starts_the_blob_over(status: int, content: bytes) -> None:
    entries = (
        begin(1, once=True),
        finish(1, status=status, content=content, once=True),
        Entry("HEAD", BLOB, status=404),
        begin(2, once=True),
        finish(2, once=True),
    )
    push(*entries)


@pytest.mark.parametrize("lost", [{"status": 504}, {"drop": True}, {"status": 404}])
def test_a_put_that_arrived_after_all_is_not_sent_again(lost: dict[str, Any]) -> None:
    """S3 may take longer to put a blob together than a proxy waits."""
    source = Source()
    push(begin(once=True), finish(**lost, once=True), Entry("HEAD", BLOB), source=source)
    assert source.opened == 1


def test_an_upload_that_always_breaks_is_given_up() -> None:
    error = failure(begin(), finish(drop=True), Entry("HEAD", BLOB, status=404))
    assert isinstance(error, Unreachable)


def test_what_a_registry_refuses_is_not_sent_again() -> None:
    source = Source()
    error = failure(begin(), finish(status=403, content=errors("DENIED", NO_ROOM)), source=source)
    assert isinstance(error, Refused)
    assert "quota has no room" in error.what
    assert source.opened == 1


def test_no_upload_begins_without_permission() -> None:
    source = Source()
    body = errors("DENIED", "requested access is denied")
    error = failure(Entry("POST", UPLOADS, status=403, content=body), source=source)
    assert isinstance(error, Unauthorized)
    assert source.opened == 0


def test_a_token_that_ran_out_on_the_way_is_renewed() -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="{base}/token"'}
    refused: dict[str, Any] = {"status": 401, "reply": {"WWW-Authenticate": 'Basic realm="harbor"'}}
    entries = (
        Entry("POST", UPLOADS, headers={"authorization": None}, status=401, reply=challenge),
        Entry("GET", "/token", content=b'{"token": "old", "expires_in": 900}', once=True),
        begin(1, headers={"authorization": "Bearer old"}),
        finish(1, headers={"authorization": "Bearer old"}, **refused),
        Entry("GET", "/token", content=b'{"token": "new", "expires_in": 900}', once=True),
        begin(2, headers={"authorization": "Bearer new"}),
        finish(2, headers={"authorization": "Bearer new"}),
    )
    push(*entries)


# --- the source's fault, or the way's ---


def test_content_with_another_digest_is_the_source_s_fault() -> None:
    wrong = errors("DIGEST_INVALID", "provided digest did not match uploaded content")
    source = Source(b"x" * len(CONTENT))
    error = failure(begin(), finish(body=None, status=400, content=wrong), source=source)
    assert isinstance(error, CorruptContent)
    assert LAYER.digest in error.what


def test_content_damaged_on_the_way_is_sent_again() -> None:
    wrong = errors("DIGEST_INVALID", "provided digest did not match uploaded content")
    entries = (
        begin(1, once=True),
        finish(1, status=400, content=wrong, once=True),
        begin(2, once=True),
        finish(2, once=True),
    )
    push(*entries)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""])
@pytest.mark.parametrize("limit", [None, CHUNK])
def test_content_of_another_length_is_never_finished(content: bytes, limit: int | None) -> None:
    patch = Entry("PATCH", "/up/1", status=202, reply={"Location": f"{{base}}/up/1?{STATE}"})
    with serve(begin(), patch) as server, client_for(max_request_body=limit) as client:
        with pytest.raises(CorruptContent) as caught:
            client.repository(server.host, "p/r").push_blob(LAYER, Source(content))
        assert not [line for line in server.lines if line.startswith("PUT")]
    assert "wrong size" in caught.value.what


def test_an_error_of_the_source_comes_through() -> None:
    def missing() -> AbstractContextManager[Iterator[bytes]]:
        raise NotFound("the file is gone")

    with serve(begin()) as server, client_for() as client, pytest.raises(NotFound, match="gone"):
        client.repository(server.host, "p/r").push_blob(LAYER, missing)


# --- in pieces ---


def pieces(chunk: int, numbers: str = "", **options: Any) -> list[Entry]:
    """PATCHes of the layer in pieces of chunk bytes, each with a new location, and the PUT."""
    entries = []
    starts = range(0, len(CONTENT), chunk)
    for number, start in enumerate(starts, 1):
        end = min(start + chunk, len(CONTENT))
        entries.append(
            Entry(
                "PATCH",
                f"/up/{numbers}{number}",
                STATE,
                {"content-range": f"{start}-{end - 1}", "content-length": str(end - start)},
                CONTENT[start:end],
                status=202,
                reply={
                    "Location": f"/up/{numbers}{number + 1}?{STATE}",
                    "Range": f"0-{end - 1}",
                },
                **options,
            )
        )
    last = Entry(
        "PUT",
        f"/up/{numbers}{len(starts) + 1}",
        f"{STATE}&{DIGEST_QUERY}",
        {"content-length": "0"},
        b"",
        status=201,
        **options,
    )
    return [*entries, last]


def test_a_limit_that_is_set_means_patches_and_an_empty_put() -> None:
    """Harbor takes the size from the PUT's length only where there were no PATCHes."""
    server = push(begin(), *pieces(CHUNK, once=True), max_request_body=CHUNK)
    assert [line.split()[0] for line in server.lines] == ["POST", "PATCH", "PATCH", "PATCH", "PUT"]


def test_a_blob_below_the_limit_goes_in_one_put() -> None:
    push(begin(), finish(), max_request_body=len(CONTENT))


@pytest.mark.parametrize(
    "page", [b"<html><title>413 Request Entity Too Large</title></html>", errors("TOO_LARGE"), b""]
)
def test_a_limit_met_is_kept_in_mind(page: bytes) -> None:
    half = len(CONTENT) // 2
    entries = (
        begin(1, once=True),
        finish(1, status=413, content=page, once=True),
        begin(2, once=True),
        Entry(
            "PATCH",
            "/up/2",
            STATE,
            status=202,
            body=CONTENT[:half],
            reply={"Location": f"/up/21?{STATE}", "Range": f"0-{half - 1}"},
            once=True,
        ),
        Entry(
            "PATCH",
            "/up/21",
            STATE,
            status=202,
            body=CONTENT[half:],
            reply={"Location": f"/up/22?{STATE}", "Range": f"0-{len(CONTENT) - 1}"},
            once=True,
        ),
        Entry("PUT", "/up/22", f"{STATE}&{DIGEST_QUERY}", body=b"", status=201, once=True),
        begin(1, once=True),
        *pieces(half, once=True),
    )
    with serve(*entries) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")
        repository.push_blob(LAYER, Source())
        # The next blob of that host goes in pieces at once.
        repository.push_blob(LAYER, Source())


def test_an_answer_that_comes_early_ends_the_sending() -> None:
    """nginx answers 413 on seeing the headers, and lets a client send on in vain."""
    large = Descriptor(OCI_LAYER_GZIP, LAYER.digest, 1 << 30)

    @contextmanager
    def gigabyte() -> Iterator[Iterator[bytes]]:
        yield (bytes(1 << 20) for _ in range(1 << 10))

    refused = Entry("PUT", "/up/1", status=403, content=errors("DENIED", "no"), unread=True)
    with serve(begin(), refused) as server, client_for() as client:
        with pytest.raises(Unauthorized):
            client.repository(server.host, "p/r").push_blob(large, gigabyte)
        assert client.bytes_sent < 64 << 20


def test_pieces_still_too_large_are_halved() -> None:
    too_large = Entry("PATCH", "/up/1", STATE, {"content-length": str(160_000)}, status=413)
    entries = (begin(1), too_large, *pieces(80_000))
    push(*entries, max_request_body=160_000)


def test_a_proxy_that_takes_next_to_nothing_is_named() -> None:
    entries = (begin(), Entry("PATCH", "/up/1", status=413), finish(body=None, status=413))
    error = failure(*entries)
    assert "does not take a request that large" in error.what
    assert "client_max_body_size" in error.hint


def test_a_registry_may_want_larger_pieces() -> None:
    least = {"Location": f"/up/1?{STATE}", "OCI-Chunk-Min-Length": str(CHUNK)}
    entries = (Entry("POST", UPLOADS, status=202, reply=least), *pieces(CHUNK))
    push(*entries, max_request_body=70_000)


def test_a_piece_that_did_not_arrive_whole_starts_the_blob_over() -> None:
    """Distribution 2.8 ignores Content-Range and appends: only its Range reply tells."""
    short = Entry(
        "PATCH",
        "/up/1",
        STATE,
        status=202,
        once=True,
        reply={"Location": f"/up/2?{STATE}", "Range": "0-41"},
    )
    entries = (begin(1, once=True), short, begin(1, once=True), *pieces(CHUNK, once=True))
    push(*entries, max_request_body=CHUNK)


@pytest.mark.parametrize(
    ("status", "kept"), [(404, ""), (204, "0-5"), (204, ""), (200, f"0-{CHUNK - 1}"), (500, "")]
)
def test_a_broken_patch_starts_the_blob_over(status: int, kept: str) -> None:
    """Distribution 2.8 knows nothing of the upload then; nor is less than was there before good."""
    first = pieces(CHUNK, once=True)[0]
    broken = Entry("PATCH", "/up/2", STATE, drop=True, once=True)
    asked = Entry("GET", "/up/2", STATE, status=status, reply={"Range": kept} if kept else {})
    entries = (begin(1, once=True), first, broken, asked, begin(1, once=True))
    push(*entries, *pieces(CHUNK, once=True), max_request_body=CHUNK)


@pytest.mark.parametrize("extra", [0, 1, 9_999])
@pytest.mark.parametrize("broken", [{"drop": True}, {"status": 502}])
def test_a_broken_patch_goes_on_where_the_registry_says_it_ended(
    broken: dict[str, Any], extra: int
) -> None:
    source = Source()
    kept = CHUNK + extra
    second = CONTENT[kept : kept + CHUNK]
    third = CONTENT[kept + CHUNK :]
    server = push(
        begin(1, once=True),
        pieces(CHUNK, once=True)[0],
        Entry("PATCH", "/up/2", STATE, once=True, **broken),
        Entry("GET", "/up/2", STATE, status=204,
              reply={"Range": f"0-{kept - 1}", "Location": f"/up/kept?{STATE}"}),
        patch("kept", kept, second, "more"),
        *([patch("more", kept + CHUNK, third, "end")] if third else []),
        Entry("PUT", f"/up/{'end' if third else 'more'}", f"{STATE}&{DIGEST_QUERY}", body=b"",
              status=201),
        source=source,
        max_request_body=CHUNK,
    )  # fmt: skip
    assert [line.split()[0] for line in server.lines].count("POST") == 1
    assert source.opened == 2


def patch(at: str, start: int, content: bytes, then: str) -> Entry:
    """The PATCH of one piece at an address, which is answered with the next address."""
    end = start + len(content) - 1
    reply = {"Location": f"/up/{then}?{STATE}", "Range": f"0-{end}"}
    wanted = {"content-range": f"{start}-{end}"}
    return Entry("PATCH", f"/up/{at}", STATE, wanted, content, status=202, reply=reply)


def test_a_piece_that_never_arrives_is_given_up() -> None:
    broken = Entry("PATCH", "/up/1", STATE, drop=True)
    asked = Entry("GET", "/up/1", STATE, status=204, reply={"Range": "0-0"})
    with pytest.raises(Unreachable):
        push(begin(), broken, asked, max_request_body=CHUNK)


def test_a_large_put_that_keeps_breaking_is_tried_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy with a limit may cut the connection instead of answering 413."""
    monkeypatch.setattr(upload, "DEFAULT_CHUNK", CHUNK)
    gone = Entry("HEAD", BLOB, status=404)
    push(begin(), finish(drop=True), gone, *pieces(CHUNK))


# --- mounts ---


def mount_query(seen: Seen) -> dict[str, str]:
    return query_of(seen.target)


def mount(*entries: Entry, then_push: bool = False) -> tuple[bool, Server]:
    with serve(*entries) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")
        mounted = repository.mount_blob(LAYER, "cache/nvidia/l4t-base")
        if then_push:
            repository.push_blob(LAYER, Source())
    return mounted, server


def test_a_mount_names_its_source() -> None:
    mounted, server = mount(Entry("POST", UPLOADS, status=201))
    assert mounted
    assert mount_query(server.requests[0]) == {
        "mount": LAYER.digest,
        "from": "cache/nvidia/l4t-base",
    }


def test_the_upload_a_mount_began_is_used() -> None:
    mounted, server = mount(begin(once=True), finish(), then_push=True)
    assert not mounted
    assert len(server.lines) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 500])
def test_a_mount_that_fails_is_no_more_than_that(status: int) -> None:
    fail = Entry("POST", UPLOADS, mount_target(), status=status, content=errors("UNAUTHORIZED"))
    mounted, _ = mount(fail, begin(), finish(), then_push=True)
    assert not mounted


def test_what_a_mount_has_no_room_for_is_not_sent_instead() -> None:
    full = Entry("POST", UPLOADS, status=403, content=errors("DENIED", NO_ROOM))
    with pytest.raises(Refused, match="quota has no room"):
        mount(full)


def mount_target() -> str:
    return f"mount={LAYER.digest.replace(':', '%3A')}&from=cache/nvidia/l4t-base"


def test_an_upload_that_a_mount_began_may_be_gone_by_then() -> None:
    lost = finish(1, status=404, content=errors("BLOB_UPLOAD_UNKNOWN"), once=True)
    absent = Entry("HEAD", BLOB, status=404)
    mount(begin(1, once=True), lost, absent, begin(2, once=True), finish(2), then_push=True)


# --- handing out chunks ---


@given(st.lists(st.binary(max_size=9)), st.integers(1, 12))
def test_pieces_are_the_content_in_lengths_asked_for(chunks: list[bytes], length: int) -> None:
    content = b"".join(chunks)
    source = _Pieces(_exactly(iter(chunks), Descriptor("x", LAYER.digest, len(content))))
    found = []
    for start in range(0, len(content), length):
        piece = b"".join(map(in_memory, source.take(min(length, len(content) - start))))
        assert len(piece) == min(length, len(content) - start)
        found.append(piece)
    source.end()
    assert b"".join(found) == content


def test_memory_does_not_grow_with_the_blob() -> None:
    """A gigabyte handed through in pieces never has more than a chunk in hand."""
    import tracemalloc

    size, chunk = 1 << 30, bytes(1 << 20)
    layer = Descriptor(OCI_LAYER_GZIP, LAYER.digest, size)
    tracemalloc.start()
    source = _Pieces(_exactly((chunk for _ in range(1 << 10)), layer))
    for _ in range(size // (1 << 28)):
        for _chunk in source.take(1 << 28):
            pass
    source.end()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_bytes_sent_are_counted() -> None:
    with serve(begin(), finish()) as server, client_for() as client:
        repository: Repository = client.repository(server.host, "p/r")
        repository.push_blob(LAYER, Source())
        assert client.bytes_sent == len(CONTENT)
        assert client.requests == 2


def test_the_error_of_a_refused_upload_names_the_repository() -> None:
    error = failure(begin(), finish(status=418))
    assert isinstance(error, RegistryError)
    assert "/p/r" in error.what
