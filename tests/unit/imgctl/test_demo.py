"""`imgctl demo`: the whole pipeline, on nothing but this program."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgctl.cli import cli
from imgctl.output import run
from registry.layout import LayoutStore

ROOT = Path(__file__).parents[3]
STEPS = [
    "stand-in",
    "definition",
    "Dockerfile",
    "build",
    "push",
    "artifact",
    "manifests",
    "again",
]


@pytest.fixture
def imgctl(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*args: str) -> tuple[int, str, str]:
        code = run(cli, ["demo", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No programs, no way out, and a folder for temporary files to be looked into."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", "")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return tmp_path


@pytest.fixture
def shown(imgctl: Any) -> dict[str, Any]:
    """What the demo of mnist says of itself in JSON."""
    code, out, err = imgctl("--format", "json")
    assert (code, err) == (0, "")
    value: dict[str, Any] = json.loads(out)
    return value


def step(shown: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in shown["steps"] if item["name"] == name)
    return found


def test_every_step_is_shown_with_its_time_and_bytes(imgctl: Any) -> None:
    code, out, err = imgctl()
    assert (code, err) == (0, "")
    table = out.partition("\nstep ")[2].splitlines()
    assert [row.split()[0] for row in table[1:9]] == STEPS
    assert all(row.split()[2] == "ms" for row in table[1:9])


def test_the_stand_in_is_called_one_before_anything_else(imgctl: Any) -> None:
    _, out, _ = imgctl()
    assert "STAND-IN" in out.partition("\n\n")[0]


def test_the_build_reads_a_manifest_and_a_config_and_no_layer(shown: dict[str, Any]) -> None:
    assert step(shown, "stand-in")["sent"] > 4_000_000
    assert step(shown, "build")["requests"] == 2
    assert step(shown, "build")["received"] < 3000


def test_the_push_sends_our_bytes_only(shown: dict[str, Any]) -> None:
    assert shown["push"]["bytes"]["mounted"] > 4_000_000
    assert shown["push"]["bytes"]["sent"] < 20_000
    assert step(shown, "push")["sent"] < 20_000


def test_the_artifact_is_read_back_under_the_digest_that_was_built(shown: dict[str, Any]) -> None:
    artifact = json.loads(step(shown, "artifact")["detail"])
    assert artifact["digest"] == shown["push"]["digest"]
    assert artifact["digest"] in step(shown, "build")["says"]
    assert artifact["platform"] == "linux/arm64"
    assert artifact["tags"] == ["1.0.0-l4t-r35.2.1"]


def test_pod_and_deployment_run_exactly_that_digest(shown: dict[str, Any]) -> None:
    pod, deployment = yaml.safe_load_all(step(shown, "manifests")["detail"])
    pinned = f"{shown['push']['repository']}@{shown['push']['digest']}"
    assert (pod["kind"], deployment["kind"]) == ("Pod", "Deployment")
    assert pod["spec"]["containers"][0]["image"] == pinned
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == pinned


def test_a_second_time_nothing_is_built_or_sent(shown: dict[str, Any]) -> None:
    again = step(shown, "again")
    assert again["says"] == "build up to date, push unchanged"
    assert again["sent"] == 0


def test_two_demos_make_the_same_image(imgctl: Any) -> None:
    digests = {json.loads(imgctl("--format", "json")[1])["push"]["digest"] for _ in range(2)}
    assert len(digests) == 1


def test_another_release_gets_its_own_base(imgctl: Any) -> None:
    code, out, _ = imgctl("mnist", "--l4t", "r36.4.3", "--format", "json")
    assert code == 0
    assert "pytorch:25.06-py3-igpu" in step(json.loads(out), "Dockerfile")["detail"]


def test_nothing_is_left_behind(imgctl: Any, bare_machine: Path) -> None:
    imgctl()
    assert list((bare_machine / "temporary").iterdir()) == []
    assert list((bare_machine / "here").iterdir()) == []


def test_an_interruption_leaves_nothing_either(bare_machine: Path) -> None:
    # What it tells does not fit into the pipe, so it is still at work when the signal comes.
    demo = subprocess.Popen(
        [sys.executable, "-m", "imgctl", "demo", "--keep", "kept"],
        cwd=bare_machine / "here",
        env={"TMPDIR": str(bare_machine / "temporary"), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        pipesize=4096,
    )
    assert demo.stdout is not None
    demo.stdout.read(1)
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert b"interrupted" in err
    assert b"Traceback" not in err
    assert list((bare_machine / "temporary").iterdir()) == []
    assert list((bare_machine / "here").iterdir()) == []


def test_what_is_kept_is_whole(imgctl: Any, bare_machine: Path) -> None:
    code, out, _ = imgctl("--keep", "made/by/demo", "--format", "json")
    kept = bare_machine / "here/made/by/demo"
    pushed = json.loads(out)["push"]
    assert code == 0
    assert sorted(path.name for path in kept.iterdir()) == [
        "Dockerfile",
        "artifact.json",
        "dist",
    ]
    folder = kept / "dist/mnist/1.0.0-l4t-r35.2.1"
    records = ("build.json", "push.json", "pod.yaml", "deployment.yaml")
    assert all((folder / name).is_file() for name in records)
    store = LayoutStore(folder)
    document = store.manifest(pushed["digest"])
    for blob in document.blobs():
        with store.open_blob(blob) as chunks:
            assert sum(map(len, chunks)) == blob.size
    assert [path.name for path in kept.parent.iterdir()] == ["demo"]


def test_a_folder_that_is_there_is_not_touched(imgctl: Any, bare_machine: Path) -> None:
    (bare_machine / "here/mine").mkdir()
    code, out, err = imgctl("--keep", "mine")
    assert (code, out) == (2, "")
    assert "mine is there already" in err
    assert list((bare_machine / "here/mine").iterdir()) == []


def test_an_image_whose_steps_must_run_is_one_clear_error(imgctl: Any, bare_machine: Path) -> None:
    code, _, err = imgctl("tensorflow", "--l4t", "r32.4.2", "--keep", "kept")
    assert code == 1
    assert "the direct engine cannot build this image" in err
    assert list((bare_machine / "here").iterdir()) == []


def test_an_unknown_image_is_bad_input(imgctl: Any) -> None:
    code, out, err = imgctl("mnits")
    assert (code, out) == (2, "")
    assert "did you mean 'mnist'?" in err
