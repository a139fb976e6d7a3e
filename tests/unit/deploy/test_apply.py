"""Applying and following with a double of kubectl: a child that answers from a script.

The real kubectl is in tests/e2e/test_deploy.py; here are the turns that a real one takes rarely.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.apply import Applied, Patience, RolloutFailed, apply, follow
from deploy.apply_kubectl import ClusterUnreachable, Kubectl, ObjectMissing, complaint
from registry.errors import BadInput, ImgctlError, Refused

# Answers `kubectl VERB KIND…` with the next of its answers, the last one again and again.
DOUBLE = """\
import json, pathlib, sys
folder = pathlib.Path({folder!r})
words = [word for word in sys.argv[1:] if not word.startswith("-")]
key = "apply" if words[0] == "apply" else " ".join(words[:2]).split("/")[0]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
(folder / "stdin").write_text(sys.stdin.read())
script = json.loads((folder / "script").read_text())
answers = script.get(key) or [{{"err": "unexpected: " + key}}]
answer = answers.pop(0) if len(answers) > 1 else answers[0]
(folder / "script").write_text(json.dumps(script))
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(1 if "err" in answer else 0)
"""
JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "mnist", "namespace": "edge"},
}
APPLIED = Applied("batch/v1", "Job", "mnist", "edge")
DOWN = {"err": "The connection to the server 10.0.0.1:6443 was refused - did you …\n"}


class KubectlDouble:
    """A program that stands for kubectl, and what it was called with."""

    def __init__(self, folder: Path, **script: Any) -> None:
        self.folder = folder
        names = {key.replace("_", " "): value for key, value in script.items()}
        (folder / "script").write_text(json.dumps(names))
        program = folder / "kubectl"
        program.write_text(f"#!{sys.executable}\n" + DOUBLE.format(folder=str(folder)))
        program.chmod(0o755)
        self.kubectl = Kubectl(dict(os.environ), "edge", binary=str(program))

    @property
    def calls(self) -> list[list[str]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [json.loads(line) for line in lines]


def out(*values: Any) -> dict[str, str]:
    return {"out": "\n".join(json.dumps(value, indent=2) for value in values)}


def items(*values: Any) -> dict[str, str]:
    return out({"kind": "List", "items": list(values)})


def job(**status: Any) -> dict[str, Any]:
    return {**JOB, "status": status}


RUNS = out(job(active=1, ready=1))
DONE = out(job(conditions=[{"type": "Complete", "status": "True"}]))


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def patience(until: str = "running", timeout: float = 10.0) -> Patience:
    time = Time()
    return Patience(until, timeout, time.clock, time.sleep)


class Lines:
    """A Progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, key: str, label: str, total: int | None = None) -> None:
        pass

    def advance(self, key: str, amount: int) -> None:
        pass

    def finish(self, key: str, note: str = "") -> None:
        pass

    def say(self, line: str) -> None:
        self.said.append(line)


def test_objects_go_in_by_stdin_and_come_back_one_after_another(tmp_path: Path) -> None:
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "n"}}
    double = KubectlDouble(tmp_path, apply=[out(runtime, JOB)])
    assert apply(double.kubectl, [runtime, JOB]) == (
        Applied("node.k8s.io/v1", "RuntimeClass", "n", ""),
        APPLIED,
    )
    (call,) = double.calls
    assert "--server-side" in call
    assert "--context=edge" in call
    assert "kind: RuntimeClass" in (tmp_path / "stdin").read_text()


@pytest.mark.parametrize(
    ("asked", "flags", "not_flags"),
    [
        ({"dry_run": "client"}, {"--dry-run=client"}, {"--server-side", "--force-conflicts"}),
        ({"dry_run": "server"}, {"--dry-run=server", "--server-side"}, set()),
        ({"force": True}, {"--force-conflicts", "--server-side"}, set()),
    ],
)
def test_how_to_apply_is_kubectls_own_option(
    tmp_path: Path, asked: Any, flags: set[str], not_flags: set[str]
) -> None:
    double = KubectlDouble(tmp_path, apply=[out(JOB)])
    apply(double.kubectl, [JOB], **asked)
    (call,) = double.calls
    assert flags <= set(call)
    assert not not_flags & set(call)


def test_replace_deletes_first_and_never_in_a_dry_run(tmp_path: Path) -> None:
    double = KubectlDouble(tmp_path, delete_job=[{"out": ""}], apply=[out(JOB)])
    apply(double.kubectl, [JOB], replace=True)
    apply(double.kubectl, [JOB], replace=True, dry_run="server")
    verbs = [next(word for word in call if not word.startswith("-")) for call in double.calls]
    assert verbs == ["delete", "apply", "apply"]
    assert "--namespace=edge" in double.calls[0]


def test_a_job_counts_when_it_runs_or_when_it_has_ended_as_asked(tmp_path: Path) -> None:
    double = KubectlDouble(tmp_path, get_job=[RUNS, RUNS, DONE])
    assert follow(double.kubectl, [APPLIED], "x", patience())["job/mnist"].words == "running"
    found = follow(double.kubectl, [APPLIED], "x", patience("finished"))
    assert found["job/mnist"].state == "finished"


def test_each_change_is_said_once(tmp_path: Path) -> None:
    waits = out(job(active=1))
    double = KubectlDouble(tmp_path, get_job=[waits, waits, waits, RUNS], get_pods=[items()])
    lines = Lines()
    follow(double.kubectl, [APPLIED], "x", patience(), lines)
    assert lines.said == ["job/mnist: its pod is not ready", "job/mnist: running"]


def test_who_may_not_see_pods_still_sees_the_rollout(tmp_path: Path) -> None:
    forbidden = {"err": "Error from server (Forbidden): pods is forbidden: User cannot list\n"}
    waits = out(job(active=1))
    double = KubectlDouble(tmp_path, get_job=[waits, waits, RUNS], get_pods=[forbidden])
    lines = Lines()
    follow(double.kubectl, [APPLIED], "x", patience(), lines)
    assert lines.said[0].startswith("pods: not to be had: Error from server (Forbidden)")
    assert lines.said[1:] == ["job/mnist: its pod is not ready", "job/mnist: running"]


def test_a_cluster_that_falls_silent_is_asked_again(tmp_path: Path) -> None:
    double = KubectlDouble(tmp_path, get_job=[DOWN, DOWN, RUNS])
    lines = Lines()
    follow(double.kubectl, [APPLIED], "x", patience(), lines)
    assert lines.said[0].startswith("the cluster does not answer; asking again")
    assert lines.said[1:] == ["job/mnist: running"]


def test_a_cluster_that_stays_silent_is_given_up_in_time(tmp_path: Path) -> None:
    double = KubectlDouble(tmp_path, get_job=[DOWN], get_events=[DOWN])
    with pytest.raises(RolloutFailed) as caught:
        follow(double.kubectl, [APPLIED], "x", patience(timeout=4))
    assert caught.value.what == "job/mnist is not running after 4 s"
    assert "does not answer" in caught.value.why
    assert caught.value.events == ()


def test_an_object_that_somebody_deletes_meanwhile_is_a_failure(tmp_path: Path) -> None:
    gone = {"err": 'Error from server (NotFound): jobs.batch "mnist" not found\n'}
    double = KubectlDouble(tmp_path, get_job=[gone], get_events=[items()])
    with pytest.raises(RolloutFailed, match="failed; someone deleted it"):
        follow(double.kubectl, [APPLIED], "x", patience())


def test_what_is_only_there_needs_no_look(tmp_path: Path) -> None:
    double = KubectlDouble(tmp_path)
    runtime = Applied("node.k8s.io/v1", "RuntimeClass", "nvidia", "")
    assert follow(double.kubectl, [runtime], "x", patience()) == {}


def test_kubectl_that_is_not_installed_is_said(tmp_path: Path) -> None:
    kubectl = Kubectl({}, binary=str(tmp_path / "kubectl"))
    with pytest.raises(ImgctlError, match="is not installed here") as caught:
        kubectl.run("version")
    assert "imgctl manifests" in caught.value.hint


@pytest.mark.parametrize("text", ["{", "[]", "hello"])
def test_what_is_no_json_is_said(tmp_path: Path, text: str) -> None:
    double = KubectlDouble(tmp_path, get_pods=[{"out": text}])
    with pytest.raises(ImgctlError, match="printed no JSON"):
        double.kubectl.objects("get", "pods")


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ('error: context "moon" does not exist', BadInput, "no such context"),
        ("The connection to the server localhost:8080 was refused - did you specify the right "
         "host or port?", ClusterUnreachable, "told of no cluster"),
        ("Unable to connect to the server: dial tcp: lookup k8s.test: no such host",
         ClusterUnreachable, "does not answer"),
        ("Unable to connect to the server: net/http: TLS handshake timeout", ClusterUnreachable,
         "does not answer"),
        ('Error from server (Forbidden): jobs.batch is forbidden: User "x" cannot patch',
         ImgctlError, "does not allow it"),
        ('Error from server (NotFound): namespaces "edge" not found', ObjectMissing, "namespace"),
        ("error: Apply failed with 2 conflicts: conflicts with \"helm\":", Refused, "same fields"),
        ('The Job "x" is invalid: spec.template: Invalid value: field is immutable', Refused,
         "in place"),
        ("error: You must be logged in to the server (Unauthorized)", ImgctlError, "who asks"),
        ('error: error loading config file "kc": yaml: line 1', BadInput, "cannot be read"),
        ("error: timed out waiting for the condition on pods/mnist", ImgctlError, "does not end"),
        ("", ImgctlError, "did not take"),
    ],
)  # fmt: skip
def test_kubectls_words_are_understood(words: str, kind: type[ImgctlError], said: str) -> None:
    logged = 'E1124 10:00:00.000000   1 memcache.go:265] "Unhandled Error" err="x"\n'
    error = complaint(f"{logged}{words}\n")
    assert type(error) is kind
    assert said in error.what
    assert "memcache" not in error.why
