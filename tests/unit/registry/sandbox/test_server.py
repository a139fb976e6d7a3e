"""Serving an application on a loopback port."""

from __future__ import annotations

import socket
import time

import httpx
import pytest

from registry.errors import ImgctlError
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve


def test_answers_come_at_once() -> None:
    with serve(MemoryRegistry()) as host, httpx.Client(base_url=f"http://{host}") as client:
        client.get("/v2/")
        seconds = []
        for _ in range(25):
            began = time.monotonic()
            client.get("/v2/")
            seconds.append(time.monotonic() - began)
    # Nagle's algorithm and a delayed acknowledgement would make every one of them 40 ms.
    assert min(seconds) < 0.03


def test_a_port_in_use_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ImgctlError, match=f"cannot listen on port {port}"),
            serve(MemoryRegistry(), port),
        ):
            pass
