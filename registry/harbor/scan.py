"""Scans for vulnerabilities: started, awaited, and judged.

A scan runs on its own after it was asked for. While it is only queued an artifact shows no report
at all, or the one from before; neither is a verdict. So a report counts from the moment that it
is another one than was there when the scan was asked for, or that it says itself it is under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from registry.errors import BadInput, Refused, RegistryError
from registry.harbor import artifacts
from registry.harbor.api import HarborApi
from registry.harbor.artifacts import Artifact
from registry.harbor.paths import artifact_path
from registry.harbor.values import mapping, number, text

SEVERITIES = ("negligible", "low", "medium", "high", "critical")  # rising
# Reports have been `…security.vulnerability.report…` and `…scanner.adapter.vuln.report.harbor…`.
_VULNERABILITIES = "vuln"


class NoScanner(RegistryError):
    """The project has no scanner, or it is switched off."""


class ScanState(StrEnum):
    """How far a scan is."""

    ABSENT = "absent"  # never asked for, or queued so lately that nothing shows it
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


_STATES = {
    "pending": ScanState.QUEUED,
    "scheduled": ScanState.QUEUED,
    "running": ScanState.RUNNING,
    "success": ScanState.DONE,
    "error": ScanState.FAILED,
    "stopped": ScanState.STOPPED,
}
_UNDER_WAY = (ScanState.QUEUED, ScanState.RUNNING)
_IN_WORDS = {
    ScanState.ABSENT: "asked for, nothing to be seen of it yet",
    ScanState.QUEUED: "queued",
    ScanState.RUNNING: "running",
}


@dataclass(frozen=True)
class ScanReport:
    """What an artifact shows of its scan.

    severity: the worst found, in Harbor's words. counts: findings by severity, in lower case.
    finished: RFC 3339, empty while under way. scanner: name and version.
    """

    state: ScanState
    severity: str = ""
    total: int = 0
    fixable: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    scanner: str = ""
    started: str = ""
    finished: str = ""
    id: str = ""

    @classmethod
    def of(cls, artifact: Artifact) -> ScanReport:
        """From an artifact that was asked for with its scan."""
        overview = mapping(artifact.raw, "scan_overview")
        found = [mapping(overview, kind) for kind in overview if _VULNERABILITIES in kind]
        status = text(found[0], "scan_status") if found else ""
        if not status:
            return cls(ScanState.ABSENT)
        value = found[0]
        summary, scanner = mapping(value, "summary"), mapping(value, "scanner")
        by_severity = mapping(summary, "summary")
        counts = {severity.lower(): number(by_severity, severity) for severity in by_severity}
        return cls(
            _STATES.get(status.lower(), ScanState.RUNNING),
            text(value, "severity"),
            number(summary, "total") or sum(counts.values()),
            number(summary, "fixable"),
            counts,
            f"{text(scanner, 'name')} {text(scanner, 'version')}".strip(),
            _moment(text(value, "start_time")),
            _moment(text(value, "end_time")),
            text(value, "report_id"),
        )

    def at_or_above(self, severity: str) -> dict[str, int]:
        """Findings of this severity and worse, by severity; worst first."""
        worse = SEVERITIES[SEVERITIES.index(severity) :]
        found = {name: self.counts.get(name, 0) for name in reversed(worse)}
        if not any(found.values()) and self.severity.lower() in worse and not self.counts:
            found[self.severity.lower()] = max(self.total, 1)
        return {name: count for name, count in found.items() if count}

    def age(self, now: float) -> float | None:
        """Seconds since it was finished; None when it is not, or does not say."""
        try:
            finished = datetime.fromisoformat(self.finished)
        except ValueError:
            return None
        return now - finished.timestamp()

    def to_json(self) -> dict[str, Any]:
        """For a push record."""
        return {
            "state": str(self.state),
            "severity": self.severity,
            "total": self.total,
            "fixable": self.fixable,
            "counts": dict(self.counts),
            "scanner": self.scanner,
            "finished": self.finished,
        }

    def __str__(self) -> str:
        if self.state is not ScanState.DONE:
            return str(self.state)
        parts = [f"{self.counts[name]} {name}" for name in reversed(SEVERITIES)
                 if self.counts.get(name)]  # fmt: skip
        return ", ".join(parts) or "nothing found"


@dataclass(frozen=True)
class ScanGate:
    """Whether to pass an image by its scan.

    fail_on: the severity from which on it is refused; empty for none. timeout: seconds to wait for
    the verdict. interval: seconds between looks. max_age: a report no older than so many seconds
    will do; the lists of known vulnerabilities grow every day. Raises BadInput.
    """

    fail_on: str = ""
    timeout: float = 900.0
    interval: float = 2.0
    max_age: float = 24 * 3600.0

    def __post_init__(self) -> None:
        if self.fail_on and self.fail_on not in SEVERITIES:
            raise BadInput(
                f"{self.fail_on!r} is no severity", "", f"one of {', '.join(SEVERITIES)}"
            )

    def check(self, name: str, report: ScanReport) -> None:
        """Raise Refused when a finished report has too much in it."""
        found = report.at_or_above(self.fail_on) if self.fail_on else {}
        if found:
            raise Refused(
                f"{name} does not pass its scan",
                "found " + ", ".join(f"{count} {severity}" for severity, count in found.items())
                + f"; the limit is {self.fail_on}",
                f"{report.fixable} of {report.total} findings have a fix: build on a newer base"
                + (", or raise --fail-on" if self.fail_on != SEVERITIES[-1] else ""),
            )  # fmt: skip


def start(api: HarborApi, project: str, repository: str, digest: str) -> None:
    """Ask for a scan; one that runs already will do. Raises NoScanner."""
    doing = f"scan {api.host}/{project}/{repository}@{digest}"
    path = f"{artifact_path(project, repository, digest)}/scan"
    answer = api.change("POST", path, doing, also=(400, 409, 412, 422))
    if answer.status == 412:
        raise NoScanner(
            f"cannot {doing}: Harbor has no scanner for it",
            answer.message,
            "set one up (Trivy comes with Harbor), or push without --scan and --fail-on",
            status=412,
        )
    if answer.status in (400, 422):
        raise RegistryError(
            f"cannot {doing}: the scanner does not take it", answer.message, status=answer.status
        )


def verdict(
    api: HarborApi,
    project: str,
    repository: str,
    artifact: Artifact,
    gate: ScanGate,
    *,
    tell: Callable[[str], None] = lambda line: None,
    pause: Callable[[float], None] = time.sleep,
) -> ScanReport:
    """The finished report on an artifact, from a scan started now unless a fresh one is there.

    artifact: asked for with its scan. tell: gets a line whenever the scan has got further. Raises
    NoScanner, and RegistryError when the scan fails, is stopped, or takes longer than the gate
    waits. Does not judge: that is ScanGate.check.
    """
    before = ScanReport.of(artifact)
    age = before.age(time.time())
    if before.state is ScanState.DONE and age is not None and age < gate.max_age:
        return before
    if before.state not in _UNDER_WAY:
        start(api, project, repository, artifact.digest)
    name = f"{api.host}/{project}/{repository}@{artifact.digest}"
    deadline = time.monotonic() + gate.timeout
    wait, told = min(0.2, gate.interval), ""
    while True:
        report = ScanReport.of(artifacts.get(api, project, repository, artifact.digest, scan=True))
        if report == before and report.state not in _UNDER_WAY:
            report = ScanReport(ScanState.ABSENT)  # what was there before the scan was asked for
        if report.state in (ScanState.FAILED, ScanState.STOPPED):
            raise _failed(name, report)
        line = f"scan of {repository}: {_IN_WORDS.get(report.state, str(report))}"
        if line != told:
            tell(line)
            told = line
        if report.state is ScanState.DONE:
            return report
        if time.monotonic() + wait > deadline:
            raise RegistryError(
                f"the scan of {name} has no verdict after {gate.timeout:.0f} s",
                _IN_WORDS.get(report.state, ""),
                "run the same command again later: the image is there, and the scan goes on",
            )
        pause(wait)
        wait = min(wait * 1.5, gate.interval)


def _failed(name: str, report: ScanReport) -> RegistryError:
    if report.state is ScanState.STOPPED:
        return RegistryError(f"the scan of {name} was stopped", "", "run the same command again")
    return RegistryError(
        f"the scan of {name} failed",
        f"{report.scanner or 'the scanner'} reports an error",
        "Harbor keeps its log: see the artifact's vulnerabilities there",
    )


def _moment(value: str) -> str:
    """A time as Harbor writes it; empty for one that is not set, which is the year 1."""
    if value.startswith("0001-"):
        return ""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return ""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
