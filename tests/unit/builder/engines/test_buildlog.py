"""A failed buildx run, explained: what broke, where, and what to do."""

from __future__ import annotations

import base64
import json

import pytest

from builder.engines.buildlog import BuildLog, explain
from registry.errors import ImgctlError, Refused, Unauthorized, Unreachable
from registry.progress import SILENT

RUN = "[2/3] RUN python3 -c 'import torch'"


def failed_run(error: str, *output: str, last_words: str = "") -> BuildLog:
    """The log of a build whose RUN failed, as buildx writes it."""
    log = BuildLog(SILENT)
    text = "".join(f"{line}\n" for line in output).encode()
    events = (
        {"vertexes": [{"digest": "sha256:1", "name": RUN, "started": "2026-01-01T00:00:00Z"}]},
        {"logs": [{"vertex": "sha256:1", "data": base64.b64encode(text).decode()}]},
        {"vertexes": [{"digest": "sha256:1", "name": RUN, "error": error}]},
    )
    for event in events:
        log.feed(json.dumps(event))
    for line in last_words.splitlines():
        log.feed(line)
    return log


def did_not(code: int) -> str:
    return (
        "process \"/bin/sh -c python3 -c 'import torch'\" did not complete successfully: "
        f"exit code: {code}"
    )


@pytest.mark.parametrize(
    ("code", "output"),
    [
        (139, ()),
        (139, ("qemu: uncaught target signal 11 (Segmentation fault) - core dumped",)),
        (132, ("qemu: uncaught target signal 4 (Illegal instruction) - core dumped",)),
        (1, ("qemu: uncaught target signal 6 (Aborted) - core dumped", "the step went on")),
    ],
)
def test_a_crash_of_qemu_is_told_from_a_fault_of_the_step(
    code: int, output: tuple[str, ...]
) -> None:
    error = explain(failed_run(did_not(code), *output), 1)
    assert error.what == "QEMU crashed while it ran a step of the build for arm64"
    assert f"exit code: {code}" in error.why
    for word in ("qemu-v8.1.5", "v9.2.2", "v7.0.0-28", "--builder", "imgctl doctor"):
        assert word in error.hint


def test_a_step_that_fails_by_itself_is_not_blamed_on_qemu() -> None:
    error = explain(failed_run(did_not(1), "ModuleNotFoundError: No module named 'torch'"), 1)
    assert error.what == "a step of the build failed: RUN python3 -c 'import torch'"
    assert "No module named 'torch'" in error.why


def test_no_emulation_names_the_command_that_installs_it() -> None:
    log = failed_run(did_not(1), "exec /bin/sh: exec format error")
    error = explain(log, 1)
    assert "cannot run arm64 programs" in error.what
    assert "tonistiigi/binfmt --install arm64" in error.hint


def test_the_line_of_the_dockerfile_is_named() -> None:
    words = "Dockerfile:7\n--------------------\nERROR: failed to build: failed to solve: no"
    error = explain(failed_run(did_not(139), last_words=words), 1)
    assert error.why.startswith("Dockerfile line 7, RUN python3")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("ERROR: failed to solve: write /x: no space left on device", ImgctlError),
        ("ERROR: network.host is not allowed", Refused),
        ("ERROR: failed to authorize: 401 Unauthorized", Unauthorized),
        ("ERROR: Cannot connect to the Docker daemon at unix:///x", Unreachable),
        ("ERROR: dial tcp: lookup nvcr.io: no such host", Unreachable),
    ],
)
def test_what_buildx_says_last_becomes_an_error_with_a_remedy(
    words: str, kind: type[ImgctlError]
) -> None:
    log = BuildLog(SILENT)
    log.feed(words)
    error = explain(log, 1)
    assert type(error) is kind
    assert error.hint


def test_words_nobody_foresaw_are_shown_as_they_are() -> None:
    log = BuildLog(SILENT)
    log.feed("ERROR: failed to build: failed to solve: the moon is in the way")
    assert explain(log, 1).why == "the moon is in the way"


def test_steps_cancelled_by_another_are_not_the_cause() -> None:
    log = BuildLog(SILENT)
    for name, error in (("[a] RUN a", "context canceled"), ("[b] RUN b", did_not(139))):
        log.feed(json.dumps({"vertexes": [{"digest": name, "name": name, "error": error}]}))
    assert log.failed is not None
    assert log.failed.name == "RUN b"
