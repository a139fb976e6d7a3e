"""What a user sees while bytes move."""

from __future__ import annotations

import io
import re
import threading

import pytest

from imgctl.progress import BarProgress, LineProgress, duration, progress, size


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A terminal that keeps what is on the screen."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines: list[str] = [""]
        for piece in re.split(r"(\x1b\[\d+A\x1b\[J|\n)", self.getvalue()):
            up = re.fullmatch(r"\x1b\[(\d+)A\x1b\[J", piece)
            if up:
                del lines[-1 - int(up[1]) :]
                lines.append("")
            elif piece == "\n":
                lines.append("")
            else:
                lines[-1] += piece
        return lines[:-1]


def bars(clock: Clock, columns: int = 80) -> tuple[Terminal, BarProgress]:
    terminal = Terminal()
    shown = BarProgress(terminal, clock, lambda: columns)
    # The tests draw when they want to, not when a tenth of a second has passed.
    shown._drawer = threading.current_thread()
    return terminal, shown


def test_a_moving_blob_has_a_bar_and_the_total_its_rate_and_time_left() -> None:
    clock = Clock()
    terminal, shown = bars(clock)
    shown.start("a", "layer 3f2a", 100_000_000)
    shown.start("b", "layer 77c1", 300_000_000)
    shown.draw()
    assert terminal.screen() == []
    shown.advance("a", 10_000_000)
    shown.draw()
    clock.now += 2
    shown.advance("a", 40_000_000)
    shown.draw()
    assert terminal.screen() == [
        "layer 3f2a  [===============               ]   50%   50.0 MB of 100 MB",
        "total  50.0 MB of 400 MB  20.0 MB/s  18 s left",
    ]


def test_a_blob_that_waited_for_its_turn_is_timed_from_there() -> None:
    clock = Clock()
    stream = io.StringIO()
    shown = LineProgress(stream, clock)
    shown.start("a", "layer 3f2a", 8_000_000)
    clock.now += 10
    shown.advance("a", 0)
    clock.now += 2
    shown.advance("a", 8_000_000)
    shown.finish("a")
    assert stream.getvalue() == "layer 3f2a  8.0 MB in 2.0 s (4.0 MB/s)\n"


def test_a_finished_blob_leaves_one_line_above_the_bars() -> None:
    clock = Clock()
    terminal, shown = bars(clock)
    shown.start("a", "layer 3f2a", 100_000_000)
    shown.start("b", "layer 77c1", 300_000_000)
    shown.advance("a", 100_000_000)
    shown.advance("b", 30_000_000)
    clock.now += 4
    shown.finish("a")
    lines = terminal.screen()
    assert lines[0] == "layer 3f2a  100 MB in 4.0 s (25.0 MB/s)"
    assert lines[1].startswith("layer 77c1  [===   ")
    assert lines[2].startswith("total  130 MB of 400 MB")


def test_a_blob_that_starts_over_takes_its_bytes_back() -> None:
    clock = Clock()
    terminal, shown = bars(clock)
    shown.start("a", "layer 3f2a", 100)
    shown.advance("a", 60)
    shown.advance("a", -60)
    shown.advance("a", 10)
    shown.draw()
    assert " 10%  " in terminal.screen()[0]


def test_no_line_is_wider_than_the_terminal() -> None:
    clock = Clock()
    terminal, shown = bars(clock, columns=30)
    shown.start("a", "a label that is long by itself", 100)
    shown.advance("a", 60)
    shown.draw()
    assert terminal.screen() and all(len(line) < 30 for line in terminal.screen())


def test_many_blobs_do_not_fill_the_screen() -> None:
    clock = Clock()
    terminal, shown = bars(clock)
    for number in range(20):
        shown.start(str(number), f"layer {number}", 100)
        shown.advance(str(number), 1)
    shown.draw()
    assert len(terminal.screen()) == 10
    assert terminal.screen()[8] == "… and 12 more"


def test_when_the_block_ends_the_bars_are_gone_and_the_lines_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with progress(terminal) as shown:
        shown.say("pushing to local-harbor.com")
        shown.start("a", "layer 3f2a", 100)
        shown.advance("a", 50)
    assert terminal.screen() == ["pushing to local-harbor.com"]


def test_nothing_is_written_when_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for stream in (Terminal(), io.StringIO()):
        with progress(stream) as shown:
            shown.start("a", "layer 3f2a", 100)
            shown.finish("a")
        assert stream.getvalue() == ""


def test_without_a_terminal_each_moved_blob_is_one_plain_line() -> None:
    clock = Clock()
    stream = io.StringIO()
    shown = LineProgress(stream, clock)
    shown.start("a", "layer 3f2a", 2000)
    shown.advance("a", 2000)
    clock.now += 0.5
    shown.finish("a")
    shown.start("b", "layer 77c1", 10)
    shown.finish("b", "mounted")
    assert stream.getvalue() == "layer 3f2a  2.0 kB in 0.5 s\nlayer 77c1  mounted\n"


def test_without_a_terminal_a_long_transfer_gives_a_sign_of_life() -> None:
    clock = Clock()
    stream = io.StringIO()
    shown = LineProgress(stream, clock)
    shown.start("a", "layer 3f2a", 1000)
    for _ in range(40):
        clock.now += 1
        shown.advance("a", 10)
    assert stream.getvalue().splitlines() == [
        "total  150 B of 1.0 kB",
        "total  300 B of 1.0 kB  10 B/s  1m10s left",
    ]


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with progress(Terminal()) as shown:
        assert isinstance(shown, LineProgress)


def test_calls_from_many_threads_add_up() -> None:
    clock = Clock()
    terminal, shown = bars(clock)
    shown.start("a", "layer 3f2a", 8000)

    def move() -> None:
        for _ in range(1000):
            shown.advance("a", 1)

    threads = [threading.Thread(target=move) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown.draw()
    assert "100%" in terminal.screen()[0]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (100_000, "100 kB"),
        (999_600, "1.0 MB"),
        (4_200_000_000, "4.2 GB"),
        (5_000_000_000_000, "5.0 TB"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.2, "12 s"), (59.9, "1m00s"), (7500, "2h05m")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
