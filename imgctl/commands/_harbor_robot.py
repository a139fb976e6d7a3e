"""`imgctl harbor robot`: accounts made, listed, checked, and given new secrets."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl.harbor_options import Days, dry_run_option, echo_step, harbor_options, open_harbor
from imgctl.options import RegistryFlags
from imgctl.push_options import harbor_host
from imgctl.uniform import WholeHelpGroup
from registry.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgctl.harbor_robots import SecretPlace
    from registry.harbor.api import HarborApi
    from registry.harbor.permissions import Finding, Use
    from registry.harbor.projects import Project
    from registry.harbor.robots import Access, NewRobot, Robot

_DEFAULT_DAYS = 90


@click.group(name="robot", cls=WholeHelpGroup)
def robot() -> None:
    """Robot accounts of a project."""


def _secret_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where a secret goes."""
    options = (
        click.option("--secret-file", type=click.Path(dir_okay=False, path_type=Path),
                     metavar="FILE", help="Put the password there, readable for you alone.  "
                     "[default: harbor-secrets/PROJECT/NAME.secret]"),
        click.option("--show-secret", is_flag=True, help="Print the password on stdout instead."),
        click.option("--pull-secret", type=click.Path(dir_okay=False, path_type=Path),
                     metavar="FILE", help="Write a Secret for pulling there too."),
        click.option("--secret-name", default="harbor-pull", show_default=True, metavar="NAME",
                     help="Its name."),
        click.option("--namespace", default="default", show_default=True, help="Its namespace."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@robot.command(name="list")
@harbor_options
def listing(harbor: str | None, project: str, registry: RegistryFlags, output_format: str) -> None:
    """List the robot accounts of the project."""
    from imgctl.output import print_json
    from registry.harbor import robots
    from registry.harbor.accounts import expiry

    with _project(harbor, project, registry) as (api, there):
        found = robots.listing(api, there)
    if output_format == "json":
        print_json([_as_json(item) for item in found])
        return
    for item in found:
        off = "disabled, " if item.disabled else ""
        click.echo(f"{item.name}  {off}{expiry(item.expires_at)}  {item.description}".rstrip())


@robot.command(name="create")
@click.argument("name")
@click.option("--for", "kind", type=click.Choice(["push", "pull"]), default="pull",
              show_default=True, help="What it is for.")  # fmt: skip
@click.option("--allow", metavar="RESOURCE:ACTION", multiple=True, help="One more permission.")
@click.option("--days", type=Days(), default=_DEFAULT_DAYS, show_default=True,
              help="Its life; -1 for no end.")  # fmt: skip
@_secret_options
@dry_run_option
@harbor_options
def create(
    name: str,
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
    dry_run: bool,
    **given: Any,
) -> int:
    """Make an account, or give one that is there the permissions it lacks.

    NAME goes without Harbor's prefix and the project's: `ci` becomes `robot$algorithms+ci`.
    """
    from dataclasses import replace

    from imgctl.harbor_robots import robot_wish
    from imgctl.output import print_json
    from registry.harbor import accounts
    from registry.harbor.steps import State

    place, shown = _place(harbor, project, name, given), _Shown()
    wish = robot_wish(accounts.check_name(name), given["kind"], given["days"])
    more = tuple(_access(text) for text in given["allow"])
    wish = replace(wish, access=tuple(dict.fromkeys((*wish.access, *more))))
    with _project(harbor, project, registry) as (api, there):
        _check_offered(api, more)
        if place is not None and accounts.find(api, there, name) is None:
            place.check()
        keep = place.keep if place else shown.keep
        (step,) = accounts.set_up_robot(api, there, wish, keep, dry_run=dry_run)
    if output_format == "json":
        value = {"name": step.what.removeprefix("robot "), **step.to_json()}
        value |= {"secret": shown.secret} if shown.secret else {}
        print_json(value | {"dry_run": True} if dry_run else value)
    else:
        echo_step(step, dry_run=dry_run, err=bool(shown.secret))
        if shown.secret:
            click.echo(shown.secret)
    return int(step.state is State.REFUSED)


@robot.command(name="rotate")
@click.argument("name")
@click.option("--days", type=Days(),
              help="Its life from now; -1 for no end.  [default: 90, or no end]")  # fmt: skip
@_secret_options
@dry_run_option
@harbor_options
def rotate(
    name: str,
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
    dry_run: bool,
    days: int | None,
    **given: Any,
) -> None:
    """Give an account a new password and more time; the old password is void at once.

    A file that holds the old password is overwritten, and so is the Secret to pull with beside it.
    """
    from imgctl.output import print_json
    from registry.harbor import accounts, robots

    place, shown = _place(harbor, project, name, given, replace=True), _Shown()
    with _project(harbor, project, registry) as (api, there):
        old = accounts.get(api, there, name)
        if place is not None:
            place = place.with_manifest_of(old.name)
        if days is None and old.duration != robots.FOREVER:
            days = _DEFAULT_DAYS
        value: dict[str, Any] = {"name": old.name}
        if dry_run:
            where = str(place) if place else "password on stdout"
            expires_at = robots.expires_at(old, days, time.time())
        else:
            if place is not None:
                place.check()
            new = robots.rotate(api, old, days=days)
            where, expires_at = (place.keep if place else shown.keep)(new), new.expires_at
    if output_format == "json":
        value |= {"expires_at": expires_at, **({"secret": shown.secret} if shown.secret else {})}
        print_json(value | {"dry_run": True} if dry_run else value)
        return
    would = "would rotate" if dry_run else "rotated"
    line = f"{would}  {old.name}  {accounts.expiry(expires_at)}, {where}"
    click.echo(line, err=bool(shown.secret))
    if shown.secret:
        click.echo(shown.secret)


@robot.command(name="check")
@click.argument("name", required=False)
@click.option("--for", "commands", metavar="COMMAND", multiple=True,
              help="Only this, like `push`; exit code 1 if the account cannot.")  # fmt: skip
@harbor_options
def check(
    name: str | None,
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
    commands: tuple[str, ...],
) -> int:
    """Show which permission an account lacks for which command.

    Without NAME it is the account logged in with, which is found out by asking harmless questions:
    what shows only when it is done is unknown then.
    """
    from imgctl.output import print_json
    from registry.harbor import accounts, permissions
    from registry.harbor.probe import probe
    from registry.harbor.projects import check_project

    uses = _uses(commands)
    check_project(project)
    warning = ""
    if name is None:
        with open_harbor(harbor, registry) as api:
            who, known = api.user, probe(api, project)
    else:
        with _project(harbor, project, registry) as (api, there):
            account = accounts.get(api, there, name)
        who, known = account.name, permissions.held(account, project, uses)
        warning = _unusable(account)
    findings = permissions.check(known, uses)
    if output_format == "json":
        value: dict[str, Any] = {"name": who, "project": project, "warning": warning}
        print_json(value | {"uses": [item.to_json() for item in findings]})
    else:
        click.echo(who)
        for finding in findings:
            click.echo(_line(finding))
    if warning and output_format == "text":
        click.echo(f"warning: {warning}", err=True)
    lacks = any(not item.good and not item.use.optional for item in findings)
    return int(bool(commands) and (lacks or bool(warning)))


def _line(finding: Finding) -> str:
    verdict = "yes"
    if finding.missing:
        verdict = f"{'without' if finding.use.optional else 'no, lacks'} "
        verdict += ", ".join(map(str, finding.missing))
    elif finding.unknown:
        verdict = "yes, if it may " + ", ".join(map(str, finding.unknown))
    return f"  {finding.use.command:<26}  {finding.use.what:<36}  {verdict}"


def _unusable(account: Robot) -> str:
    left = account.seconds_left(time.time())
    if account.disabled:
        return f"{account.name} is disabled"
    return f"{account.name} has expired" if left is not None and left <= 0 else ""


def _uses(commands: tuple[str, ...]) -> tuple[Use, ...]:
    from registry.harbor.permissions import USES

    known = dict.fromkeys(use.command for use in USES)
    found: list[Use] = []
    for text in commands:
        wanted = [name for name in known if text in (name, name.removeprefix("imgctl "))]
        if not wanted:
            names = ", ".join(name.removeprefix("imgctl ") for name in known)
            raise BadInput(f"nothing is known of permissions for {text!r}", "", f"one of: {names}")
        found += [use for use in USES if use.command in wanted]
    return tuple(found) or USES


class _Shown:
    """A secret for stdout."""

    def __init__(self) -> None:
        self.secret = ""

    def keep(self, made: NewRobot) -> str:
        """Take it."""
        self.secret = made.secret
        return "password on stdout"


def _place(
    harbor: str | None, project: str, name: str, given: dict[str, Any], *, replace: bool = False
) -> SecretPlace | None:
    """Where the secret goes; None for stdout. Raises BadInput when both are said."""
    from imgctl.harbor_robots import SecretPlace, secret_folder
    from registry.harbor.accounts import check_name
    from registry.harbor.projects import check_project

    file, show = given["secret_file"], given["show_secret"]
    if file and show:
        raise BadInput("give either --secret-file or --show-secret")
    if show and given["pull_secret"]:
        raise BadInput("--pull-secret goes with --secret-file")
    if show:
        return None
    short = check_name(name.rpartition("+")[2])
    return SecretPlace(
        harbor_host(harbor or ""),
        file or secret_folder(None, check_project(project)) / f"{short}.secret",
        given["pull_secret"],
        given["secret_name"],
        given["namespace"],
        replace,
    )


def _check_offered(api: HarborApi, wanted: tuple[Access, ...]) -> None:
    from registry.harbor.permissions import possible

    known = possible(api, wanted) if wanted else ()
    for access in wanted:
        if access not in known:
            raise BadInput(
                f"there is no permission {access} on {api.host}", f"it is Harbor {api.version}"
            )


def _access(text: str) -> Access:
    from registry.harbor.robots import Access

    resource, colon, action = text.partition(":")
    if not (colon and resource and action) or ":" in action:
        raise BadInput(f"{text!r} is no permission", "", "write RESOURCE:ACTION, like scan:create")
    return Access(resource, action)


@contextmanager
def _project(
    harbor: str | None, name: str, registry: RegistryFlags
) -> Iterator[tuple[HarborApi, Project]]:
    from registry.harbor import projects

    projects.check_project(name)
    with open_harbor(harbor, registry) as api:
        yield api, projects.get(api, name)


def _as_json(item: Robot) -> dict[str, Any]:
    return {
        "name": item.name,
        "description": item.description,
        "expires_at": item.expires_at,
        "disabled": item.disabled,
        "permissions": list(item.permissions),
    }
