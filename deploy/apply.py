"""Sending objects to a cluster, and following them until they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.apply_kubectl import ClusterUnreachable, Kubectl, ObjectMissing
from deploy.apply_status import (
    FAILED,
    FINISHED,
    RUNNING,
    Status,
    advice,
    event_lines,
    status_of,
    troubles,
)
from deploy.manifests import Object
from deploy.yaml_text import to_yaml
from registry.errors import ImgctlError
from registry.progress import SILENT, Progress

FIELD_MANAGER = "imgctl"
DRY_RUNS = ("none", "server", "client")
UNTIL = ("running", "finished")
_INTERVAL = 2.0  # seconds between two looks
_ENDING = 120.0  # seconds for a pod to end: four times its usual grace
_FOLLOWED = ("Deployment", "DaemonSet", "Job", "Pod")
_ONCE = ("Job", "Pod")


@dataclass(frozen=True)
class Applied:
    """One object as the cluster has it now. namespace: "" for what is in none."""

    api_version: str
    kind: str
    name: str
    namespace: str

    @property
    def address(self) -> str:
        """`kind/name` as kubectl takes it."""
        return f"{self.kind.lower()}/{self.name}"

    def to_json(self) -> dict[str, str]:
        """As a JSON object, with the field names of Kubernetes."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.name,
            "namespace": self.namespace,
        }


class RolloutFailed(ImgctlError):
    """Applied, and not running in time or at all.

    events: the cluster's warnings, oldest first. statuses: the last seen, by address.
    """

    def __init__(
        self,
        what: str,
        why: str,
        hint: str,
        *,
        events: tuple[str, ...],
        statuses: Mapping[str, Status],
    ) -> None:
        super().__init__(what, why, hint)
        self.events = events
        self.statuses = statuses


@dataclass(frozen=True)
class Patience:
    """until: `running`, or `finished` for what ends by itself. timeout: seconds.

    clock and sleep: those of the time module, unless a test has its own.
    """

    until: str = "running"
    timeout: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


def apply(
    kubectl: Kubectl,
    objects: Sequence[Object],
    *,
    dry_run: str = "none",
    force: bool = False,
    replace: bool = False,
) -> tuple[Applied, ...]:
    """Server-side apply of objects; what the cluster made of them.

    dry_run: `server` checks without keeping, `client` only prints. force: take fields over that
    others manage. replace: delete Jobs and Pods of the same names first. Raises as Kubectl does.
    """
    if replace and dry_run == "none":
        _delete(kubectl, objects)
    way = ["--dry-run=client"] if dry_run == "client" else [
        "--server-side", f"--field-manager={FIELD_MANAGER}", f"--dry-run={dry_run}"
    ]  # fmt: skip
    if force and dry_run != "client":
        way.append("--force-conflicts")
    found = kubectl.objects("apply", *way, "-f", "-", stdin=to_yaml(objects))
    return tuple(
        Applied(
            str(item.get("apiVersion", "")),
            str(item.get("kind", "")),
            str(item["metadata"]["name"]),
            str(item["metadata"].get("namespace", "")),
        )
        for item in found
    )


def follow(
    kubectl: Kubectl,
    applied: Sequence[Applied],
    image: str,
    patience: Patience,
    progress: Progress = SILENT,
) -> dict[str, Status]:
    """Wait until everything applied runs; the last status by address.

    image: as the containers name it. A cluster that falls silent meanwhile is asked again until
    the time is up. Raises RolloutFailed.
    """
    followed = [item for item in applied if item.kind in _FOLLOWED]
    deadline = patience.clock() + patience.timeout
    reporter = _Reporter(progress)
    try:
        while True:
            statuses, lines = _look(kubectl, followed, image, reporter)
            failed = [key for key, status in statuses.items() if status.state == FAILED]
            if failed:
                why = "; ".join([statuses[failed[0]].words, *lines])
                what = f"{failed[0]} failed"
                raise _failure(kubectl, followed, what, why, lines, statuses)
            open_ones = [
                item
                for item in followed
                if not _done(item, statuses.get(item.address), patience.until)
            ]
            if not open_ones:
                return statuses
            if patience.clock() >= deadline:
                first = open_ones[0].address
                status = statuses.get(first)
                said = status.words if status else "the cluster does not answer"
                what = f"{first} is not {patience.until} after {patience.timeout:.0f} s"
                why = "; ".join([said, *lines])
                raise _failure(kubectl, followed, what, why, lines, statuses)
            patience.sleep(min(_INTERVAL, max(deadline - patience.clock(), 0.1)))
    finally:
        reporter.end()


class _Reporter:
    """Says each change once, and shows what is waited for meanwhile."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said: dict[str, str] = {}
        progress.start("rollout", "waiting for the cluster")

    def say(self, key: str, words: str) -> None:
        """One line, unless it is the same as before."""
        if self._said.get(key) != words:
            self._said[key] = words
            self._progress.say(f"{key}: {words}" if key else words)

    def end(self) -> None:
        """Nothing is waited for any more."""
        self._progress.finish("rollout")


def _look(
    kubectl: Kubectl, followed: Sequence[Applied], image: str, reporter: _Reporter
) -> tuple[dict[str, Status], list[str]]:
    """Every status there is to be had now, and what keeps pods from running."""
    statuses: dict[str, Status] = {}
    lines: list[str] = []
    for item in followed:
        try:
            (found,) = kubectl.objects("get", item.address, *_in(item))
            status = status_of(found)
            if status.state not in (RUNNING, FINISHED):
                lines += troubles(_pods(kubectl, item, reporter), image)
        except ClusterUnreachable as error:
            reporter.say("", f"{error.what}; asking again ({error.why})")
            continue
        except ObjectMissing:
            status = Status(FAILED, "someone deleted it")
        statuses[item.address] = status
        reporter.say(item.address, status.words)
    for line in lines:
        reporter.say(line, "")
    return statuses, lines


def _pods(kubectl: Kubectl, item: Applied, reporter: _Reporter) -> list[Object]:
    """The pods of an object; none where one may see it and not them."""
    try:
        return kubectl.objects(
            "get", "pods", "-l", f"app.kubernetes.io/name={item.name}", *_in(item)
        )
    except ClusterUnreachable:
        raise
    except ImgctlError as error:
        reporter.say("pods", f"not to be had: {error.why or error.what}")
        return []


def _done(item: Applied, status: Status | None, until: str) -> bool:
    if status is None:
        return False
    if until == "finished" and item.kind in _ONCE:
        return status.state == FINISHED
    return status.state in (RUNNING, FINISHED)


def _failure(
    kubectl: Kubectl,
    followed: Sequence[Applied],
    what: str,
    why: str,
    lines: Sequence[str],
    statuses: Mapping[str, Status],
) -> RolloutFailed:
    try:
        events = kubectl.objects(
            "get", "events", "--field-selector=type=Warning", *_in(followed[0])
        )
    except ImgctlError as error:
        events = []
        why = f"{why}; events not to be had: {error.what}"
    warned = event_lines(events, [item.name for item in followed])
    hint = advice([*lines, *warned])
    return RolloutFailed(what, why, hint, events=tuple(warned), statuses=statuses)


def _delete(kubectl: Kubectl, objects: Sequence[Object]) -> None:
    for item in objects:
        if item["kind"] in _ONCE:
            metadata: dict[str, Any] = item["metadata"]
            where = [f"--namespace={metadata['namespace']}"] if "namespace" in metadata else []
            kubectl.run(
                "delete", f"{item['kind'].lower()}/{metadata['name']}", "--ignore-not-found",
                "--wait=true", f"--timeout={_ENDING:.0f}s", *where, patience=_ENDING,
            )  # fmt: skip


def _in(item: Applied) -> list[str]:
    return [f"--namespace={item.namespace}"] if item.namespace else []
