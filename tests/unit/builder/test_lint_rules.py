"""Every rule finds what it is for, and nothing where that has been put right."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.lint.check import lint_dockerfile
from builder.lint.finding import LEVELS, load_rules
from builder.matrix import Matrix
from tests.unit.builder.lint_samples import SAMPLES

MATRIX = Matrix.load()
RULES = load_rules()
# Tried with the releases they compare, in test_lint_bases.py.
NEEDS_TARGET = {"base-target-mismatch"}
PAIRS = [
    pytest.param(rule, bad, good, id=f"{rule}-{number}")
    for rule, pairs in SAMPLES.items()
    for number, (bad, good) in enumerate(pairs)
]


def rules_of(text: str) -> set[str]:
    return {item.rule for item in lint_dockerfile(text, "Dockerfile", MATRIX, rules=RULES)}


def test_every_rule_has_a_sample() -> None:
    assert set(SAMPLES) | NEEDS_TARGET == set(RULES)


@pytest.mark.parametrize(("rule", "bad", "good"), PAIRS)
def test_the_bad_sample_breaks_the_rule(rule: str, bad: str, good: str) -> None:
    assert rule in rules_of(bad)


@pytest.mark.parametrize(("rule", "bad", "good"), PAIRS)
def test_the_good_sample_does_not(rule: str, bad: str, good: str) -> None:
    assert rule not in rules_of(good)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_says_what_why_and_what_to_do(rule: object) -> None:
    assert rule.level in LEVELS  # type: ignore[attr-defined]
    for text in (rule.title, rule.why, rule.fix):  # type: ignore[attr-defined]
        assert text
        assert not text.endswith(".")


def test_the_documentation_has_every_rule() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "lint.md").read_text()
    table = page.partition("\n## Rules\n")[2].splitlines()
    rows = [line.split(" | ") for line in table if line.startswith("| `")]
    documented = {row[0].strip("| `"): row[1] for row in rows}
    assert documented == {rule.id: rule.level for rule in RULES.values()}
