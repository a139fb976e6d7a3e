"""`imgctl lint`: what breaks Dockerfiles for Jetsons, before they are built."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from imgctl.output import print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.lint.finding import Finding
    from builder.lint.sources import Source
    from builder.matrix import L4TRelease, Matrix

REFUSED = 3
_FAILING: dict[str, set[str]] = {
    "error": {"error"},
    "warning": {"error", "warning"},
    "never": set(),
}
_PLACES = 3  # of one finding in rendered Dockerfiles, which differ by release only


@click.command(name="lint")
@click.argument("sources", metavar="[IMAGE|DOCKERFILE]...", nargs=-1)
@click.option("--l4t", metavar="RELEASE", help="Built for this one, where the base does not say.")
@click.option("--target-l4t", metavar="RELEASE", help="What the devices run.  [default: --l4t]")
@click.option("--fail-on", type=click.Choice(["error", "warning", "never"]), default="error",
              show_default=True, help="The least that makes the exit code 3.")  # fmt: skip
@click.option("--format", "output_format", type=click.Choice(["text", "json", "sarif"]),
              default="text", show_default=True, help="How findings are printed.")  # fmt: skip
def command(
    sources: tuple[str, ...],
    l4t: str | None,
    target_l4t: str | None,
    fail_on: str,
    output_format: str,
) -> int:
    """Find what breaks Dockerfiles for Jetsons.

    Reads Dockerfiles (- is stdin), folders that hold one, and images of the catalogue, which are
    rendered for every release they can be built for, or for --l4t. Without arguments it reads
    ./Dockerfile, or every image where there is none.
    """
    from builder.lint.check import lint_dockerfile
    from builder.lint.finding import load_rules
    from builder.lint.sarif import to_sarif
    from builder.matrix import Matrix
    from imgctl import __version__

    matrix, rules = Matrix.load(), load_rules()
    release = matrix.release(l4t) if l4t else None
    target = matrix.release(target_l4t) if target_l4t else None
    read = list(_read(sources, matrix, release))
    findings = [
        finding
        for source in read
        for finding in lint_dockerfile(
            source.text,
            source.filename,
            matrix,
            release=source.release,
            target=target,
            rules=rules,
        )
    ]
    if output_format == "sarif":
        print_json(to_sarif(findings, rules, __version__))
    elif output_format == "json":
        print_json([finding.to_json() for finding in findings])
    else:
        _print_text(findings, {source.filename for source in read if source.rendered})
        click.echo(_summary(findings, len(read)), err=True)
    worst = {finding.level for finding in findings}
    return REFUSED if worst & _FAILING[fail_on] else 0


def _read(arguments: Sequence[str], matrix: Matrix, release: L4TRelease | None) -> Iterator[Source]:
    from builder.lint.sources import Catalogue, Source, sources_of
    from imgctl.catalogue import image_roots, template_roots

    known = Catalogue(matrix, image_roots(), template_roots())
    if "-" in arguments:
        yield Source("-", sys.stdin.read(), release)
        arguments = [argument for argument in arguments if argument != "-"]
        if not arguments:
            return
    yield from sources_of(arguments, known, release)


def _print_text(findings: Sequence[Finding], rendered: set[str]) -> None:
    """Every finding with its places; the same one in several files is explained once."""
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for item in findings:
        key = (item.level, item.rule, item.message, item.why, item.fix)
        alike.setdefault(key, []).append(item)
    for (level, rule, message, why, fix), found in alike.items():
        own = [f"{item.filename}:{item.line}" for item in found if item.filename not in rendered]
        made = [f"{item.filename}:{item.line}" for item in found if item.filename in rendered]
        for place in [*own, *made[:_PLACES]]:
            click.echo(f"{place}: {level} {rule}")
        if len(made) > _PLACES:
            click.echo(f"… and {len(made) - _PLACES} more places in rendered Dockerfiles")
        click.echo(f"  {message}\n  why: {why}\n  fix: {fix}\n")


def _summary(findings: Sequence[Finding], files: int) -> str:
    counts = {
        level: sum(finding.level == level for finding in findings)
        for level in ("error", "warning", "info")
    }
    found = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    return f"{files} Dockerfile{'s' * (files != 1)} read: {found or 'nothing found'}"
