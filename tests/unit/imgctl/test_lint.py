"""`imgctl lint`: what it reads, how it prints, and what its exit code says."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from imgctl.cli import cli
from imgctl.output import run

GOOD = """\
FROM nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3
COPY --link train.py /opt/train.py
"""
NO_SUCH_TAG = "FROM nvcr.io/nvidia/l4t-pytorch:r35.4.1-pth2.1-py3\n"
CHMOD = "FROM nvcr.io/nvidia/l4t-jetpack:r35.4.1\nCOPY --link --chmod=755 a.py /opt/a.py\n"


@pytest.fixture
def imgctl(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*args: str) -> tuple[int, str, str]:
        code = run(cli, ["lint", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_good_dockerfile_is_0_with_nothing_on_stdout(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(GOOD)
    assert imgctl("Dockerfile") == (0, "", "1 Dockerfile read: nothing found\n")


def test_an_error_is_3_with_place_cause_and_remedy(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(NO_SUCH_TAG)
    code, out, err = imgctl("Dockerfile")
    assert code == 3
    assert out.startswith("Dockerfile:1: error base-unknown\n  The base tag does not exist")
    assert "\n  why: " in out
    assert "\n  fix: " in out
    assert err == "1 Dockerfile read: 1 error\n"


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert imgctl("Dockerfile")[0] == 0


def test_a_warning_alone_is_0_unless_asked_otherwise(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(CHMOD)
    assert imgctl("Dockerfile")[0] == 0
    assert imgctl("Dockerfile", "--fail-on", "warning")[0] == 3


def test_errors_can_be_shown_without_failing(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(NO_SUCH_TAG)
    code, out, _ = imgctl("Dockerfile", "--fail-on", "never")
    assert code == 0
    assert "base-unknown" in out


def test_without_arguments_the_dockerfile_here_is_read(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(NO_SUCH_TAG)
    assert imgctl()[0] == 3


def test_without_a_dockerfile_here_every_image_is(imgctl: Any) -> None:
    code, out, err = imgctl("--l4t", "r36.4.3", "--format", "json")
    read = {finding["file"] for finding in json.loads(out)}
    assert code == 0
    assert {name.partition("-r36.4.3-")[0] for name in read} == {"gpu-test", "mnist", "tensorflow"}
    assert err == ""


def test_an_image_is_rendered_on_each_of_its_bases(imgctl: Any) -> None:
    code, _, err = imgctl("mnist", "--l4t", "r35.2.1")
    assert code == 0
    assert err.startswith("5 Dockerfiles read: ")


def test_an_image_is_held_against_the_devices_release(imgctl: Any) -> None:
    code, out, _ = imgctl("mnist", "--l4t", "r36.4.3", "--target-l4t", "r35.2.1")
    assert code == 3
    assert "error base-target-mismatch" in out


def test_an_image_that_has_no_base_for_the_release_is_refused(imgctl: Any) -> None:
    code, out, err = imgctl("tensorflow", "--l4t", "r38.2.0")
    assert code == 3
    assert out == ""
    assert err.startswith("imgctl: ")


def test_a_folder_gives_its_dockerfile(imgctl: Any, folder: Path) -> None:
    (folder / "edge").mkdir()
    (folder / "edge/Dockerfile").write_text(NO_SUCH_TAG)
    code, out, _ = imgctl("edge")
    assert code == 3
    assert out.startswith("edge/Dockerfile:1: error")


def test_stdin_is_read_for_a_dash(imgctl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(NO_SUCH_TAG))
    code, out, _ = imgctl("-")
    assert code == 3
    assert out.startswith("-:1: error base-unknown")


def test_a_pipe_is_read_as_a_file_is(imgctl: Any, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_text, args=(NO_SUCH_TAG,))
    writer.start()
    code, out, _ = imgctl("./pipe")
    writer.join()
    assert code == 3
    assert out.startswith("pipe:1: error base-unknown")


def test_a_device_is_no_dockerfile(imgctl: Any) -> None:
    code, _, err = imgctl("/dev/null")
    assert code == 2
    assert "/dev/null is not a file" in err


def test_the_same_finding_in_two_files_is_explained_once(imgctl: Any, folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.Dockerfile").write_text(NO_SUCH_TAG)
    _, out, _ = imgctl("a.Dockerfile", "b.Dockerfile")
    assert out.splitlines()[:2] == [
        "a.Dockerfile:1: error base-unknown",
        "b.Dockerfile:1: error base-unknown",
    ]
    assert out.count("why: ") == 1


def test_findings_as_json(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(NO_SUCH_TAG)
    code, out, err = imgctl("Dockerfile", "--format", "json")
    (finding,) = json.loads(out)
    assert code == 3
    assert (finding["rule"], finding["file"], finding["line"]) == ("base-unknown", "Dockerfile", 1)
    assert err == ""


def test_findings_as_sarif(imgctl: Any, folder: Path) -> None:
    (folder / "Dockerfile").write_text(NO_SUCH_TAG)
    code, out, _ = imgctl("Dockerfile", "--format", "sarif")
    (result,) = json.loads(out)["runs"][0]["results"]
    assert code == 3
    assert result["ruleId"] == "base-unknown"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("mnits", "did you mean 'mnist'?"),
        ("edge/Dockerfile", "edge/Dockerfile is not there"),
        ("Dockerfile.arm", "Dockerfile.arm is not there"),
        (".", "holds neither Dockerfile nor image.yaml"),
    ],
)
def test_what_is_neither_file_nor_image_is_bad_input(imgctl: Any, argument: str, said: str) -> None:
    code, out, err = imgctl(argument)
    assert (code, out) == (2, "")
    assert said in err


def test_a_file_that_is_no_dockerfile_is_bad_input(imgctl: Any, folder: Path) -> None:
    (folder / "picture").write_bytes(b"\x89PNG\r\n")
    assert imgctl("picture")[0] == 2
    (folder / "notes").write_text("hello\n")
    code, _, err = imgctl("notes")
    assert code == 2
    assert "Traceback" not in err
