"""`imgctl deploy` with the real kubectl, against a scripted API server on a real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Imgctl, Result
from tests.e2e.support.cluster import (
    address,
    applied,
    discovery,
    got,
    listed,
    refused,
    write_kubeconfig,
)
from tests.e2e.support.processes import tool
from tests.support.reqresp import Entry, Server, query_of, serve

IMAGE = f"harbor.test/algorithms/mnist@sha256:{'a' * 64}"
Object = dict[str, Any]


@pytest.fixture(autouse=True)
def kubectl() -> str:
    return tool("kubectl")


@pytest.fixture
def deploy(imgctl: Imgctl, tmp_path: Path) -> Any:
    """Run `imgctl deploy IMAGE` against a scripted server."""

    def run(server: Server, *args: str) -> Result:
        config = write_kubeconfig(tmp_path / "kubeconfig", server.host)
        return imgctl("deploy", IMAGE, "--offline", "--kubeconfig", str(config), *args,
                      env={"HOME": str(tmp_path)}, timeout=60)  # fmt: skip

    return run


@pytest.fixture
def manifest(imgctl: Imgctl) -> Any:
    """The one object that `imgctl manifests` makes of IMAGE."""

    def make(*args: str) -> Object:
        done = imgctl("manifests", IMAGE, "--offline", "--format", "json", *args).check()
        (value,) = json.loads(done.stdout)["items"]
        found: Object = value
        return found

    return make


def with_status(value: Object, **status: Any) -> Object:
    metadata = {**value["metadata"], "generation": 1}
    return {**value, "metadata": metadata, "status": {"observedGeneration": 1, **status}}


def patches(server: Server) -> list[tuple[Mapping[str, str], Object]]:
    """The query and object of every PATCH."""
    return [
        (query_of(seen.target), json.loads(seen.body))
        for seen in server.requests
        if seen.method == "PATCH"
    ]


def test_a_deployment_is_applied_and_followed_until_it_is_available(
    deploy: Any, manifest: Any
) -> None:
    wanted = manifest("--kind", "deployment")
    ready = with_status(wanted, replicas=1, updatedReplicas=1, availableReplicas=1)
    entries = (
        applied(wanted),
        got(with_status(wanted, replicas=1, updatedReplicas=1), once=True),
        got(ready),
        listed("Pod", []),
    )
    with serve(*discovery(), *entries) as server:
        done = deploy(server, "--kind", "deployment").check()
    assert done.stdout == "deployment/mnist applied in default\n"
    assert done.stderr.splitlines()[-2:] == [
        "deployment/mnist: 0 of 1 pods available",
        "deployment/mnist: 1 of 1 pods available",
    ]
    ((query, sent),) = patches(server)
    assert sent["spec"] == wanted["spec"]
    assert sent["metadata"]["annotations"] == wanted["metadata"]["annotations"]
    assert query["fieldManager"] == "imgctl"
    assert query["fieldValidation"] == "Strict"
    assert query["force"] == "false"


def test_a_job_is_followed_to_its_end_where_asked(deploy: Any, manifest: Any) -> None:
    wanted = manifest("--kind", "job")
    complete = {"type": "Complete", "status": "True"}
    entries = (
        applied(wanted),
        got(with_status(wanted, active=1, ready=1), once=True),
        got(with_status(wanted, succeeded=1, conditions=[complete])),
    )
    with serve(*discovery(), *entries) as server:
        done = deploy(server, "--until", "finished", "--format", "json").check()
    (item,) = json.loads(done.stdout)["applied"]
    assert (item["kind"], item["state"]) == ("Job", "finished")
    assert "job/mnist: running" in done.stderr


def test_a_runtime_class_goes_with_it_on_a_plain_kubelet(deploy: Any, imgctl: Imgctl) -> None:
    args = ("--kind", "pod", "--target", "kubelet", "--namespace", "edge")
    done = imgctl("manifests", IMAGE, "--offline", "--format", "json", *args).check()
    runtime, pod = json.loads(done.stdout)["items"]
    running = with_status(pod, phase="Running")
    entries = (applied(runtime, ""), applied(pod, "edge"), got(running, "edge"))
    with serve(*discovery(), *entries) as server:
        done = deploy(server, *args).check()
    assert done.stdout == "runtimeclass/nvidia applied\npod/mnist applied in edge\n"


def test_what_cannot_be_pulled_is_told_with_the_clusters_warnings(
    deploy: Any, manifest: Any
) -> None:
    wanted = manifest("--kind", "deployment")
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    pod = {
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "mnist-7d4-x2x"},
        "spec": {"containers": [{"name": "mnist", "image": IMAGE}]},
        "status": {"containerStatuses": [{"name": "mnist", "state": {"waiting": waiting}}]},
    }  # fmt: skip
    event = {
        "kind": "Event", "apiVersion": "v1", "metadata": {"name": "e1"}, "type": "Warning",
        "reason": "Failed", "message": "harbor.test: no such host", "count": 3,
        "involvedObject": {"kind": "Pod", "name": "mnist-7d4-x2x"},
        "lastTimestamp": "2026-11-24T10:00:00Z",
    }  # fmt: skip
    other = {**event, "involvedObject": {"kind": "Pod", "name": "another"}}
    entries = (
        applied(wanted),
        got(with_status(wanted, replicas=1, updatedReplicas=1)),
        listed("Pod", [pod]),
        listed("Event", [event, other]),
    )
    with serve(*discovery(), *entries) as server:
        done = deploy(server, "--kind", "deployment", "--timeout", "1s", "--format", "json")
    assert done.code == 1
    assert json.loads(done.stdout)["events"] == [
        "pod/mnist-7d4-x2x: Failed: harbor.test: no such host (3 times)"
    ]
    assert "event: pod/mnist-7d4-x2x: Failed: harbor.test: no such host (3 times)" in done.stderr
    assert "another" not in done.stderr
    assert "is not running after 1 s" in done.stderr
    assert "pod mnist-7d4-x2x: ImagePullBackOff: Back-off pulling image" in done.stderr
    assert "--pull-secret" in done.stderr


def test_a_job_that_fails_ends_the_wait_at_once(deploy: Any, manifest: Any) -> None:
    wanted = manifest("--kind", "job")
    failed = {"type": "Failed", "status": "True", "message": "Job has reached the backoff limit"}
    entries = (
        applied(wanted),
        got(with_status(wanted, failed=3, conditions=[failed])),
        listed("Pod", []),
        listed("Event", []),
    )
    with serve(*discovery(), *entries) as server:
        done = deploy(server, "--format", "json")
    assert done.code == 1
    assert json.loads(done.stdout)["applied"][0]["state"] == "failed"
    assert "job/mnist failed" in done.stderr
    assert "backoff limit" in done.stderr


def test_a_server_dry_run_keeps_nothing_and_waits_for_nothing(deploy: Any, manifest: Any) -> None:
    with serve(*discovery(), applied(manifest())) as server:
        done = deploy(server, "--dry-run").check()
    assert done.stdout == "job/mnist applied in default (server dry run)\n"
    ((query, _),) = patches(server)
    assert query["dryRun"] == "All"


def test_a_job_that_is_there_is_refused_and_replaced_when_asked(deploy: Any, manifest: Any) -> None:
    wanted = manifest()
    path = address("Job", "mnist")
    message = 'Job.batch "mnist" is invalid: spec.template: Invalid value: field is immutable'
    with serve(*discovery(), refused("PATCH", path, 422, "Invalid", message)) as server:
        done = deploy(server)
    assert done.code == 3
    assert "--replace" in done.stderr
    entries = (
        Entry("DELETE", path, content=b'{"kind":"Status","apiVersion":"v1","status":"Success"}',
              reply={"Content-Type": "application/json"}, set_state="gone"),
        refused("GET", path, 404, "NotFound", "jobs not found", if_state="gone"),
        applied(wanted),
    )  # fmt: skip
    with serve(*discovery(), *entries) as server:
        deploy(server, "--replace", "--no-wait").check()
    assert next(line.split()[0] for line in server.lines if path in line) == "DELETE"


def test_a_warning_of_the_cluster_is_passed_on_and_the_context_named(
    deploy: Any, manifest: Any
) -> None:
    entry = applied(manifest())
    reply = {**entry.reply, "Warning": '299 - "would violate PodSecurity: hostNetwork"'}
    with serve(*discovery(), replace(entry, reply=reply)) as server:
        done = deploy(server, "--no-wait", "--format", "json").check()
    assert done.stderr.splitlines()[-2:] == [
        "context edge",
        "warning: would violate PodSecurity: hostNetwork",
    ]
    assert json.loads(done.stdout)["context"] == "edge"


def test_a_conflict_names_the_way_to_take_over(deploy: Any, manifest: Any) -> None:
    message = 'Apply failed with 1 conflict: conflict with "kubectl": .spec.parallelism'
    path = address("Job", "mnist")
    with serve(*discovery(), refused("PATCH", path, 409, "Conflict", message)) as server:
        done = deploy(server)
    assert done.code == 3
    assert "--force-conflicts" in done.stderr


@pytest.mark.parametrize(
    ("code", "reason", "message", "said"),
    [
        (403, "Forbidden", 'jobs.batch "mnist" is forbidden: User "x" cannot patch',
         "does not allow it"),
        (404, "NotFound", 'namespaces "default" not found', "the namespace is not there"),
        (401, "Unauthorized", "Unauthorized", "does not know who asks"),
    ],
)  # fmt: skip
def test_what_the_cluster_refuses_is_said_in_one_error(
    deploy: Any, code: int, reason: str, message: str, said: str
) -> None:
    path = address("Job", "mnist")
    with serve(*discovery(), refused("PATCH", path, code, reason, message)) as server:
        done = deploy(server)
    assert done.code == 1
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_the_wait_and_says_that_it_can_be_run_again(
    manifest: Any, tmp_path: Path
) -> None:
    wanted = manifest()
    waiting = got(with_status(wanted, active=1))
    with serve(*discovery(), applied(wanted), waiting, listed("Pod", [])) as server:
        config = write_kubeconfig(tmp_path / "kubeconfig", server.host)
        command = [str(Path(sys.executable).parent / "imgctl"), "deploy", IMAGE, "--offline",
                   "--kubeconfig", str(config)]  # fmt: skip
        child = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stderr is not None
            for line in child.stderr:
                if "its pod is not ready" in line:
                    child.send_signal(signal.SIGINT)
                    break
            _, rest = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "run the same command again" in rest
    assert "Traceback" not in rest


def test_a_cluster_that_does_not_answer(deploy: Any) -> None:
    with serve() as server:
        pass
    done = deploy(server)
    assert done.code == 1
    assert "the cluster does not answer" in done.stderr
    assert "--kubeconfig" in done.stderr


def test_a_context_that_is_not_there_is_bad_input(deploy: Any) -> None:
    with serve() as server:
        done = deploy(server, "--context", "moon")
    assert done.code == 2
    assert "no such context" in done.stderr


def test_without_any_cluster_it_says_how_to_name_one(imgctl: Imgctl, tmp_path: Path) -> None:
    done = imgctl("deploy", IMAGE, "--offline",
                  env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")})  # fmt: skip
    assert done.code == 1
    assert "told of no cluster" in done.stderr
