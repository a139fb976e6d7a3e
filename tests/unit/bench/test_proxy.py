"""The relay counts what passes, whole or in crumbs, and takes the time it is told to."""

from __future__ import annotations

import socket
import time
from itertools import pairwise

import httpx
from hypothesis import given
from hypothesis import strategies as st

from bench.bases import digest
from bench.http_tap import Tap
from bench.proxy import Traffic, relay
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve

EXCHANGE = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    b"PATCH /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
    b"PUT /d HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
)


@given(st.lists(st.integers(1, len(EXCHANGE)), max_size=8))
def test_messages_are_counted_wherever_the_pieces_are_cut(cuts: list[int]) -> None:
    tap = Tap()
    places = [0, *sorted(cuts), len(EXCHANGE)]
    for start, end in pairwise(places):
        tap.feed(EXCHANGE[start:end])
    assert [line.split()[0] for line in tap.starts] == ["POST", "GET", "PATCH", "PUT"]
    assert tap.body == 5 + 13


def test_a_reply_without_a_length_lasts_to_the_end_of_the_connection() -> None:
    tap = Tap()
    tap.feed(b"HTTP/1.1 200 OK\r\n\r\nsome")
    tap.feed(b" more")
    assert tap.body == 9


def test_requests_and_bytes_are_counted_both_ways() -> None:
    blob = b"layer" * 100_000
    with (
        serve(MemoryRegistry()) as registry,
        relay(registry) as state,
        httpx.Client(base_url=f"http://{state.host}") as client,
    ):
        begun = client.post("/v2/a/b/blobs/uploads/").raise_for_status()
        place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest(blob)})
        client.put(place, content=blob).raise_for_status()
        found = client.head(f"/v2/a/b/blobs/{digest(blob)}").raise_for_status()
        assert int(found.headers["Content-Length"]) == len(blob)
        assert client.get(f"/v2/a/b/blobs/{digest(blob)}").content == blob
        traffic = state.traffic()
    assert (traffic.connections, traffic.requests) == (1, 4)
    assert traffic.body_up == len(blob)
    assert traffic.body_down == len(blob)
    assert len(blob) < traffic.wire_up < len(blob) + 2000
    assert len(blob) < traffic.wire_down < len(blob) + 2000


def test_every_exchange_and_every_connection_costs_a_round_trip() -> None:
    with (
        serve(MemoryRegistry()) as registry,
        relay(registry, round_trip=0.1) as state,
        httpx.Client(base_url=f"http://{state.host}") as client,
    ):
        began = time.monotonic()
        client.get("/v2/").raise_for_status()
        connected = time.monotonic()
        client.get("/v2/").raise_for_status()
        ended = time.monotonic()
    # The first one has a connection to make; what is over the delay is this machine's own.
    assert connected - began >= 0.2
    assert ended - connected >= 0.1


def test_counting_starts_over_when_asked() -> None:
    with serve(MemoryRegistry()) as registry, relay(registry) as state:
        httpx.get(f"http://{state.host}/v2/").raise_for_status()
        assert state.traffic().requests == 1
        state.reset()
        assert state.traffic() == Traffic()


def test_a_client_that_tries_tls_first_is_let_through_and_not_counted() -> None:
    with serve(MemoryRegistry()) as registry, relay(registry) as state:
        host, port = state.host.split(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(b"\x16\x03\x01\x00\x05hello")
            reply = b"".join(iter(lambda: client.recv(1000), b""))
        traffic = state.traffic()
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert (traffic.requests, traffic.body_down) == (0, len(body))


def test_connections_left_open_do_not_hold_the_end_up() -> None:
    with serve(MemoryRegistry()) as registry, relay(registry) as state:
        host, port = state.host.split(":")
        client = socket.create_connection((host, int(port)), timeout=5)
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    with client:
        while client.recv(1000):
            pass
