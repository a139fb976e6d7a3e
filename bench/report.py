"""docs/benchmarks.md, written from results alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.result import Figure, Kept, Table, Target

_INTRODUCTION = """\
# Benchmarks

Written by `make bench` (or `python -m bench --only NAME` for one part) from the results beside it
in `benchmarks.json`; nothing here is typed by hand. Every command runs as users run it, in a
process of its own, in turn with its peers, against a real docker-registry on loopback. A figure is
the median with the lowest and highest in brackets; memory is the peak of resident memory of the
largest process the command started (of a Docker build that is the client only: the daemon's work
is not in it).
"""


def markdown(kept: Mapping[str, Kept], order: Iterable[str]) -> str:
    """The document for results by name; those in order come first, in that order."""
    names = [name for name in order if name in kept]
    names += sorted(kept.keys() - set(names))
    parts = [_INTRODUCTION, _promises([kept[name] for name in names])]
    parts += [_section(kept[name]) for name in names]
    parts.append(_machines([kept[name] for name in names]))
    return "\n".join(part for part in parts if part)


def quantity(value: float, unit: str) -> str:
    """A value with its unit, in as many digits as tell something: `0.25 s`, `4.2 GB`, `19`."""
    if unit == "s":
        return (
            f"{value:.3f} s" if value < 1 else f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
        )
    if unit == "x":
        return f"{value:.2f}"
    if unit == "%":
        return f"{value:.1f} %"
    if unit == "B":
        for factor, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if value >= factor:
                return f"{value / factor:.1f} {name}"
        return f"{value:.0f} B"
    return f"{value:g}"


def _promises(kept: list[Kept]) -> str:
    lines = ["## Targets", "", "| | target | measured | |", "|---|---|---|---|"]
    lines += [_promise(target) for item in kept for target in item.result.targets]
    return "\n".join(lines) + "\n"


def _promise(target: Target) -> str:
    measured, limit = (quantity(value, target.unit) for value in (target.value, target.limit))
    return f"| {target.what} | ≤ {limit} | {measured} | {'met' if target.met else '**missed**'} |"


def _section(kept: Kept) -> str:
    result = kept.result
    quick = ", a quick run: fewer and smaller" if kept.quick else ""
    lines = [f"## {result.title}", "", result.about, ""]
    for table in result.tables:
        lines += _table(table)
    lines.append(
        f"_Measured {kept.date} at commit {kept.commit} in {kept.seconds:.0f} s{quick};"
        f" again by `python -m bench --only {result.name}`._"
    )
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    columns = list(dict.fromkeys(column for row in table.rows for column in row.figures))
    lines = [f"**{table.title}**", "", f"| | {' | '.join(columns)} | runs |"]
    lines.append("|---|" + "---:|" * (len(columns) + 1))
    for row in table.rows:
        cells = [_cell(row.figures.get(column)) for column in columns]
        runs = max(len(figure.values) for figure in row.figures.values())
        lines.append(f"| `{row.name}` | {' | '.join(cells)} | {runs} |")
    lines.append("")
    return [*lines, table.note, ""] if table.note else lines


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    middle, low, high = (
        quantity(value, figure.unit) for value in (figure.median, figure.low, figure.high)
    )
    return middle if low == high else f"{middle} ({low} – {high})"


def _machines(kept: list[Kept]) -> str:
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for item in kept:
        groups.setdefault(tuple(item.machine.items()), []).append(item.result.title)
    lines = ["## Machine", ""]
    for machine, titles in groups.items():
        if len(groups) > 1:
            lines += [f"For {', '.join(titles)}:", ""]
        lines += [f"- {subject}: {words}" for subject, words in machine]
        lines.append("")
    return "\n".join(lines)
