"""All checks over one Dockerfile, suppressions applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builder.lint.apt import check_apt
from builder.lint.bases import check_bases
from builder.lint.build_time import check_build_time
from builder.lint.document import Document, read_document
from builder.lint.environment import check_environment
from builder.lint.finding import LEVELS, Finding, Hit, Rule, load_rules
from builder.lint.jetpack import check_jetpack
from builder.lint.layers import check_layers
from builder.lint.links import check_links
from builder.lint.python import check_python
from builder.matrix import L4TRelease, Matrix


def lint_dockerfile(
    text: str,
    filename: str,
    matrix: Matrix,
    *,
    release: L4TRelease | None = None,
    target: L4TRelease | None = None,
    rules: Mapping[str, Rule] | None = None,
) -> tuple[Finding, ...]:
    """Everything wrong with a Dockerfile, by line, worst first within a line.

    filename: named in the findings. release: the L4T release it is built for, where its base does
    not say. target: the release of the devices it shall run on; the base must run there.
    rules: those of `load_rules`, to be read once for many files.
    Raises BadInput for a text that is no Dockerfile.
    """
    known = load_rules() if rules is None else rules
    document = read_document(text, filename, matrix, release)
    hits = [
        hit
        for hit in _checks(document, matrix, target or release, known)
        if not _is_suppressed(hit, known)
    ]
    findings = {_finding(hit, known[hit.rule], filename): None for hit in hits}
    return tuple(
        sorted(findings, key=lambda item: (item.line, LEVELS.index(item.level), item.rule))
    )


def _checks(
    document: Document,
    matrix: Matrix,
    target: L4TRelease | None,
    rules: Mapping[str, Rule],
) -> Iterator[Hit]:
    yield from check_bases(document, matrix, target)
    yield from check_apt(document, matrix)
    yield from check_python(document)
    yield from check_jetpack(document, matrix)
    yield from check_build_time(document)
    yield from check_layers(document)
    yield from check_environment(document, matrix)
    yield from check_links(document, rules)
    yield from _check_suppressions(document, rules)


def _check_suppressions(document: Document, rules: Mapping[str, Rule]) -> Iterator[Hit]:
    for step in document.steps:
        for item in step.suppressions:
            unknown = [name for name in item.rules if name not in rules]
            if unknown or not item.rules:
                detail = f"no rule is called {', '.join(unknown) or '(nothing)'}"
                yield Hit("suppression", step, item.line, detail)
            elif not item.reason:
                yield Hit("suppression", step, item.line, "the reason is missing")


def _is_suppressed(hit: Hit, rules: Mapping[str, Rule]) -> bool:
    return hit.rule != "suppression" and any(
        hit.rule in item.rules and item.reason and set(item.rules) <= set(rules)
        for item in hit.step.suppressions
    )


def _finding(hit: Hit, rule: Rule, filename: str) -> Finding:
    return Finding(
        rule=rule.id,
        level=hit.level or rule.level,
        filename=filename,
        line=hit.line,
        message=f"{rule.title}: {hit.detail}" if hit.detail else rule.title,
        why=hit.why or rule.why,
        fix=hit.fix or rule.fix,
    )
