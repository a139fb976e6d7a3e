"""How far a workload has come, read from what the cluster says of it.

Deployments and DaemonSets are judged as `kubectl rollout status` judges them; Jobs and Pods, of
which it knows nothing, by their conditions and phases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WAITING, RUNNING, FINISHED, FAILED = "waiting", "running", "finished", "failed"
_MOST_EVENTS = 8

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Status:
    """state: one of the four above; a service that runs is RUNNING and never FINISHED."""

    state: str
    words: str


def status_of(value: Object) -> Status:
    """The status of a Deployment, DaemonSet, Job or Pod; anything else just is there."""
    judges = {"Deployment": _deployment, "DaemonSet": _daemonset, "Job": _job, "Pod": _pod}
    judge = judges.get(str(value.get("kind")))
    if judge is None:
        return Status(RUNNING, "applied")
    seen = (value.get("status") or {}).get("observedGeneration")
    wanted = value["metadata"].get("generation", 0)
    if judge in (_deployment, _daemonset) and (seen or 0) < wanted:
        return Status(WAITING, "not seen by its controller yet")
    return judge(value)


def _deployment(value: Object) -> Status:
    status = value.get("status") or {}
    condition = _condition(status, "Progressing")
    if condition.get("reason") == "ProgressDeadlineExceeded":
        return Status(FAILED, str(condition.get("message") or "no progress in time"))
    wanted = (value.get("spec") or {}).get("replicas", 1)
    there, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    if updated < wanted:
        return Status(WAITING, f"{updated} of {wanted} pods made anew")
    if there > updated:
        return Status(WAITING, f"{there - updated} old pods still to end")
    if available < updated:
        return Status(WAITING, f"{available} of {updated} pods available")
    return Status(RUNNING, f"{available} of {wanted} pods available")


def _daemonset(value: Object) -> Status:
    status = value.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if updated < wanted:
        return Status(WAITING, f"{updated} of {wanted} nodes have the new pod")
    if available < wanted:
        return Status(WAITING, f"available on {available} of {wanted} nodes")
    if not wanted:
        return Status(RUNNING, "no node is one it may run on")
    return Status(RUNNING, f"available on {available} of {wanted} nodes")


def _job(value: Object) -> Status:
    status = value.get("status") or {}
    failed = _condition(status, "Failed")
    if failed.get("status") == "True":
        return Status(FAILED, str(failed.get("message") or failed.get("reason") or "failed"))
    if _condition(status, "Complete").get("status") == "True":
        return Status(FINISHED, "finished")
    tries = f", {status['failed']} failed before" if status.get("failed") else ""
    if status.get("ready"):
        return Status(RUNNING, f"running{tries}")
    if status.get("active"):
        return Status(WAITING, f"its pod is not ready{tries}")
    return Status(WAITING, f"no pod yet{tries}")


def _pod(value: Object) -> Status:
    status = value.get("status") or {}
    phase = status.get("phase", "Pending")
    if phase == "Succeeded":
        return Status(FINISHED, "finished")
    if phase == "Failed":
        return Status(FAILED, _ended(status) or str(status.get("message") or "failed"))
    once = (value.get("spec") or {}).get("restartPolicy") != "Always"
    ready = _condition(status, "Ready").get("status") == "True"
    if phase == "Running" and (ready or once):
        return Status(RUNNING, "running")
    return Status(WAITING, "not ready" if phase == "Running" else phase.lower())


def troubles(pods: Iterable[Object], image: str) -> list[str]:
    """What keeps pods of an image from running, one line each."""
    found = []
    for pod in pods:
        containers = (pod.get("spec") or {}).get("containers") or []
        if image not in [container.get("image") for container in containers]:
            continue
        name = f"pod {pod['metadata']['name']}"
        status = pod.get("status") or {}
        scheduled = _condition(status, "PodScheduled")
        if scheduled.get("status") == "False":
            found.append(f"{name}: {scheduled.get('reason')}: {scheduled.get('message', '')}")
        for container in status.get("containerStatuses") or []:
            waiting = (container.get("state") or {}).get("waiting") or {}
            reason = waiting.get("reason", "")
            if reason and reason not in ("ContainerCreating", "PodInitializing"):
                message = waiting.get("message") or _ended(status)
                found.append(f"{name}: {reason}" + (f": {message}" if message else ""))
    return found


def advice(lines: Sequence[str]) -> str:
    """What to do about the first trouble that is known; "" for others."""
    text = "\n".join(lines)
    for sign, hint in (
        ("ImagePull", "the node cannot pull it: check --pull-secret, and the registry from there"),
        ("ErrImage", "the node cannot pull it: check --pull-secret, and the registry from there"),
        ("nvidia.com/gpu", "no node has a GPU free: set it up with `imgctl device-plugin`"),
        ("Unschedulable", "no node fits: check --node, --selector, --toleration and --memory"),
        ("CrashLoop", "see its last words: kubectl logs --previous POD"),
    ):
        if sign in text:
            return hint
    return ""


def event_lines(events: Iterable[Object], names: Iterable[str]) -> list[str]:
    """The latest warnings on objects of these names and what they made, oldest first."""
    own = tuple(names)
    found = []
    for event in events:
        involved = event.get("involvedObject") or {}
        name = str(involved.get("name", ""))
        if event.get("type") != "Warning":
            continue
        if name in own or name.startswith(tuple(f"{item}-" for item in own)):
            when = event.get("lastTimestamp") or event.get("eventTime") or ""
            times = f" ({event['count']} times)" if event.get("count", 1) > 1 else ""
            found.append((
                str(when),
                f"{str(involved.get('kind', '')).lower()}/{name}: {event.get('reason', '')}: "
                f"{' '.join(str(event.get('message', '')).split())}{times}",
            ))  # fmt: skip
    return [line for _, line in sorted(found)[-_MOST_EVENTS:]]


def _condition(status: Object, kind: str) -> Object:
    for condition in status.get("conditions") or []:
        if condition.get("type") == kind:
            found: Object = condition
            return found
    return {}


def _ended(status: Object) -> str:
    """How a container last ended, as `exit code 1 (Error)`."""
    for container in status.get("containerStatuses") or []:
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            ended = state.get("terminated")
            if ended:
                words = f": {ended['message']}" if ended.get("message") else ""
                return f"exit code {ended.get('exitCode')} ({ended.get('reason', '')}){words}"
    return ""
