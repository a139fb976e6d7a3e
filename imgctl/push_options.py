"""Where images go, and what surrounds a push there: shared by the commands that push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from imgctl.options import RegistryFlags
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.client import RegistryClient
    from registry.progress import Progress
    from registry.push import ReleaseTarget
    from release.push import Place, Work

DEFAULT_PROJECT = "algorithms"
_OF_HARBOR = {
    "--create-project": "create_project",
    "--scan": "scan",
    "--fail-on": "fail_on",
    "--label": "labels",
}


def place_of(given: dict[str, Any], default_project: str = DEFAULT_PROJECT) -> Place:
    """Where to; a host on the command line stands before one in imgctl.yaml.

    default_project: on Harbor, where none is named.
    """
    from release.push import Place

    harbor, plain = _chosen(given)
    if plain:
        useless = [flag for flag, name in _OF_HARBOR.items() if given.get(name)]
        if useless:
            raise BadInput(f"{useless[0]} is for Harbor", f"{plain} is given with --registry",
                           f"write --harbor {plain} if it is one")  # fmt: skip
        return Place.parse(plain, given["project"] or "")
    from registry.harbor.projects import check_project

    return Place.parse(harbor_host(harbor), check_project(given["project"] or default_project))


def harbor_host(text: str) -> str:
    """The host of --harbor; raises BadInput when it names more."""
    host = text.rstrip("/")
    if "/" in host and "://" not in host:
        raise BadInput(f"--harbor {text} names more than a host", "", "give --project NAME too")
    return host


def _chosen(given: dict[str, Any]) -> tuple[str, str]:
    """The host of --harbor, or that of --registry; the other is empty."""
    harbor, plain = given["harbor"] or "", given["plain"] or ""
    if harbor and plain:
        context = click.get_current_context()
        ranks = [context.get_parameter_source(name) for name in ("harbor", "plain")]
        if ranks[0] == ranks[1]:
            raise BadInput("both --harbor and --registry are given", "", "give one of them")
        from_file = click.core.ParameterSource.DEFAULT_MAP
        from_flag = click.core.ParameterSource.COMMANDLINE
        harbor_wins = ranks[0] == from_flag or ranks[1] == from_file
        return (harbor, "") if harbor_wins else ("", plain)
    if not harbor and not plain:
        hint = "add --harbor HOST, or `harbor: HOST` in imgctl.yaml; --registry HOST for others"
        raise BadInput("where to?", "", hint)
    return harbor, plain


def target_of(
    given: dict[str, Any], client: RegistryClient, place: Place, progress: Progress
) -> ReleaseTarget:
    """What surrounds the transfer: Harbor's own checks, or none on a plain registry."""
    if not _chosen(given)[0]:
        from registry.push import PlainTarget

        return PlainTarget()
    from imgctl.project_policy import project_policy
    from registry.harbor.api import HarborApi
    from registry.harbor.scan import ScanGate
    from registry.harbor.target import HarborTarget

    fail_on = given.get("fail_on") or ""
    return HarborTarget(
        HarborApi(client, place.host),
        place.path,
        create_project=bool(given.get("create_project")),
        policy=project_policy(),
        labels=given.get("labels") or (),
        scan=ScanGate(fail_on) if fail_on or given.get("scan") else None,
        dry_run=bool(given.get("dry_run")),
        progress=progress,
    )


def work_of(
    given: dict[str, Any], registry: RegistryFlags, client: RegistryClient, progress: Progress
) -> Work:
    """What a release works with; `given` holds the values of the options by name."""
    from builder.dist import known_builds
    from builder.mirror import Mirror
    from imgctl.workload_options import settled_flags
    from registry.push import PushOptions
    from release.push import Work

    place = place_of(given)
    mirror = given["base_mirror"]
    return Work(
        client=client,
        place=place,
        target=target_of(given, client, place, progress),
        mirror=Mirror.parse(mirror) if mirror else None,
        known=known_builds(given["dist"]),
        workload=settled_flags(click.get_current_context()).pushed,
        options=PushOptions(concurrency=registry.concurrency, dry_run=given["dry_run"]),
        progress=progress,
    )
