"""`imgctl run` prints what is to be typed on the device."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.unit.imgctl.records import DIGEST, TAG, Call, build_record, push_record, put

PINNED = "127.0.0.1:5000/p/mnist@sha256:" + "ab" * 32


def test_docker_runs_with_the_gpu(call: Call) -> None:
    code, out, _ = call("run", PINNED, "--", "python3", "a b.py")
    assert code == 0
    assert out == f"docker run --rm --runtime nvidia --network host {PINNED} python3 'a b.py'\n"


def test_containerd_pulls_first_for_it_does_not_by_itself(call: Call) -> None:
    code, out, _ = call("run", PINNED, "--runtime", "containerd")
    assert code == 0
    pull, run = out.splitlines()
    assert pull == f"ctr images pull --plain-http --platform linux/arm64 {PINNED}"
    assert run.startswith("ctr run --rm --gpus 0 --net-host")
    code, out, _ = call("run", "harbor.example/p/x:1", "--runtime", "containerd")
    assert "--plain-http" not in out


def test_the_steps_come_after_the_pull(call: Call) -> None:
    _, out, _ = call("run", PINNED, "--runtime", "containerd", "--steps")
    assert [line.split()[2] for line in out.splitlines()] == [
        "pull", "create", "start", "exec", "kill", "rm",
    ]  # fmt: skip


def test_the_steps_keep_the_container_waiting(call: Call, tmp_path: Path) -> None:
    """For a shell to be opened in it; its own program may end at once."""
    put(tmp_path / "dist", build_record(), push_record())
    for runtime in ("docker", "containerd"):
        out = call("run", "mnist", "--runtime", runtime, "--steps")[1]
        (create,) = [line for line in out.splitlines() if " create " in line]
        assert create.endswith(" sleep infinity")
        assert "--platform" not in create


def test_what_is_no_reference_is_bad_input(call: Call) -> None:
    code, out, err = call("run", "Not A Reference/x")
    assert (code, out) == (2, "")
    assert "is not a registry host" in err


def test_what_is_pushed_runs_by_digest_and_what_is_loaded_by_name(
    call: Call, tmp_path: Path
) -> None:
    put(tmp_path / "dist", build_record())
    code, out, err = call("run", "mnist")
    assert code == 0
    assert out.endswith(f"--network host --pull never mnist:{TAG}\n")
    assert "imgctl build --load" in err
    code, out, err = call("run", "mnist", "--runtime", "containerd")
    assert (code, out) == (2, "")
    assert "built but not pushed" in err
    put(tmp_path / "dist", push_record())
    assert f"local-harbor.com/algorithms/mnist@{DIGEST}" in call("run", "mnist")[1]


def test_containerd_is_given_the_whole_reference(call: Call) -> None:
    for text, whole in (
        ("ubuntu:22.04", "docker.io/library/ubuntu:22.04"),
        ("h.example/p/x", "h.example/p/x:latest"),
        (PINNED, PINNED),
    ):
        pull, run = call("run", text, "--runtime", "containerd")[1].splitlines()
        assert pull.endswith(f" {whole}")
        assert run.endswith(f" {whole} imgctl-run")
    assert call("run", "ubuntu:22.04")[1].endswith(" ubuntu:22.04\n")


def test_name_and_platform_are_docker_s_too(call: Call) -> None:
    words = shlex.split(call("run", PINNED, "--name", "demo", "--platform", "linux/arm64")[1])
    assert words[words.index("--name") + 1] == "demo"
    assert words[words.index("--platform") + 1] == "linux/arm64"


def test_the_commands_as_json(call: Call) -> None:
    code, out, _ = call("run", PINNED, "--runtime", "containerd", "--format", "json")
    pull, run = json.loads(out)["commands"]
    assert (code, pull[:3], run[:2]) == (0, ["ctr", "images", "pull"], ["ctr", "run"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([PINNED, "--mout", "a:b"], "No such option"),
        (["nosuch"], "no image 'nosuch'"),
        (["./nosuch.json"], "neither an image in dist nor a record"),
        ([PINNED, "--mount", "/a:/c", "--mount", "/b:/c"], "two mounts are at /c"),
        ([PINNED, "--execute", "--steps"], "cannot be executed in one go"),
        ([PINNED, "--execute", "--format", "json"], "--execute prints what the program prints"),
        ([PINNED, "--mount", "/a"], "is not a volume"),
        ([PINNED, "--mount", ":/b"], "must be absolute"),
        ([PINNED, "--mount", "/a:b"], "must be absolute"),
        ([PINNED, "--name", "a b"], "cannot be the name of a container"),
        (["x:y:z"], "is not an image reference"),
    ],
)
def test_bad_input_is_one_error_and_no_command(call: Call, arguments: list[str], said: str) -> None:
    code, out, err = call("run", *arguments)
    assert (code, out) == (2, "")
    assert said in err
