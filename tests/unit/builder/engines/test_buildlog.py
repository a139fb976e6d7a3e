"""What buildx says while it builds, and the error behind a build that failed."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

import pytest

from builder.engines.buildlog import BuildLog, explain
from registry.errors import ImgctlError, Refused, Unauthorized, Unreachable
from registry.progress import SILENT


@dataclass
class Noted:
    """A Progress that keeps what it is told."""

    events: list[str] = field(default_factory=list)

    def start(self, key: str, label: str, total: int | None = None) -> None:
        self.events.append(f"start {label} {total or ''}".strip())

    def advance(self, key: str, amount: int) -> None:
        self.events.append(f"advance {amount}")

    def finish(self, key: str, note: str = "") -> None:
        self.events.append(f"finish {note}".strip())

    def say(self, line: str) -> None:
        self.events.append(line)


def vertex(name: str, **more: object) -> str:
    return json.dumps({"vertexes": [{"digest": f"sha256:{name}", "name": name, **more}]})


def said(name: str, text: str) -> str:
    data = base64.b64encode(text.encode()).decode()
    return json.dumps({"logs": [{"vertex": f"sha256:{name}", "data": data}]})


def failed(*lines: str, name: str = "[2/3] RUN make", error: str = "") -> ImgctlError:
    """The error behind a step that fails after writing these lines."""
    log = BuildLog(SILENT)
    log.feed(vertex(name, started="now"))
    for line in lines:
        log.feed(said(name, line + "\n"))
    log.feed(vertex(name, started="now", completed="now", error=error))
    log.feed("Dockerfile:7")
    log.feed(f"ERROR: failed to build: failed to solve: {error}")
    return explain(log, 1)


RUN_ERROR = 'process "/bin/sh -c make" did not complete successfully: exit code: '


def test_steps_and_large_transfers_are_shown_and_housekeeping_is_not() -> None:
    progress = Noted()
    log = BuildLog(progress)
    log.feed(vertex("[internal] load build definition", started="now"))
    log.feed(vertex("[1/2] FROM base", started="now"))
    status = {"vertex": "sha256:v", "id": "layer", "total": 5 << 20}
    log.feed(json.dumps({"statuses": [{**status, "current": 1 << 20}]}))
    log.feed(json.dumps({"statuses": [{**status, "current": 5 << 20, "completed": "now"}]}))
    log.feed(json.dumps({"statuses": [{**status, "id": "small", "total": 100, "current": 100}]}))
    log.feed(vertex("[1/2] FROM base", started="now", completed="now", cached=True))
    assert progress.events == [
        "start [1/2] FROM base", f"start layer {5 << 20}", f"advance {1 << 20}",
        f"advance {4 << 20}", "finish", "finish cached",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("completed", "note"),
    [
        ("2024-05-01T10:01:05.5Z", "finish 65 s"),
        ("2024-05-01T10:00:01.999999999Z", "finish"),
        ("soon", "finish"),
    ],
)
def test_a_step_worth_waiting_for_says_how_long_it_took(completed: str, note: str) -> None:
    progress = Noted()
    log = BuildLog(progress)
    began = "2024-05-01T10:00:00.123456789Z"
    log.feed(vertex("[1/2] RUN make", started=began))
    log.feed(vertex("[1/2] RUN make", started=began, completed=completed))
    assert progress.events == ["start [1/2] RUN make", note]


def test_a_step_that_runs_long_shows_a_line_of_its_output_now_and_then() -> None:
    progress, now = Noted(), [0.0]
    log = BuildLog(progress, lambda: now[0])
    for seconds in range(0, 40, 4):
        now[0] = seconds
        log.feed(said("[1/2] RUN make", f"compiling\nfile {seconds}\n"))
    assert progress.events == ["  | file 16", "  | file 32"]


def test_what_was_open_when_buildx_ended_is_closed() -> None:
    progress = Noted()
    log = BuildLog(progress)
    log.feed(vertex("[1/2] RUN make", started="now"))
    log.close()
    assert progress.events == ["start [1/2] RUN make", "finish"]


def test_a_step_that_fails_is_named_with_its_line_and_its_last_words() -> None:
    error = failed("gcc: not found", "make: *** [all] Error 127", error=RUN_ERROR + "2")
    assert error.what == "a step of the build failed: RUN make"
    assert "Dockerfile line 7" in error.why
    assert "exit code: 2" in error.why
    assert "make: *** [all] Error 127" in error.why
    assert error.exit_code == 1


def test_pieces_of_a_line_are_put_together() -> None:
    log = BuildLog(SILENT)
    log.feed(vertex("[1/2] RUN make", started="now"))
    for piece in (
        "first\n/bin/sh: 1: ",
        "apt-get",
        ": not found\n",
        "10%\r50%\r",
        "90%",
        "\r\n",
        "la",
    ):
        log.feed(said("[1/2] RUN make", piece))
    log.feed(vertex("[1/2] RUN make", started="now", error=RUN_ERROR + "127"))
    assert log.failed is not None
    assert log.failed.output == ("first", "/bin/sh: 1: apt-get: not found", "90%", "la")


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    log = BuildLog(SILENT)
    for _ in range(100):
        log.feed(said("[1/2] RUN make", "." * 1000))
    log.feed(vertex("[1/2] RUN make", started="now", error=RUN_ERROR + "1"))
    assert log.failed is not None
    assert len("".join(log.failed.output)) < 10_000


def test_a_crash_of_qemu_is_seen_however_much_is_written_after_it() -> None:
    crash = "qemu: uncaught target signal 11 (Segmentation fault) - core dumped"
    error = failed(
        crash, *(f"dpkg: line {number}" for number in range(50)), error=RUN_ERROR + "100"
    )
    assert error.what.startswith("QEMU crashed")


def test_of_a_run_the_command_is_shown_without_its_mounts() -> None:
    progress = Noted()
    name = "[2/3] RUN --mount=type=cache,id=x,target=/var/cache   --network=none   make     all"
    log = BuildLog(progress)
    log.feed(vertex(name, started="now"))
    log.feed(vertex("[3/3] RUN " + "x" * 1000, started="now"))
    assert progress.events[0] == "start [2/3] RUN make all"
    assert len(progress.events[1]) < 150
    error = failed(name=name, error=RUN_ERROR + "2")
    assert error.what == "a step of the build failed: RUN make all"
    assert error.why == "Dockerfile line 7: exit code: 2"


def test_a_step_cancelled_because_of_another_is_not_the_cause() -> None:
    log = BuildLog(SILENT)
    log.feed(vertex("[a 1/2] RUN sleep", started="now", error="context canceled"))
    log.feed(vertex("[b 1/2] RUN false", started="now", error=RUN_ERROR + "1"))
    assert "RUN false" in explain(log, 1).what


@pytest.mark.parametrize(
    ("text", "kind", "what", "hint"),
    [
        ("qemu: uncaught target signal 11 (Segmentation fault)", ImgctlError, "QEMU crashed",
         "tonistiigi/binfmt"),
        ("exec /bin/sh: exec format error", ImgctlError, "cannot run arm64", "imgctl doctor"),
        ("write /x: no space left on device", ImgctlError, "disk is full", "prune"),
        ("failed to copy: failed to send write: rpc error: write /x: no space left on device",
         ImgctlError, "no space left for the result", "--dist"),
        ("adding interface veth0 to bridge docker0 failed", ImgctlError, "network",
         "--network host"),
        ("granting entitlement network.host is not allowed", Refused, "--network host",
         "allow-insecure-entitlement"),
        ("ERROR: Cannot connect to the Docker daemon at unix:///x", Unreachable, "daemon",
         "--engine direct"),
        ('ERROR: no builder "farm" found', ImgctlError, "no such builder", "docker buildx ls"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", Unreachable, "could not reach",
         "--base-mirror"),
    ],
)  # fmt: skip
def test_known_troubles_come_with_their_remedy(
    text: str, kind: type[ImgctlError], what: str, hint: str
) -> None:
    error = failed(text, error=RUN_ERROR + "1")
    assert type(error) is kind
    assert what in error.what
    assert hint in error.hint


def test_exit_139_without_a_word_from_qemu_may_be_its_fault() -> None:
    error = failed(error=RUN_ERROR + "139")
    assert error.what.startswith("a step of the build crashed, as programs do when QEMU")
    assert error.hint.startswith("where the builder emulates arm64")
    assert "qemu-v8.1.5" in error.hint


@pytest.mark.parametrize(
    ("text", "kind", "what", "hint"),
    [
        ("401 Unauthorized", Unauthorized, "may not read the base", "docker login"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority",
         Unreachable, "does not trust", "certs.d"),
        ("http: server gave HTTP response to HTTPS client", Unreachable, "speaks TLS",
         "insecure-registries"),
    ],
)  # fmt: skip
def test_trouble_with_the_base_is_told_from_that_of_a_step(
    text: str, kind: type[ImgctlError], what: str, hint: str
) -> None:
    name = "[context nvcr.io/nvidia/l4t-base:r35.2.1] docker-image://registry.example.com/l4t-base"
    error = failed(name=name, error=f"failed to do request: {text}")
    assert type(error) is kind
    assert what in error.what
    assert hint in error.hint
    own = failed(f"pip: {text}", error=RUN_ERROR + "1")
    assert own.what == "a step of the build failed: RUN make"
    assert text in own.why


def test_lines_that_are_no_events_are_buildx_own_words() -> None:
    log = BuildLog(SILENT)
    for line in ("{not json", '{"vertexes": null}', "[]", "", "ERROR: failed to solve: odd"):
        log.feed(line)
    error = explain(log, 1)
    assert error.what == "buildx could not build the image"
    assert error.why == "odd"


def test_silence_still_gives_the_exit_status() -> None:
    assert explain(BuildLog(SILENT), 125).why == "exit status 125"
