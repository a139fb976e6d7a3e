"""A few threads that work through a list, and stop together at the first failure or Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# A thread stuck in a read is not waited for: being a daemon, it ends with the process.
_GRACE = 1.0  # seconds


class Stopped(Exception):
    """Raised inside a worker that finds the others stopped; never seen outside."""


def work(
    function: Callable[[T], R], items: Iterable[T], limit: int, stop: threading.Event
) -> list[R]:
    """function(item) for every item, at most `limit` at once; the results in the items' order.

    The first exception sets stop, lets the running calls end, and is raised; so is the
    KeyboardInterrupt that reaches the waiting thread. Functions that take long look at stop.
    """
    queue: list[tuple[int, T]] = list(enumerate(items))
    results: dict[int, R] = {}
    failures: list[BaseException] = []
    lock = threading.Lock()
    pending = iter(queue)

    def run() -> None:
        while not stop.is_set():
            with lock:
                taken = next(pending, None)
            if taken is None:
                return
            number, item = taken
            try:
                results[number] = function(item)
            except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
                with lock:
                    failures.append(error)
                stop.set()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(limit, len(queue)))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        stop.set()
        for thread in threads:
            thread.join(_GRACE)
        raise
    for error in failures:
        if not isinstance(error, Stopped):
            raise error
    if stop.is_set():
        raise Stopped
    return [results[number] for number, _ in queue]
