"""Rules that are nothing but a pattern: hosts and trees that are dead, never were, or break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builder.lint.document import Document
from builder.lint.finding import Hit, Rule


def check_links(document: Document, rules: Mapping[str, Rule]) -> Iterator[Hit]:
    """Every pattern, in every line that is no comment, then in what spans lines or a variable."""
    written: set[str] = set()
    for step in document.steps:
        for number, line in step.lines:
            for rule, text in _matches(line, rules):
                written.add(rule)
                yield Hit(rule, step, number, text)
    for step in document.steps:
        for rule, text in _matches(step.text, rules):
            # Where the address itself is written it has been reported already.
            if rule not in written:
                yield Hit(rule, step, step.line, text)


def _matches(text: str, rules: Mapping[str, Rule]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for rule in rules.values():
        match = rule.regex.search(text) if rule.regex else None
        if match is not None and not any(other in found for other in rule.unless):
            found[rule.id] = match[0].strip()
    return list(found.items())
