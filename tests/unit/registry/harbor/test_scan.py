"""Reports of scans as Harbor shows them, and what a gate makes of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput, Refused
from registry.harbor.artifacts import Artifact
from registry.harbor.scan import SEVERITIES, ScanGate, ScanReport, ScanState

MIME = "application/vnd.security.vulnerability.report; version=1.1"


def report(value: dict[str, Any] | None, mime: str = MIME) -> ScanReport:
    """The report of an artifact with this overview."""
    overview = {} if value is None else {"scan_overview": {mime: value}}
    return ScanReport.of(Artifact.from_json({"digest": "sha256:00", **overview}))


DONE = {
    "report_id": "7b8c",
    "scan_status": "Success",
    "severity": "High",
    "complete_percent": 100,
    "summary": {"total": 5, "fixable": 4, "summary": {"High": 2, "Low": 3}},
    "start_time": "2026-01-02T03:04:05.000Z",
    "end_time": "2026-01-02T03:04:09.000Z",
    "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "v0.50.1"},
}


def test_a_finished_report() -> None:
    found = report(DONE)
    assert found.state is ScanState.DONE
    assert found.counts == {"high": 2, "low": 3}
    assert str(found) == "2 high, 3 low"
    finished = datetime(2026, 1, 2, 3, 4, 9, tzinfo=UTC)
    assert found.finished == finished.isoformat()
    assert found.age(finished.timestamp() + 60) == 60


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (None, ScanState.ABSENT),
        ({}, ScanState.ABSENT),
        ({"scan_status": ""}, ScanState.ABSENT),
        ({"scan_status": "Pending"}, ScanState.QUEUED),
        ({"scan_status": "Scheduled"}, ScanState.QUEUED),
        ({"scan_status": "Running"}, ScanState.RUNNING),
        ({"scan_status": "Error", "scanner": None, "summary": None}, ScanState.FAILED),
        ({"scan_status": "Stopped"}, ScanState.STOPPED),
        ({"scan_status": "Something new"}, ScanState.RUNNING),
    ],
)
def test_how_far_a_scan_is(value: dict[str, Any] | None, state: ScanState) -> None:
    assert report(value).state is state


def test_a_report_of_an_older_scanner() -> None:
    older = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"
    assert report(DONE, older) == report(DONE)


def test_a_report_of_something_else_is_none() -> None:
    assert report(DONE, "application/vnd.security.sbom.report+json; version=1.0").state is (
        ScanState.ABSENT
    )


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00.000Z", "", "soon", None])
def test_a_time_that_is_not_set_is_no_age(text: str | None) -> None:
    found = report({**DONE, "end_time": text})
    assert found.finished == ""
    assert found.age(time.time()) is None


def test_a_finished_report_without_findings() -> None:
    value = {**DONE, "severity": "None", "summary": {"total": 0, "fixable": 0, "summary": {}}}
    found = report(value)
    assert str(found) == "nothing found"
    ScanGate("negligible").check("image", found)


@pytest.mark.parametrize(
    ("limit", "named"),
    [("negligible", "2 high, 3 low"), ("low", "2 high, 3 low"), ("high", "2 high"),
     ("critical", ""), ("", "")],
)  # fmt: skip
def test_a_gate_names_what_is_over_its_limit(limit: str, named: str) -> None:
    if not named:
        ScanGate(limit).check("image", report(DONE))
        return
    with pytest.raises(Refused) as caught:
        ScanGate(limit).check("image", report(DONE))
    assert f"found {named}; the limit is {limit}" in caught.value.why
    assert "4 of 5 findings have a fix" in caught.value.hint


def test_a_gate_at_a_severity_that_is_none() -> None:
    with pytest.raises(BadInput, match="'worst' is no severity"):
        ScanGate("worst")


def test_a_report_without_counts_is_judged_by_its_severity() -> None:
    found = report({"scan_status": "Success", "severity": "Critical"})
    with pytest.raises(Refused):
        ScanGate("high").check("image", found)


@given(st.dictionaries(st.sampled_from(SEVERITIES), st.integers(0, 9)), st.sampled_from(SEVERITIES))
def test_a_gate_refuses_exactly_what_has_findings_at_its_limit_or_above(
    counts: dict[str, int], limit: str
) -> None:
    found = ScanReport(ScanState.DONE, "None", sum(counts.values()), 0, counts)
    worst = max((SEVERITIES.index(name) for name, count in counts.items() if count), default=-1)
    if worst >= SEVERITIES.index(limit):
        with pytest.raises(Refused):
            ScanGate(limit).check("image", found)
    else:
        ScanGate(limit).check("image", found)
