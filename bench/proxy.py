"""A relay before a registry that counts requests and bytes, and can add a round trip's time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from bench.http_tap import Tap

_PIECE = 256 << 10  # bytes
_IN_FLIGHT = 64  # pieces on their way in one direction, beyond which the sender has to wait


@dataclass(frozen=True)
class Traffic:
    """What passed: connections, requests, bytes of bodies and bytes in all, both ways."""

    connections: int = 0
    requests: int = 0
    body_up: int = 0
    body_down: int = 0
    wire_up: int = 0
    wire_down: int = 0


@dataclass
class Relay:
    """A running relay. host: where it listens; traffic() counts from the last reset() on."""

    host: str
    _taps: list[tuple[Tap, Tap]] = field(default_factory=list)
    _wire: list[int] = field(default_factory=lambda: [0, 0])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def traffic(self) -> Traffic:
        """What passed since the last reset()."""
        with self._lock:
            return Traffic(
                len(self._taps),
                sum(len(up.starts) for up, _ in self._taps),
                sum(up.body for up, _ in self._taps),
                sum(down.body for _, down in self._taps),
                *self._wire,
            )

    def reset(self) -> None:
        """Count from zero; only while no connection is open."""
        with self._lock:
            self._taps.clear()
            self._wire[:] = [0, 0]

    def opened(self) -> tuple[Tap, Tap]:
        """Taps for a new connection: of its requests, and of their replies."""
        methods: deque[str] = deque()

        def request(start: str) -> bool:
            methods.append(start.split(" ")[0])
            return True

        def reply(start: str) -> bool:
            status = start.split(" ")[1]
            if status.startswith("1"):
                return False
            # What is no HTTP (a client that tries TLS first) gets a reply without a request.
            method = methods.popleft() if methods else ""
            return method != "HEAD" and status not in ("204", "304")

        taps = Tap(request), Tap(reply)
        with self._lock:
            self._taps.append(taps)
        return taps

    def count(self, direction: int, tap: Tap, data: bytes) -> None:
        """Note bytes that pass: direction 0 is towards the registry, 1 from it."""
        with self._lock:
            self._wire[direction] += len(data)
            tap.feed(data)


@contextmanager
def relay(upstream: str, round_trip: float = 0.0) -> Iterator[Relay]:
    """Run a relay on loopback before HOST:PORT until the block ends.

    round_trip: seconds added to each exchange, half on the way there and half on the way back, and
    once when a connection is made, as a real distance would.
    """
    loop = asyncio.new_event_loop()
    host, port = upstream.rsplit(":", 1)
    state = Relay("")
    ends: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip)
        async with _closing(writer, ends):
            far_reader, far_writer = await asyncio.open_connection(host, int(port), limit=_PIECE)
            requests, replies = state.opened()
            async with _closing(far_writer, ends), asyncio.TaskGroup() as both:
                delay = round_trip / 2
                both.create_task(_pass(reader, far_writer, delay, state, 0, requests))
                both.create_task(_pass(far_reader, writer, delay, state, 1, replies))

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0, limit=_PIECE)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    state.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(_end(server, ends), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@asynccontextmanager
async def _closing(
    writer: asyncio.StreamWriter, ends: set[asyncio.StreamWriter]
) -> AsyncIterator[None]:
    """Close a connection when the block ends; that the other side broke it is no matter."""
    ends.add(writer)
    try:
        yield
    except* ConnectionError:
        pass
    finally:
        ends.discard(writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _end(server: asyncio.Server, ends: set[asyncio.StreamWriter]) -> None:
    """Break the connections that are still open, and wait for what serves them."""
    server.close()
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for end in ends:
            end.transport.abort()
        await asyncio.wait(others, timeout=0.1)


async def _pass(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay: float,
    state: Relay,
    direction: int,
    tap: Tap,
) -> None:
    """Hand on what comes, each piece `delay` seconds later, until the end of the stream."""
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)

    async def deliver() -> None:
        while True:
            due, data = await on_the_way.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async def collect() -> None:
        while data := await reader.read(_PIECE):
            state.count(direction, tap, data)
            await on_the_way.put((loop.time() + delay, data))
        await on_the_way.put((loop.time() + delay, b""))

    await asyncio.gather(collect(), deliver())
