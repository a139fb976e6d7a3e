"""Objects that are not what Harbor sends: nothing breaks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.harbor.artifacts import Artifact
from registry.harbor.projects import Project
from registry.harbor.robots import PUSH, Robot
from registry.harbor.rules import ImmutableRule
from registry.harbor.scan import ScanReport
from registry.harbor.values import mapping, mappings, number, text

KEYS = (
    "access", "architecture", "digest", "end_time", "expires_at", "extra_attrs", "id", "labels",
    "metadata", "name", "namespace", "os", "permissions", "project_id", "public", "repository",
    "scan_overview", "scan_status", "scanner", "scope_selectors", "severity", "size", "summary",
    "tag_selectors", "tags", "application/vnd.security.vulnerability.report; version=1.1",
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=15,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8)


@given(OBJECTS)
def test_any_object_can_be_read(value: dict[str, Any]) -> None:
    artifact = Artifact.from_json(value)
    assert isinstance(artifact.size, int)
    assert str(ScanReport.of(artifact))
    assert isinstance(Project.from_json(value).public, bool)
    assert isinstance(ImmutableRule.from_json(value).holds("r", "t"), bool)
    robot = Robot.from_json(value)
    assert all(isinstance(item, str) for item in robot.namespaces)
    assert robot.may("p", PUSH[0]) in (True, False)


@pytest.mark.parametrize("odd", [None, 1.5, True, "x", [], [1], {}])
def test_what_has_the_wrong_type_counts_as_left_out(odd: object) -> None:
    value = {"field": odd}
    assert text(value, "field") == (odd if isinstance(odd, str) else "")
    assert number(value, "field", 7) == 7
    assert mapping(value, "field") == {}
    assert mappings(value, "field") == []
    assert text({}, "field") == ""
