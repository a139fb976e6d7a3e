"""Rules of a project on its tags."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.harbor import projects, rules
from registry.harbor.rules import ImmutableRule, Retention
from tests.unit.registry.harbor.doubled import PROJECT, bench

PATTERNS = st.text("ab*-{},", min_size=1, max_size=8)


@given(
    st.builds(
        ImmutableRule, PATTERNS, PATTERNS, st.booleans(), st.booleans(), st.booleans(),
        st.integers(0, 99),
    )
)  # fmt: skip
def test_a_rule_is_the_same_after_harbor_has_had_it(rule: ImmutableRule) -> None:
    assert ImmutableRule.from_json(rule.to_json()) == rule


@pytest.mark.parametrize(
    ("rule", "repository", "tag", "held"),
    [
        (ImmutableRule("*-l4t-*"), "mnist", "1.0.0-l4t-r35.2.1", True),
        (ImmutableRule("*-l4t-*"), "team/mnist", "1.0.0-l4t-r35.2.1", True),
        (ImmutableRule("*-l4t-*"), "mnist", "latest", False),
        (ImmutableRule("{dev,latest}", tags_excluded=True), "mnist", "1.0", True),
        (ImmutableRule("{dev,latest}", tags_excluded=True), "mnist", "latest", False),
        (ImmutableRule("**", "team/**"), "mnist", "1.0", False),
        (ImmutableRule("**", "team/**", repositories_excluded=True), "mnist", "1.0", True),
        (ImmutableRule("**", disabled=True), "mnist", "1.0", False),
    ],
)
def test_which_tags_a_rule_holds(
    rule: ImmutableRule, repository: str, tag: str, held: bool
) -> None:
    assert rule.holds(repository, tag) is held


def test_we_and_harbor_take_rules_the_same_way(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        given.push(given.image(), "1.0.0-l4t-r35.2.1", "latest", name="team/mnist")
        rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("*-l4t-*", "team/*"))
        (rule,) = rules.immutable_rules(given.api, PROJECT)
        project = given.double.state.projects[PROJECT]
        for tag in ("1.0.0-l4t-r35.2.1", "latest"):
            assert rule.holds("team/mnist", tag) is project.immutable("team/mnist", tag)


def test_a_rule_is_added_once_and_may_be_gone(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        assert rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("1.*"))
        assert not rules.add_immutable_rule(given.api, PROJECT, ImmutableRule("1.*"))
        (rule,) = rules.immutable_rules(given.api, PROJECT)
        assert rule.same_as(ImmutableRule("1.*"))
        assert str(rule) == "tags 1.* in repositories **"
        for _ in range(2):
            rules.delete_immutable_rule(given.api, PROJECT, rule)
        assert rules.immutable_rules(given.api, PROJECT) == []


def test_a_retention_policy_is_set_and_changed(tmp_path: Path) -> None:
    with bench(tmp_path) as given:
        project = projects.get(given.api, PROJECT)
        assert rules.retention(given.api, project) is None
        number = rules.set_retention(given.api, project, Retention(5, always="*-l4t-*"))
        project = projects.get(given.api, PROJECT)
        assert rules.retention_id(project) == number
        assert rules.set_retention(given.api, project, Retention(7)) == number
        policy = rules.retention(given.api, project)
        assert policy is not None
        assert policy["rules"][0]["params"] == {"latestPushedK": 7}
        assert len(policy["rules"]) == 1
