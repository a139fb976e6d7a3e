"""Robot accounts: what they may do, making them, and new secrets.

A secret is shown once, by what made it. A new secret does not lengthen an account's life, and a
new duration counts from when the account was made.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from registry.harbor.api import HarborApi, Query, as_object
from registry.harbor.projects import Project
from registry.harbor.values import mappings, number, text

FOREVER = -1  # days
_DAY = 24 * 3600  # seconds


class Access(NamedTuple):
    """One thing an account may do in its project, as `artifact`, `read`."""

    resource: str
    action: str

    def __str__(self) -> str:
        return f"{self.resource}:{self.action}"


def accesses(*names: str) -> tuple[Access, ...]:
    """Several of them from `resource:action,action`."""
    pairs = (name.partition(":") for name in names)
    return tuple(Access(kind, action) for kind, _, rest in pairs for action in rest.split(","))


# What `imgctl push` needs with all that it looks at, and what an edge device needs.
PUSH = accesses(
    "repository:pull,push,list", "artifact:read,list,create", "tag:create,list",
    "label:read,list,create", "artifact-label:create,delete", "scan:create,read",
    "artifact-addition:read",
    "accessory:list", "immutable-tag:list", "quota:read", "project:read", "metadata:read",
)  # fmt: skip
PULL = accesses("repository:pull")


@dataclass(frozen=True)
class Robot:
    """A robot account. name: in full, with the prefix this Harbor is set to (`robot$p+ci`).

    duration: days from when it was made, FOREVER for no end. expires_at: epoch seconds, -1 never.
    created: epoch seconds, 0 where it is not told.
    """

    id: int
    name: str
    level: str
    duration: int
    expires_at: int
    disabled: bool
    description: str
    permissions: tuple[Mapping[str, Any], ...] = field(repr=False)
    created: float = 0.0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Robot:
        """From Harbor's Robot object."""
        return cls(
            number(value, "id"),
            text(value, "name"),
            text(value, "level"),
            number(value, "duration"),
            number(value, "expires_at"),
            value.get("disable") is True,
            text(value, "description"),
            tuple(mappings(value, "permissions")),
            _moment(text(value, "creation_time")),
        )

    @property
    def namespaces(self) -> tuple[str, ...]:
        """What it is for: projects' names, `*`, `/`."""
        return tuple(text(item, "namespace") for item in self.permissions)

    def may(self, project: str, wanted: Access) -> bool:
        """Whether its permissions include this in a project."""
        for permission in self.permissions:
            if permission.get("kind") != "project":
                continue
            if permission.get("namespace") not in (project, "*"):
                continue
            for access in mappings(permission, "access"):
                pair = (access.get("resource"), access.get("action"))
                allowed = access.get("effect", "allow") == "allow"
                if allowed and pair[0] in (wanted[0], "*") and pair[1] in (wanted[1], "*"):
                    return True
        return False

    def seconds_left(self, now: float) -> float | None:
        """Until it expires; None when it never does."""
        return None if self.expires_at < 0 else self.expires_at - now

    def lasting(self, days: int, now: float) -> Robot:
        """The same account, to expire so many days from now (FOREVER for never)."""
        if days < 0:
            return replace(self, duration=FOREVER)
        made = self.created
        if not made:
            made = self.expires_at - self.duration * _DAY if self.duration > 0 else now
        return replace(self, duration=days + int((now - made) // _DAY))

    def to_json(self) -> dict[str, Any]:
        """As Harbor takes it for a change: all of it, with the full name."""
        return {
            "id": self.id,
            "name": self.name,
            "level": self.level,
            "duration": self.duration,
            "disable": self.disabled,
            "description": self.description,
            "permissions": [dict(item) for item in self.permissions],
        }


@dataclass(frozen=True)
class NewRobot:
    """An account just made, and the one time its secret is seen. expires_at: epoch seconds."""

    id: int
    name: str
    secret: str = field(repr=False)
    expires_at: int


def expires_at(robot: Robot, days: int | None, now: float) -> int:
    """When an account would expire that is given so many days from now; None leaves it."""
    if days is None:
        return robot.expires_at
    return FOREVER if days < 0 else int(now) + days * _DAY


def listing(api: HarborApi, project: Project | None = None) -> list[Robot]:
    """A project's robot accounts, or the system's."""
    query: Query = {"q": f"Level=project,ProjectID={project.id}"} if project else {}
    where = f"project {project.name} on {api.host}" if project else api.host
    items = api.pages("/robots", f"list the robot accounts of {where}", query)
    robots = [Robot.from_json(item) for item in items]
    if project is None:
        return [robot for robot in robots if robot.level == "system"]
    # A version that did not know these fields would have sent every account there is.
    return [item for item in robots if item.level == "project" and project.name in item.namespaces]


def create(
    api: HarborApi,
    project: str,
    name: str,
    access: Sequence[Access],
    *,
    days: int = 90,
    description: str = "",
) -> NewRobot:
    """Make a robot account of one project; raises Conflict when there is one by that name.

    name: without prefix and project: Harbor puts them before it.
    """
    permission = {
        "kind": "project",
        "namespace": project,
        "access": [{"resource": item.resource, "action": item.action} for item in access],
    }
    body = {
        "name": name,
        "description": description,
        "level": "project",
        "duration": days,
        "disable": False,
        "permissions": [permission],
    }
    doing = f"make robot account {name} of project {project} on {api.host}"
    value = as_object(api.change("POST", "/robots", doing, body).json(), doing)
    return NewRobot(
        number(value, "id"), text(value, "name"), text(value, "secret"), number(value, "expires_at")
    )


def change(api: HarborApi, robot: Robot) -> None:
    """Bring a robot account to what is given: permissions, duration, description, disabled."""
    doing = f"change robot account {robot.name} on {api.host}"
    api.change("PUT", f"/robots/{robot.id}", doing, robot.to_json())


def rotate(api: HarborApi, robot: Robot, *, days: int | None = None) -> NewRobot:
    """Give an account a new secret, and days more from now where given; the old one is void."""
    if days is not None:
        change(api, robot.lasting(days, time.time()))
    doing = f"give robot account {robot.name} on {api.host} a new secret"
    path = f"/robots/{robot.id}"
    value = as_object(api.change("PATCH", path, doing, {"secret": ""}).json(), doing)
    found = Robot.from_json(api.get(path, doing))
    return NewRobot(robot.id, robot.name, text(value, "secret"), found.expires_at)


def delete(api: HarborApi, robot: Robot) -> bool:
    """Delete an account; False when it was gone already."""
    doing = f"delete robot account {robot.name} on {api.host}"
    return api.change("DELETE", f"/robots/{robot.id}", doing, also=(404,)).status != 404


def _moment(value: str) -> float:
    """Epoch seconds of a time as Harbor writes it; 0 for one that is not set."""
    try:
        return max(datetime.fromisoformat(value).timestamp(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
