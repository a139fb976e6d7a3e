"""A project's robot accounts brought to what is wanted: made, or given what they lack."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from registry.errors import BadInput, NotFound
from registry.harbor import robots
from registry.harbor.api import HarborApi
from registry.harbor.permissions import possible
from registry.harbor.projects import Project
from registry.harbor.robots import Access, NewRobot, Robot
from registry.harbor.steps import State, Step, attempt
from registry.harbor.values import mappings

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


@dataclass(frozen=True)
class RobotWish:
    """An account of a project. name: without Harbor's prefix and the project's. days: its life,
    robots.FOREVER for no end."""

    name: str
    access: tuple[Access, ...]
    days: int = 90
    description: str = ""


def check_name(name: str) -> str:
    """The name, if Harbor would give it to an account; raises BadInput."""
    if _NAME.fullmatch(name):
        return name
    whole = "$" in name or "+" in name
    raise BadInput(
        f"{name!r} cannot be the name of a robot account",
        "Harbor puts its prefix and the project before it"
        if whole
        else "lower-case letters and digits, with single dots, hyphens or underscores between them",
        f"write {name.rpartition('+')[2].rpartition('$')[2]!r}" if whole else "",
    )


def find(api: HarborApi, project: Project, name: str) -> Robot | None:
    """A project's account by its short name (`ci`) or its full one (`robot$algorithms+ci`)."""
    for robot in robots.listing(api, project):
        if robot.name == name or robot.name.endswith(f"{project.name}+{name}"):
            return robot
    return None


def get(api: HarborApi, project: Project, name: str) -> Robot:
    """As find; raises NotFound with the names there are."""
    robot = find(api, project, name)
    if robot is not None:
        return robot
    known = ", ".join(item.name for item in robots.listing(api, project))
    raise NotFound(
        f"project {project.name!r} on {api.host} has no robot account {name!r}",
        f"it has {known}" if known else "it has none",
        f"imgctl harbor robot create {name.rpartition('+')[2]} makes one",
    )


def set_up_robot(
    api: HarborApi,
    project: Project | None,
    wish: RobotWish,
    keep: Callable[[NewRobot], str],
    *,
    dry_run: bool = False,
) -> Iterator[Step]:
    """Make the account, or give one that is there what it lacks; one step.

    project: None for one that is to be made. keep: puts the secret away and says where; when it
    fails, the account is taken back.
    """
    what = f"robot {wish.name}"

    def act() -> Step:
        robot = find(api, project, wish.name) if project else None
        if project is not None and robot is not None:
            return _extend(api, project, robot, wish, dry_run)
        if dry_run or project is None:
            return Step(what, State.MADE, _life(wish.days))
        made = create(api, project.name, wish, keep)
        return Step(f"robot {made[0].name}", State.MADE, f"{expiry(made[0].expires_at)}, {made[1]}")

    yield from attempt(what, act)


def create(
    api: HarborApi, project: str, wish: RobotWish, keep: Callable[[NewRobot], str]
) -> tuple[NewRobot, str]:
    """Make an account and put its secret away; where. Raises Conflict when there is one.

    Of the permissions it gets those that this Harbor offers.
    """
    access = possible(api, wish.access)
    made = robots.create(
        api, project, wish.name, access, days=wish.days, description=wish.description
    )
    try:
        return made, keep(made)
    except BaseException:
        # Nobody knows its secret: the next try shall find the name free.
        robot = Robot(made.id, made.name, "project", wish.days, made.expires_at, False, "", ())
        robots.delete(api, robot)
        raise


def lacking(api: HarborApi, robot: Robot, project: str, wish: RobotWish) -> tuple[Access, ...]:
    """What an account lacks of what is wanted and offered."""
    missing = [access for access in wish.access if not robot.may(project, access)]
    return possible(api, missing) if missing else ()


def _extend(api: HarborApi, project: Project, robot: Robot, wish: RobotWish, dry_run: bool) -> Step:
    what = f"robot {robot.name}"
    missing = lacking(api, robot, project.name, wish)
    if not missing:
        state = "disabled, " if robot.disabled else ""
        return Step(what, State.THERE, state + expiry(robot.expires_at))
    if not dry_run:
        robots.change(api, with_access(robot, project.name, missing))
    names = ", ".join(map(str, missing))
    return Step(what, State.CHANGED, f"may {names} now" if not dry_run else f"may not {names}")


def with_access(robot: Robot, project: str, more: tuple[Access, ...]) -> Robot:
    """The account with more permissions in a project."""
    added = [{"resource": item.resource, "action": item.action} for item in more]
    permissions = []
    for permission in robot.permissions:
        own = permission.get("kind") == "project" and permission.get("namespace") == project
        access = [*mappings(permission, "access"), *(added if own else ())]
        permissions.append({**permission, "access": access})
    return replace(robot, permissions=tuple(permissions))


def expiry(expires_at: int, now: float | None = None) -> str:
    """`until 2027-02-22`, `expired since 2026-01-01`, `never expires`."""
    if expires_at < 0:
        return "never expires"
    day = datetime.fromtimestamp(expires_at, UTC).date().isoformat()
    past = expires_at <= (time.time() if now is None else now)
    return f"expired since {day}" if past else f"until {day}"


def _life(days: int) -> str:
    return "never expires" if days < 0 else f"for {days} days"
