"""What `imgctl build` prints: plans, results, and which of several failed and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from builder.build import Outcome, Planned
from builder.plan import BuildPlan
from builder.request import Request
from imgctl.output import print_error, print_json
from imgctl.progress import size
from registry.errors import ImgctlError

Broken = Mapping[str, ImgctlError]
"""Images whose definition is wrong, and the error."""


def report_plans(plans: Sequence[Planned], broken: Broken, output_format: str) -> int:
    """Print what would be built; the exit code. A single failure is raised as it is."""
    failed = _failures([(request, plan) for request, plan in plans], broken)
    good = [plan for _, plan in plans if isinstance(plan, BuildPlan)]
    if output_format == "json":
        values = [
            plan.to_json() if isinstance(plan, BuildPlan) else _failure(request, plan)
            for request, plan in plans
        ]
        _print_values([*values, *_broken(broken)])
    else:
        for plan in good:
            _print_plan(plan)
    return _say_failures(failed, len(good), "planned")


def report_builds(outcomes: Sequence[Outcome], broken: Broken, output_format: str) -> int:
    """Print how each build ended; the exit code. A single failure is raised as it is."""
    failed = _failures([(outcome.request, outcome.error) for outcome in outcomes], broken)
    if output_format == "json":
        _print_values([*(_as_json(outcome) for outcome in outcomes), *_broken(broken)])
    else:
        for outcome in outcomes:
            click.echo(_line(outcome))
        for name in broken:
            click.echo(f"failed    {name}")
    done = sum(outcome.error is None for outcome in outcomes)
    return _say_failures(failed, done, "built")


def _failures(
    ends: Sequence[tuple[Request, object]], broken: Broken
) -> list[tuple[str, ImgctlError]]:
    """(name, error) of all that failed; the only one of only one is raised."""
    found = [(request.name, end) for request, end in ends if isinstance(end, ImgctlError)]
    if len(ends) == len(found) == 1 and not broken:
        raise found[0][1]
    return [*found, *broken.items()]


def _say_failures(failed: Sequence[tuple[str, ImgctlError]], done: int, what: str) -> int:
    """Print each error and their number; 0, what all failures have in common, or 1."""
    for name, error in failed:
        click.echo(f"{name}:", err=True)
        print_error(error)
    if not failed:
        return 0
    total = done + len(failed)
    click.echo(f"imgctl: {done} of {total} {what}, {len(failed)} failed", err=True)
    codes = {error.exit_code for _, error in failed}
    return codes.pop() if len(codes) == 1 else 1


def _print_values(values: list[dict[str, Any]]) -> None:
    print_json(values[0] if len(values) == 1 else values)


def _failure(request: Request, error: ImgctlError) -> dict[str, Any]:
    return {
        "image": request.definition.name,
        "l4t": request.release.name,
        "error": _error(error),
    }


def _broken(broken: Broken) -> list[dict[str, Any]]:
    return [{"image": name, "error": _error(error)} for name, error in broken.items()]


def _error(error: ImgctlError) -> dict[str, str]:
    return {"what": error.what, "why": error.why, "hint": error.hint}


def _print_plan(plan: BuildPlan) -> None:
    click.echo(f"image     {plan.name}")
    click.echo(f"plan      {plan.identity}")
    click.echo(f"platform  {plan.platform}")
    click.echo(f"base      {plan.remote.reference}@{plan.remote.manifest.digest}")
    click.echo(f"from      {plan.remote.source.name}")
    if plan.base.reason:
        click.echo(f"why       {plan.base.reason}")
    click.echo(f"method    {plan.method}")
    for file in plan.files:
        click.echo(f"file      {file.path} {file.mode:04o} {file.size} bytes")
    for requirement in plan.requirements:
        click.echo(f"wheel     {requirement}")
    click.echo("")
    click.echo(plan.dockerfile)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is not None or outcome.record is None:
        return _failure(outcome.request, outcome.error or ImgctlError("not built"))
    return {**outcome.record.value, "path": str(outcome.folder), "up_to_date": outcome.up_to_date}


def _line(outcome: Outcome) -> str:
    if outcome.error is not None or outcome.record is None:
        return f"failed    {outcome.request.name}"
    record = outcome.record
    if outcome.up_to_date:
        how = "up to date"
    else:
        ours = sum(layer.size for layer in record.layers(ours=True))
        base = sum(layer.size for layer in record.layers(ours=False))
        how = (
            f"built by {record.value['engine']} in {outcome.seconds:.2f} s: "
            f"{size(ours)} on a base of {size(base)}"
        )
    return f"{record.name}  {record.digest}\n  {how}\n  {outcome.folder}"
