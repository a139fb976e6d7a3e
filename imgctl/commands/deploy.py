"""`imgctl deploy`: the objects of `imgctl manifests` applied, and followed until they run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.apply import DRY_RUNS, UNTIL
from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.output import print_json
from imgctl.workload_options import WorkloadFlags, workload_options
from registry.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.apply import Applied, Patience, RolloutFailed
    from deploy.apply_kubectl import Kubectl
    from deploy.apply_status import Status

_DURATION = re.compile(r"([0-9]+)(s|m|h)?")


class _Deploy(click.Command):
    """Takes `--dry-run` without a word as well, wherever it stands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, for which an IMAGE behind a bare `--dry-run` would be its word."""
        options = [item for item in self.params if isinstance(item, click.Option)]
        before = {flag for item in options if not item.is_flag for flag in item.opts}
        words = []
        for word, last, following in zip(args, ["", *args], [*args[1:], ""], strict=False):
            bare = word == "--dry-run" and last not in before and following not in DRY_RUNS
            words.append("--dry-run=server" if bare else word)
        return super().parse_args(ctx, words)


@click.command(name="deploy", cls=_Deploy)
@click.argument("image")
@workload_options
@click.option("--context", default="", metavar="NAME", help="The kubeconfig's context to use.")
@click.option("--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The kubeconfig to use.")  # fmt: skip
@click.option("--dry-run", type=click.Choice(DRY_RUNS), default="none", show_default=True,
              metavar="[server|client|none]",
              help="Let the server check everything and keep nothing (without a word: server), or"
              " only print.")  # fmt: skip
@click.option("--force-conflicts", is_flag=True, help="Take over fields that others set.")
@click.option("--replace", is_flag=True, help="Delete a Job or Pod of that name first.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it until it runs.")
@click.option("--until", type=click.Choice(UNTIL), default="running", show_default=True,
              help="Follow a Job or Pod until it runs, or to its end.")  # fmt: skip
@click.option("--timeout", default="5m", show_default=True, metavar="DURATION",
              help="How long to follow it, as 90s, 5m, 1h.")  # fmt: skip
@registry_options
@format_option
def command(
    image: str,
    flags: WorkloadFlags,
    registry: RegistryFlags,
    context: str,
    kubeconfig: Path | None,
    dry_run: str,
    force_conflicts: bool,
    replace: bool,
    wait: bool,
    until: str,
    timeout: str,
    output_format: str,
) -> None:
    """Apply what runs IMAGE to a cluster, and follow it until it runs.

    The objects are those of `imgctl manifests` with the same options, applied on the server's
    side by kubectl, which must be installed. When they do not come to run, the pods' troubles
    and the cluster's warnings are shown, and the exit code is 1.
    """
    from deploy.apply import Patience, apply
    from deploy.apply_kubectl import Kubectl
    from deploy.manifests import manifests, warnings

    patience = Patience(until, parse_duration(timeout))
    if kubeconfig is not None and not kubeconfig.is_file():
        raise BadInput(f"the kubeconfig {kubeconfig} is not there", "", "name an existing file")
    workload, _ = flags.workload(image, registry)
    kinds = flags.kinds or (("job",) if workload.batch else ("deployment",))
    for line in warnings(workload, kinds):
        _warn(line)
    kubectl = Kubectl(dict(os.environ), context, kubeconfig, workload.namespace, warn=_warn)
    used = kubectl.current_context()
    if used:
        click.echo(f"context {used}", err=True)
    applied = apply(
        kubectl,
        manifests(workload, kinds),
        dry_run=dry_run,
        force=force_conflicts,
        replace=replace,
    )
    if output_format == "text":
        _print_applied(applied, dry_run)
    statuses: Mapping[str, Status] = {}
    failure = None
    if wait and dry_run == "none":
        pinned = f"{workload.image.name}@{workload.image.digest}"
        statuses, failure = _follow(kubectl, applied, pinned, patience)
    if output_format == "json":
        events = failure.events if failure else ()
        print_json(_json(used, applied, dry_run, statuses) | {"events": list(events)})
    if failure is not None:
        for line in failure.events:
            click.echo(f"event: {line}", err=True)
        raise failure


def parse_duration(text: str) -> float:
    """Seconds from `90`, `90s`, `5m`, `1h`; raises BadInput."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise BadInput(f"{text!r} is not a duration", "", "write 90s, 5m or 1h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]


def _follow(
    kubectl: Kubectl, applied: Sequence[Applied], image: str, patience: Patience
) -> tuple[Mapping[str, Status], RolloutFailed | None]:
    from deploy.apply import RolloutFailed, follow
    from imgctl.progress import progress

    try:
        with progress() as shown:
            return follow(kubectl, applied, image, patience, shown), None
    except RolloutFailed as error:
        return error.statuses, error


def _print_applied(applied: Sequence[Applied], dry_run: str) -> None:
    note = "" if dry_run == "none" else f" ({dry_run} dry run)"
    for item in applied:
        place = f" in {item.namespace}" if item.namespace else ""
        click.echo(f"{item.address} applied{place}{note}")


def _warn(line: str) -> None:
    click.echo(f"warning: {line}", err=True)


def _json(
    context: str, applied: Sequence[Applied], dry_run: str, statuses: Mapping[str, Status]
) -> dict[str, object]:
    return {
        "context": context,
        "dry_run": dry_run,
        "applied": [
            item.to_json()
            | ({"state": statuses[item.address].state, "status": statuses[item.address].words}
               if item.address in statuses else {})
            for item in applied
        ],
    }  # fmt: skip
