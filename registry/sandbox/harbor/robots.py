"""The double's API: robot accounts."""

from __future__ import annotations

import re
import secrets
import string
import time
from typing import Any

from starlette.responses import Response

from registry.harbor.version import PERMISSION_LIST
from registry.sandbox.harbor.access import require
from registry.sandbox.harbor.calls import ROOT, Call, Route, done
from registry.sandbox.harbor.state import Robot
from registry.sandbox.replies import Problem, reply

PREFIX = "robot$"
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_DAY = 24 * 3600
_DEFAULT_DAYS = 30

# What a robot account may be given in a project, and for Harbor as a whole; as GET /permissions.
_ALL = ("create", "read", "update", "delete", "list")
PROJECT_PERMISSIONS = {
    "label": _ALL,
    "project": ("read", "update", "delete"),
    "metadata": _ALL,
    "repository": ("pull", "push", "read", "update", "list", "delete"),
    "artifact": ("read", "create", "list", "delete"),
    "scan": ("create", "read", "stop"),
    "sbom": ("create", "stop", "read"),
    "tag": ("create", "list", "delete"),
    "accessory": ("list",),
    "artifact-addition": ("read",),
    "artifact-label": ("create", "delete"),
    "scanner": ("create", "read"),
    "preheat-policy": _ALL,
    "immutable-tag": ("list", "create", "update", "delete"),
    "robot": ("create", "read", "list", "delete"),
    "notification-policy": _ALL,
    "tag-retention": (*_ALL, "operate"),
    "log": ("list",),
    "quota": ("read",),
    "member": _ALL,
    "export-cve": ("create", "read"),
}
SYSTEM_PERMISSIONS = {
    "audit-log": ("list",),
    "preheat-instance": _ALL,
    "project": ("list", "create"),
    "replication-policy": _ALL,
    "replication": ("list", "read", "create"),
    "replication-adapter": ("list",),
    "registry": _ALL,
    "scan-all": ("read", "create", "update", "stop"),
    "system-volumes": ("read",),
    "garbage-collection": ("read", "list", "create", "update", "stop"),
    "purge-audit": ("read", "list", "create", "update", "stop"),
    "jobservice-monitor": ("list", "stop"),
    "scanner": _ALL,
    "label": ("create", "read", "update", "delete"),
    "quota": ("read", "list", "update"),
    "robot": ("create", "read", "list", "delete"),
    "catalog": ("read",),
    "security-hub": ("read", "list"),
}


async def list_robots(call: Call) -> Response:
    """GET /robots: the system's; with `q=Level=project,ProjectID=ID` a project's."""
    wanted = {key.lower(): value for key, value in call.conditions().items()}
    level, project_id = wanted.get("level", "system"), wanted.get("projectid", "")
    if level == "project":
        if not project_id:
            raise Problem(400, "BAD_REQUEST", "must with project ID when to query project robots")
        names = [item.name for item in call.state.projects.values() if str(item.id) == project_id]
        _require(call, "project", names[0] if names else "", "list")
    else:
        names = ["*", *call.state.projects]
        _require(call, "system", "", "list")
    found = [
        robot
        for robot in call.state.robots.values()
        if robot.level == level and (level == "system" or _namespace(robot) in names)
    ]
    return call.page([_robot(robot) for robot in found])


async def create_robot(call: Call) -> Response:
    """POST /robots: the secret is made here, whatever the body says, and shown this once."""
    body = call.object()
    level, name = str(body.get("level", "")), str(body.get("name", ""))
    permissions = _permissions(call, body, level)
    if not _NAME.fullmatch(name):
        raise Problem(
            400, "BAD_REQUEST", "robot name is not in lower case or contains illegal characters"
        )
    namespace = permissions[0]["namespace"]
    _require(call, level, namespace, "create")
    _check_covered(call, permissions)
    full = PREFIX + (f"{namespace}+{name}" if level == "project" else name)
    if any(robot.name == full for robot in call.state.robots.values()):
        raise Problem(409, "CONFLICT", f"robot account {full} already exists")
    days = _days(call, body)
    created = time.time()
    robot = Robot(
        call.state.number(), full, _secret(), level, permissions, days, created,
        -1 if days < 0 else int(created) + days * _DAY,
        str(body.get("description", "")), bool(body.get("disable")),
    )  # fmt: skip
    call.state.robots[robot.id] = robot
    value = {"id": robot.id, "name": full, "secret": robot.secret,
             "creation_time": robot.creation_time, "expires_at": robot.expires_at}  # fmt: skip
    return reply(201, value, {"Location": f"{ROOT}/robots/{robot.id}"})


async def get_robot(call: Call) -> Response:
    """GET /robots/ID."""
    robot = _find(call, "read")
    return reply(200, _robot(robot))


async def change_robot(call: Call) -> Response:
    """PUT /robots/ID: the whole account; its time runs from when it was made, not from now."""
    robot, body = _find(call, "create"), call.object()
    if (body.get("name"), body.get("level")) != (robot.name, robot.level):
        raise Problem(400, "BAD_REQUEST", "cannot update the level or name of robot")
    permissions = _permissions(call, body, robot.level)
    _check_covered(call, permissions)
    robot.permissions = permissions
    robot.duration = _days(call, body)
    robot.expires_at = -1 if robot.duration < 0 else int(robot.created) + robot.duration * _DAY
    robot.description = str(body.get("description", ""))
    robot.disable = bool(body.get("disable"))
    return done()


async def change_secret(call: Call) -> Response:
    """PATCH /robots/ID: the secret given, or a new one; neither lengthens the account's life."""
    robot = _find(call, "create")
    wanted = str(call.object().get("secret") or "")
    if wanted:
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        if not 8 <= len(wanted) <= 128 or not all(set(kind) & set(wanted) for kind in kinds):
            message = (
                "the secret must be 8-128, inclusively, characters long with at least 1 uppercase "
                "letter, 1 lowercase letter and 1 number"
            )
            raise Problem(400, "BAD_REQUEST", message)
        robot.secret = wanted
        return reply(200, {"secret": ""})
    robot.secret = _secret()
    return reply(200, {"secret": robot.secret})


async def delete_robot(call: Call) -> Response:
    """DELETE /robots/ID."""
    del call.state.robots[_find(call, "delete").id]
    return done()


async def list_permissions(call: Call) -> Response:
    """GET /permissions, since 2.10: what may be given to robot accounts; none of them may ask."""
    if not call.state.version.at_least(PERMISSION_LIST):
        return Response("404 page not found\n", 404, media_type="text/plain")
    caller = call.caller
    owned = {project.owner for project in call.state.projects.values()}
    require(caller, caller.user is not None and (caller.admin or caller.user.name in owned))
    value = {"project": _listed(PROJECT_PERMISSIONS)}
    return reply(200, value | {"system": _listed(SYSTEM_PERMISSIONS)} if caller.admin else value)


def _listed(table: dict[str, tuple[str, ...]]) -> list[dict[str, str]]:
    return [
        {"resource": resource, "action": action}
        for resource, known in table.items()
        for action in known
    ]


def _permissions(call: Call, body: dict[str, Any], level: str) -> list[dict[str, Any]]:
    """The permissions of a body, checked as the version does."""
    permissions = body.get("permissions") or []
    if level not in ("project", "system") or not permissions:
        raise Problem(400, "BAD_REQUEST", f"bad request error level input: {level}")
    if level == "project" and len(permissions) != 1:
        raise Problem(400, "BAD_REQUEST", "bad request permission")
    for permission in permissions:
        kind, namespace = permission.get("kind"), permission.get("namespace")
        known = SYSTEM_PERMISSIONS if kind == "system" else PROJECT_PERMISSIONS
        if kind == "project" and namespace != "*" and namespace not in call.state.projects:
            raise Problem(404, "NOT_FOUND", f"project {namespace} not found")
        for access in permission.get("access") or ():
            pair = (access.get("resource"), access.get("action"))
            good = pair[0] in known and pair[1] in known[pair[0]]
            if not good and call.state.version.at_least(PERMISSION_LIST):
                raise Problem(400, "BAD_REQUEST", f"bad request permission: {pair[0]}:{pair[1]}")
    return list(permissions)


def _check_covered(call: Call, permissions: list[dict[str, Any]]) -> None:
    """A robot account makes none that may do more than itself."""
    maker = call.caller.robot
    if maker is None:
        return
    own = {
        (permission["kind"], permission["namespace"], access["resource"], access["action"])
        for permission in maker.permissions
        for access in permission["access"]
    }
    for permission in permissions:
        for access in permission.get("access") or ():
            names = (permission["namespace"], "*")
            pair = (access.get("resource"), access.get("action"))
            if not any((permission["kind"], name, *pair) in own for name in names):
                message = (
                    "permission scope is invalid. It must be equal to or more restrictive than the "
                    f"creator robot's permissions: {maker.name}"
                )
                raise Problem(403, "DENIED", message)


def _days(call: Call, body: dict[str, Any]) -> int:
    days = int(body.get("duration") or 0)
    if days == 0 and not call.state.version.at_least(PERMISSION_LIST):
        return _DEFAULT_DAYS
    if days == 0 or days < -1:
        raise Problem(400, "BAD_REQUEST", f"bad request: invalid robot duration: {days}")
    return days


def _find(call: Call, action: str) -> Robot:
    number = call.path["id"]
    robot = call.state.robots.get(int(number)) if number.isdigit() else None
    if robot is None:
        require(call.caller, not call.caller.anonymous)
        raise Problem(404, "NOT_FOUND", f"robot {number} not found")
    _require(call, robot.level, _namespace(robot), action)
    return robot


def _require(call: Call, level: str, namespace: str, action: str) -> None:
    project = call.state.projects.get(namespace)
    if level == "project" and project is not None:
        require(call.caller, call.caller.may(project, "robot", action))
    else:
        call.system("robot", action)


def _namespace(robot: Robot) -> str:
    return str(robot.permissions[0]["namespace"])


def _robot(robot: Robot) -> dict[str, Any]:
    return {
        "id": robot.id,
        "name": robot.name,
        "description": robot.description,
        "level": robot.level,
        "duration": robot.duration,
        "editable": True,
        "disable": robot.disable,
        "expires_at": robot.expires_at,
        "permissions": robot.permissions,
        "creation_time": robot.creation_time,
        "update_time": robot.creation_time,
    }


def _secret() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


ROUTES: tuple[Route, ...] = (
    ("GET", "/robots", list_robots),
    ("POST", "/robots", create_robot),
    ("GET", "/robots/{id}", get_robot),
    ("PUT", "/robots/{id}", change_robot),
    ("PATCH", "/robots/{id}", change_secret),
    ("DELETE", "/robots/{id}", delete_robot),
    ("GET", "/permissions", list_permissions),
)
