"""`imgctl harbor`: the administration of Harbor that a release pipeline needs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl.commands._harbor_artifacts import artifacts, copy, tag
from imgctl.commands._harbor_gc import collect
from imgctl.commands._harbor_robot import robot
from imgctl.harbor_options import Days, dry_run_option, echo_step, harbor_options, open_harbor
from imgctl.options import RegistryFlags
from imgctl.push_options import harbor_host
from imgctl.uniform import WholeHelpGroup
from imgctl.upstream import endpoint, upstream_options
from registry.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imgctl.harbor_robots import SecretPlace
    from registry.harbor.accounts import RobotWish
    from registry.harbor.overview import Overview
    from registry.harbor.projects import ProjectPolicy
    from registry.harbor.replication import Replication
    from registry.harbor.rules import Retention
    from registry.harbor.steps import Step

DEFAULT_IMMUTABLE = "*-l4t-*"
DEFAULT_KEEP = 10


@click.group(name="harbor", cls=WholeHelpGroup)
def command() -> None:
    """Set up and look after a project on Harbor."""


for child in (artifacts, collect, copy, robot, tag):
    command.add_command(child)


@command.command(name="init")
@click.option("--public/--private", "public", default=None,
              help="Who may pull.  [default: private; what is there stays as it is]")  # fmt: skip
@click.option("--quota", metavar="SIZE", help="Like 200GB, or unlimited.")
@click.option(
    "--auto-scan/--no-auto-scan", default=None, help="Scan what is pushed.  [default: on]"
)
@click.option("--auto-sbom/--no-auto-sbom", default=None,
              help="Make an SBOM of what is pushed (Harbor 2.11).  [default: on]")  # fmt: skip
@click.option("--block", "severity", type=click.Choice(["low", "medium", "high", "critical"]),
              help="Block pulls of images with such findings.")  # fmt: skip
@click.option("--immutable", metavar="PATTERN", multiple=True,
              help=f"Tags that never move.  [default: {DEFAULT_IMMUTABLE}]")  # fmt: skip
@click.option("--keep", type=click.IntRange(0, 10_000), metavar="N",
              help="Retention: the last N artifacts of each repository, and immutable tags; 0 for "
              f"no policy.  [default: {DEFAULT_KEEP}, where there is no policy yet]")  # fmt: skip
@click.option("--keep-schedule", default="", metavar="CRON",
              help="When Harbor clears, in six fields.  [default: only by hand]")  # fmt: skip
@click.option("--push-robot", default="ci", show_default=True, metavar="NAME",
              help="Account for CI; empty for none.")  # fmt: skip
@click.option("--pull-robot", default="edge", show_default=True, metavar="NAME",
              help="Account for edge devices; empty for none.")  # fmt: skip
@click.option("--days", type=Days(), default=90, show_default=True,
              help="Life of an account that is made; -1 for no end.")  # fmt: skip
@click.option("--secrets", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where passwords of new accounts go, readable for you alone.  "
              "[default: harbor-secrets/PROJECT]")  # fmt: skip
@click.option("--secret-name", default="harbor-pull", show_default=True, metavar="NAME",
              help="Name of the pull Secret's manifest.")  # fmt: skip
@click.option("--namespace", default="default", show_default=True, help="Its namespace.")
@click.option("--proxy-cache", metavar="NAME",
              help="Also a project that fetches from NVIDIA's registry, and keeps.")  # fmt: skip
@click.option("--public-cache", is_flag=True,
              help="Everybody may pull through it; CI's account could not else.")  # fmt: skip
@click.option("--replicate", metavar="REPOSITORY:TAG", multiple=True,
              help="Also a rule by which Harbor brings this from NVIDIA's registry when it is run; "
              "`base sync --replicate` finds out what images need.")  # fmt: skip
@click.option("--replicate-to", default="nvcr", show_default=True, metavar="PROJECT",
              help="Where to.")  # fmt: skip
@upstream_options
@dry_run_option
@harbor_options
def init(
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
    dry_run: bool,
    **given: Any,
) -> int:
    """Bring a project to how a release pipeline wants it; doing it again changes nothing.

    Project, visibility, quota, automatic scans and SBOMs, immutable tags, retention, a robot
    account for CI and one for edge devices with the Secret to pull with. `harbor_project` in
    imgctl.yaml holds the same settings.
    """
    from imgctl.harbor_robots import set_up_robots
    from imgctl.output import print_json
    from imgctl.progress import size
    from registry.harbor import projects
    from registry.harbor.proxy import set_up_proxy_cache
    from registry.harbor.replication import set_up_replications
    from registry.harbor.setup import ProjectWish, set_up_project
    from registry.harbor.steps import State

    projects.check_project(project)
    _check_cache(project, given)
    replications = _replications(given)
    accounts = _robots(harbor_host(harbor or ""), project, given)
    policy, visible = _policy(given)
    retention = _retention(given, policy)
    wish = ProjectWish(project, policy, visible, retention, given["keep"] is not None)
    steps = []

    def show(found: Iterable[Step]) -> None:
        for step in found:
            steps.append(step)
            if output_format == "text":
                echo_step(step, dry_run=dry_run)

    with open_harbor(harbor, registry) as api:
        show(set_up_project(api, wish, dry_run=dry_run, size=size))
        there = projects.find(api, project)
        show(set_up_robots(api, there, accounts, dry_run))
        if given["proxy_cache"]:
            name, public = given["proxy_cache"], given["public_cache"]
            show(set_up_proxy_cache(api, name, endpoint(given), public=public, dry_run=dry_run))
        if replications:
            show(set_up_replications(api, endpoint(given), replications, dry_run=dry_run))
        version = str(api.version)
    if output_format == "json":
        value: dict[str, Any] = {"host": api.host, "version": version, "project": project}
        value["steps"] = [step.to_json() for step in steps]
        print_json(value | {"dry_run": True} if dry_run else value)
    return int(any(step.state is State.REFUSED for step in steps))


def _check_cache(project: str, given: dict[str, Any]) -> None:
    """What is wrong about the proxy cache, before anything is done; raises BadInput."""
    from registry.harbor.projects import check_project

    name = given["proxy_cache"]
    if not name:
        if given["public_cache"]:
            raise BadInput("--public-cache goes with --proxy-cache NAME")
        return
    endpoint(given)
    if check_project(name) == project:
        raise BadInput(
            f"project {project!r} cannot be its own proxy cache",
            "nobody can push to one",
            "name another project with --proxy-cache",
        )


def _replications(given: dict[str, Any]) -> tuple[Replication, ...]:
    """What Harbor is to bring itself; raises BadInput."""
    from registry.harbor.projects import check_project
    from registry.harbor.replication import by_folder
    from registry.reference import Reference

    images = []
    for text in given["replicate"]:
        host = endpoint(given).url.partition("://")[2]
        parsed = Reference.parse(f"{host}/{text.removeprefix(f'{host}/')}")
        if not parsed.tag or parsed.digest:
            hint = "write REPOSITORY:TAG, like nvidia/l4t-base:r35.2.1"
            raise BadInput(
                f"--replicate {text} names no tag", "Harbor finds only what is named", hint
            )
        images.append((parsed.repository, parsed.tag))
    return by_folder("imgctl", images, check_project(given["replicate_to"]))


def _policy(given: dict[str, Any]) -> tuple[ProjectPolicy, bool | None]:
    """The policy of imgctl.yaml under that of the flags; and the visibility if either names one."""
    from imgctl.project_policy import parse_policy, policy_section

    section = policy_section()
    flags = {key: given[key] for key in ("public", "quota", "auto_scan", "auto_sbom", "severity")
             if given[key] is not None}  # fmt: skip
    defaults = {"auto_sbom": True, "immutable": [DEFAULT_IMMUTABLE]}
    patterns = {"immutable": list(given["immutable"])} if given["immutable"] else {}
    named = {str(key).replace("-", "_"): value for key, value in section.items()}
    policy = parse_policy({**defaults, **named, **flags, **patterns})
    return policy, policy.public if "public" in named or "public" in flags else None


def _retention(given: dict[str, Any], policy: ProjectPolicy) -> Retention | None:
    from registry.harbor.rules import Retention, check_cron

    keep = DEFAULT_KEEP if given["keep"] is None else given["keep"]
    if keep == 0:
        return None
    patterns = policy.immutable
    always = patterns[0] if len(patterns) == 1 else "{" + ",".join(patterns) + "}"
    cron = given["keep_schedule"]
    return Retention(keep, always if patterns else "", check_cron(cron) if cron else "")


def _robots(host: str, project: str, given: dict[str, Any]) -> list[tuple[RobotWish, SecretPlace]]:
    """The accounts for CI and for edge devices, and where their secrets go; raises BadInput."""
    from imgctl.harbor_robots import KINDS, SecretPlace, robot_wish, secret_folder
    from registry.harbor.accounts import check_name

    folder, wishes = secret_folder(given["secrets"], project), []
    if given["push_robot"] and given["push_robot"] == given["pull_robot"]:
        raise BadInput(
            f"both accounts would be {given['push_robot']!r}",
            "what pulls on edge devices must not be able to push",
            "give --push-robot and --pull-robot names of their own",
        )
    for kind in KINDS:
        name = given[f"{kind}_robot"]
        if not name:
            continue
        wish, secret = robot_wish(check_name(name), kind, given["days"]), given["secret_name"]
        manifest = folder / f"{secret}.yaml" if kind == "pull" else None
        file = folder / f"{name}.secret"
        wishes.append((wish, SecretPlace(host, file, manifest, secret, given["namespace"])))
    return wishes


@command.command(name="status")
@click.option("--expiring", type=click.IntRange(0, 3650), default=30, show_default=True,
              metavar="DAYS", help="Warn of accounts that expire within so many days.")  # fmt: skip
@harbor_options
def status(
    harbor: str | None, project: str, registry: RegistryFlags, output_format: str, expiring: int
) -> int:
    """Show version, health, quota, rules, and robot accounts near their end.

    Exit code 1 when a part of Harbor is not well or there is no such project.
    """
    from imgctl.output import print_json
    from registry.harbor.overview import overview
    from registry.harbor.projects import check_project

    with open_harbor(harbor, registry, login=False) as api:
        found = overview(api, check_project(project))
    now = time.time()
    if output_format == "json":
        print_json(found.to_json(now, expiring))
    else:
        for name, text in _lines(found):
            click.echo(f"{name:<10}  {text}")
        for warning in found.warnings(now, expiring):
            click.echo(f"warning: {warning}", err=True)
    return int(not found.health.good or not found.exists)


def _lines(found: Overview) -> list[tuple[str, str]]:
    from registry.harbor.overview import AUTH_MODES

    system = found.system
    mode = AUTH_MODES.get(system.auth_mode, system.auth_mode)
    version = f"v{system.version}".replace("vv", "v") if system.version else "version not shown"
    writes = "read-only" if system.read_only else "takes pushes"
    health = "healthy" if found.health.good else ", ".join(found.health.ailing) + " not well"
    lines = [
        ("harbor", f"{found.host}  {version}, {mode}, {writes}"),
        ("health", f"{health} ({', '.join(found.health.components)})"),
    ]
    return lines + _project_lines(found)


def _project_lines(found: Overview) -> list[tuple[str, str]]:
    from imgctl.progress import size
    from registry.harbor.accounts import expiry

    project = found.project
    if project is None:
        return [("project", f"{found.name}: {'not shown' if found.exists else 'none'}")]
    kind = "public" if project.public else "private"
    kind += ", a proxy cache" if project.registry_id else ""
    lines = [("project", f"{project.name}: {kind}")]
    if found.quota is not None:
        limit = "no limit" if found.quota.hard < 0 else f"of {size(found.quota.hard)}"
        lines.append(("quota", f"{size(found.quota.used)} used, {limit}"))
    scans = [name for key, name in (("auto_scan", "scan"), ("auto_sbom_generation", "SBOM"))
             if project.metadata.get(key) == "true"]  # fmt: skip
    lines.append(("on push", ", ".join(scans) or "nothing"))
    if found.immutable is not None:
        held = "; ".join(str(rule) for rule in found.immutable if not rule.disabled)
        lines.append(("immutable", held or "no tags"))
    if found.retention is not None:
        lines.append(("retention", "a policy" if found.retention else "no policy"))
    for account in found.accounts or ():
        lines.append(("robot", f"{account.name}  {expiry(account.expires_at)}"))
    return lines
