"""`imgctl deploy`: bad input before any cluster is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgctl.cli import cli
from imgctl.commands.deploy import command, parse_duration
from imgctl.output import run
from registry.errors import BadInput

IMAGE = f"harbor.test/algorithms/mnist@sha256:{'a' * 64}"


@pytest.fixture
def imgctl(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no kubectl

    def call(*args: str) -> tuple[int, str, str]:
        code = run(cli, ["deploy", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_without_kubectl_it_says_what_to_do(imgctl: Any) -> None:
    code, out, err = imgctl(IMAGE, "--offline")
    assert (code, out) == (1, "")
    assert "kubectl is not installed here" in err
    assert "imgctl manifests" in err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((IMAGE, "--offline", "--timeout", "soon"), "'soon' is not a duration"),
        ((IMAGE, "--offline", "--kubeconfig", "nowhere"), "nowhere is not there"),
        ((IMAGE, "--offline", "--kind", "cronjob"), "unknown kind"),
        (("harbor.test/a/b:1", "--offline"), "names no digest"),
        (("mnist",), "no image 'mnist'"),
    ],
)
def test_bad_input_is_2_and_asks_nobody(imgctl: Any, args: tuple[str, ...], said: str) -> None:
    code, out, err = imgctl(*args)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1d", "m", "1.5m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadInput, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("args", "way", "image"),
    [
        (["--dry-run", "mnist"], "server", "mnist"),
        (["mnist", "--dry-run"], "server", "mnist"),
        (["mnist", "--dry-run", "--no-wait"], "server", "mnist"),
        (["--dry-run", "client", "mnist"], "client", "mnist"),
        (["--dry-run=none", "mnist"], "none", "mnist"),
        (["mnist", "--arg", "--dry-run"], "none", "mnist"),
        (["mnist"], "none", "mnist"),
    ],
)
def test_a_dry_run_may_say_which(args: list[str], way: str, image: str) -> None:
    params = command.make_context("deploy", args).params
    assert (params["dry_run"], params["image"]) == (way, image)
