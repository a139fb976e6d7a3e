"""When a workload counts as running, finished or failed, and what is told of its troubles."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.apply_status import (
    FAILED,
    FINISHED,
    RUNNING,
    WAITING,
    advice,
    event_lines,
    status_of,
    troubles,
)


def seen(kind: str, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": "x", "generation": 2},
        "spec": spec or {},
        "status": {"observedGeneration": 2, **status},
    }


def condition(kind: str, status: str, **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, **more}


THREE = {"replicas": 3}


@pytest.mark.parametrize(
    ("spec", "status", "state", "words"),
    [
        (THREE, {}, WAITING, "0 of 3 pods made anew"),
        (THREE, {"replicas": 3, "updatedReplicas": 2}, WAITING, "2 of 3 pods made anew"),
        (THREE, {"replicas": 4, "updatedReplicas": 3}, WAITING, "1 old pods still to end"),
        (THREE, {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 1}, WAITING,
         "1 of 3 pods available"),
        (THREE, {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}, RUNNING,
         "3 of 3 pods available"),
        ({"replicas": 0}, {}, RUNNING, "0 of 0 pods available"),
        (THREE, {"conditions": [condition("Progressing", "False", message="too slow",
                                          reason="ProgressDeadlineExceeded")]}, FAILED, "too slow"),
    ],
)  # fmt: skip
def test_a_deployment_runs_when_every_new_pod_is_available(
    spec: Any, status: Any, state: str, words: str
) -> None:
    found = status_of(seen("Deployment", spec, **status))
    assert (found.state, found.words) == (state, words)


def test_what_its_controller_has_not_seen_yet_is_not_judged() -> None:
    value = seen("Deployment", {"replicas": 1}, replicas=1, updatedReplicas=1, availableReplicas=1)
    value["status"]["observedGeneration"] = 1
    assert status_of(value).state == WAITING
    assert status_of({"kind": "DaemonSet", "metadata": {"generation": 1}}).state == WAITING


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"desiredNumberScheduled": 2}, WAITING),
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2}, WAITING),
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}, RUNNING),
        ({"desiredNumberScheduled": 0}, RUNNING),
    ],
)
def test_a_daemonset_runs_when_every_node_it_belongs_on_has_it(status: Any, state: str) -> None:
    assert status_of(seen("DaemonSet", **status)).state == state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, WAITING),
        ({"active": 1}, WAITING),
        ({"active": 1, "ready": 1}, RUNNING),
        ({"conditions": [condition("Complete", "True")]}, FINISHED),
        ({"conditions": [condition("Complete", "False")], "active": 1}, WAITING),
        ({"conditions": [condition("Failed", "True", reason="BackoffLimitExceeded")]}, FAILED),
    ],
)
def test_a_job_by_its_conditions_and_ready_pods(status: Any, state: str) -> None:
    assert status_of(seen("Job", **status)).state == state


def test_a_job_tells_of_tries_that_failed() -> None:
    assert status_of(seen("Job", active=1, failed=2)).words.endswith("2 failed before")


READY = [condition("Ready", "True")]


@pytest.mark.parametrize(
    ("policy", "status", "state"),
    [
        ("Never", {}, WAITING),
        ("Never", {"phase": "Running"}, RUNNING),
        ("Never", {"phase": "Succeeded"}, FINISHED),
        ("Never", {"phase": "Failed"}, FAILED),
        ("Always", {"phase": "Running"}, WAITING),
        ("Always", {"phase": "Running", "conditions": READY}, RUNNING),
    ],
)
def test_a_pod_by_its_phase_and_a_service_by_being_ready(
    policy: str, status: Any, state: str
) -> None:
    assert status_of(seen("Pod", {"restartPolicy": policy}, **status)).state == state


def test_a_pod_that_failed_says_how_it_ended() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    value = seen("Pod", phase="Failed", containerStatuses=[{"state": ended}])
    assert status_of(value).words == "exit code 137 (OOMKilled)"


def test_other_kinds_are_there_once_applied() -> None:
    assert status_of(seen("RuntimeClass")).state == RUNNING


def pod(image: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"image": image}]}, "status": status}


def test_troubles_are_those_of_pods_of_the_image() -> None:
    waiting = [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}}]
    pods = [pod("new", containerStatuses=waiting), pod("old", containerStatuses=waiting)]
    assert troubles(pods, "new") == ["pod p: ErrImagePull: no such host"]


def test_a_container_that_is_being_made_is_no_trouble() -> None:
    making = [{"state": {"waiting": {"reason": "ContainerCreating"}}}]
    assert troubles([pod("x", containerStatuses=making), pod("x")], "x") == []


def test_a_container_that_crashes_says_how_it_ended() -> None:
    crashed = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]  # fmt: skip
    assert troubles([pod("x", containerStatuses=crashed)], "x") == [
        "pod p: CrashLoopBackOff: exit code 1 (Error)"
    ]


def test_a_pod_no_node_takes_says_why() -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    refused = [condition("PodScheduled", "False", reason="Unschedulable", message=message)]
    (line,) = troubles([pod("x", conditions=refused)], "x")
    assert line == f"pod p: Unschedulable: {message}"
    assert "device-plugin" in advice([line])


@pytest.mark.parametrize(
    ("line", "hint"),
    [("ImagePullBackOff", "--pull-secret"), ("Unschedulable", "--node"),
     ("CrashLoopBackOff", "kubectl logs"), ("something else", "")],
)  # fmt: skip
def test_known_troubles_come_with_advice(line: str, hint: str) -> None:
    assert hint in advice([line])
    assert bool(advice([line])) == bool(hint)


def event(name: str, when: str, kind: str = "Warning") -> dict[str, Any]:
    return {"type": kind, "reason": "Failed", "message": f"at\n{when}", "lastTimestamp": when,
            "involvedObject": {"kind": "Pod", "name": name}}  # fmt: skip


def test_events_are_the_latest_warnings_on_the_workload_and_its_pods_oldest_first() -> None:
    events = [event("app-1", "2"), event("app", "1"), event("apple", "3"),
              event("app-2", "4", kind="Normal")]  # fmt: skip
    assert event_lines(events, ["app"]) == ["pod/app: Failed: at 1", "pod/app-1: Failed: at 2"]
    many = [event("app", f"{number:02}") for number in range(20)]
    assert event_lines(many, ["app"])[-1].endswith("at 19")
    assert len(event_lines(many, ["app"])) == 8
