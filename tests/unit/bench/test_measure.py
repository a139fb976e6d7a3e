"""Commands are measured as they are, in turns."""

from __future__ import annotations

import sys

import pytest

from bench.measure import interleave, run

MEGABYTE = 1 << 20


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_wall_time_and_peak_memory_are_the_commands_own() -> None:
    small = run(python("pass"))
    large = run(python(f"import time; kept = b'x' * {64 * MEGABYTE}; time.sleep(0.2)"))
    assert large.seconds >= 0.2
    assert 60 * MEGABYTE <= large.peak_rss - small.peak_rss < 80 * MEGABYTE


def test_this_process_being_large_does_not_show_in_the_figure() -> None:
    before = run(python("pass")).peak_rss
    held = b"x" * (96 * MEGABYTE)
    assert run(python("pass")).peak_rss < before + 8 * MEGABYTE
    assert len(held) == 96 * MEGABYTE


def test_what_the_command_printed_is_kept() -> None:
    assert run(python("import sys; print('out'); sys.stderr.write('err')")).output == "out\nerr"


@pytest.mark.parametrize("command", [python("raise SystemExit('broken')"), ["no-such-program"]])
def test_a_command_that_fails_is_no_measurement(command: list[str]) -> None:
    with pytest.raises(RuntimeError, match=r"broken|No such file"):
        run(command)


def test_rounds_take_every_candidate_once_and_start_with_another_each_time() -> None:
    order: list[str] = []
    candidates = {name: lambda number, name=name: order.append(f"{name}{number}") for name in "abc"}
    results = interleave(candidates, 3)
    assert order == ["a0", "b0", "c0", "b1", "c1", "a1", "c2", "a2", "b2"]
    assert {name: len(values) for name, values in results.items()} == {"a": 3, "b": 3, "c": 3}
