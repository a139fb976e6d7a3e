"""`imgctl run` prints what is to be typed on the device."""

from __future__ import annotations

from tests.unit.imgctl.records import Call

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


def test_what_is_no_reference_is_bad_input(call: Call) -> None:
    code, out, err = call("run", "Not A Reference/x")
    assert (code, out) == (2, "")
    assert "is not a registry host" in err
