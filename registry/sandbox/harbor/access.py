"""Who asks, and what they may: passwords, robot accounts' permissions, tokens.

Tokens are as the distribution project's token specification has them. Harbor signs with RS256;
the double is the only one to check its own, and takes HS256.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from registry.sandbox.harbor.state import HarborState, Project, Robot, User
from registry.sandbox.replies import Problem

_PUBLIC = frozenset(
    {("repository", "pull"), ("repository", "list"), ("repository", "read"), ("artifact", "read"),
     ("artifact", "list"), ("tag", "list"), ("scan", "read"), ("artifact-addition", "read"),
     ("accessory", "list"), ("label", "list"), ("label", "read"), ("project", "read"),
     ("metadata", "read"), ("metadata", "list")}
)  # fmt: skip

_LOCK = 1.5  # seconds
# What the CLI secret of somebody who logs in by OIDC is good for: what docker asks, and what
# replication does. Not a single artifact, nothing that changes one, no HEAD.
_BY_CLI_SECRET = (
    ("POST", re.compile(r"/projects")),
    ("GET", re.compile(r"/(projects|systeminfo|labels)")),
    ("GET", re.compile(r"/projects/.*/repositories(/.*/artifacts)?")),
    ("DELETE", re.compile(r"/projects/.*/repositories/.*/artifacts/.*/tags/.*")),
)


@dataclass(frozen=True)
class Caller:
    """Who a request comes from. refused: a password came along that is not right.

    granted: what a token allows, by repository; None where no token is used.
    """

    user: User | None = None
    robot: Robot | None = None
    refused: bool = False
    granted: dict[str, frozenset[str]] | None = field(default=None, hash=False)

    @property
    def anonymous(self) -> bool:
        """Whether nobody is known."""
        return self.user is None and self.robot is None

    @property
    def name(self) -> str:
        """As Harbor's records name them."""
        known = self.user or self.robot
        return known.name if known else "anonymous"

    @property
    def admin(self) -> bool:
        """Whether this is a system administrator."""
        return self.user is not None and self.user.admin

    def may(self, project: Project, resource: str, action: str) -> bool:
        """Whether this caller may do something in a project."""
        if self.admin or (self.user is not None and project.owner == self.user.name):
            return True
        if project.public and (resource, action) in _PUBLIC:
            return True
        return self._robot_may("project", project.name, resource, action)

    def may_system(self, resource: str, action: str) -> bool:
        """Whether this caller may do something to Harbor as a whole."""
        return self.admin or self._robot_may("system", "/", resource, action)

    def _robot_may(self, kind: str, namespace: str, resource: str, action: str) -> bool:
        for permission in self.robot.permissions if self.robot else ():
            if permission["kind"] != kind or permission["namespace"] not in (namespace, "*"):
                continue
            for access in permission["access"]:
                if access.get("effect", "allow") == "deny":
                    continue
                if access["resource"] in (resource, "*") and access["action"] in (action, "*"):
                    return True
        return False


def check_password(state: HarborState, name: str, password: str) -> Caller:
    """The caller with this name and password; an anonymous, refused one when they are wrong.

    A user's wrong password locks the name for a moment, against the right one too.
    """
    user, moment = state.users.get(name), time.monotonic()
    if user is not None:
        good = hmac.compare_digest(user.password.encode(), password.encode())
        if good and moment >= user.locked_until:
            return Caller(user)
        if not good:
            user.locked_until = moment + _LOCK
        return Caller(refused=True)
    for robot in state.robots.values():
        if robot.name == name and hmac.compare_digest(robot.secret.encode(), password.encode()):
            expired = 0 <= robot.expires_at < time.time()
            return Caller(refused=True) if robot.disable or expired else Caller(robot=robot)
    return Caller(refused=True)


def basic_caller(state: HarborState, request: Request) -> Caller:
    """Who a request's Basic header names; anonymous without one."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return Caller()
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return Caller(refused=True)
    return check_password(state, name, password) if colon else Caller(refused=True)


def api_caller(state: HarborState, request: Request, path: str) -> Caller:
    """Who asks something of the API; path: without its root. Nobody, where all there is is a CLI
    secret, and it is not good for that."""
    caller = basic_caller(state, request)
    if caller.user is None or not caller.user.single_sign_on:
        return caller
    good = any(
        method == request.method and pattern.fullmatch(path.rstrip("/"))
        for method, pattern in _BY_CLI_SECRET
    )
    return caller if good else Caller()


def require(caller: Caller, allowed: bool) -> None:
    """Raise the Problem that Harbor's API answers with where something is not allowed."""
    if allowed:
        return
    if caller.anonymous:
        raise Problem(401, "UNAUTHORIZED", "unauthorized")
    raise Problem(403, "FORBIDDEN", "forbidden")


def actions(state: HarborState, caller: Caller, name: str) -> list[str]:
    """What a caller may do with `project/repository`, as the actions of a token."""
    project, _ = state.split(name)
    if project is None:
        return []
    known = ("pull", "push", "delete")
    return [action for action in known if caller.may(project, "repository", action)]


def make_token(state: HarborState, caller: Caller, scopes: list[str]) -> str:
    """A token with all that the caller may do with each repository of the scopes."""
    issued = int(time.time())
    access = []
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        name, _, _ = rest.rpartition(":")
        access.append({"type": kind, "name": name, "actions": actions(state, caller, name)})
    claims = {
        "iss": "harbor-token-issuer",
        "sub": caller.name,
        "aud": "harbor-registry",
        "iat": issued,
        "nbf": issued,
        "exp": issued + state.token_lifetime,
        "access": access,
    }
    head = _part({"alg": "HS256", "typ": "JWT"})
    body = f"{head}.{_part(claims)}"
    return f"{body}.{_signature(state, body)}"


def bearer_caller(state: HarborState, value: str) -> Caller:
    """Who a token stands for; a refused caller when it is expired or not ours."""
    body, _, signature = value.rpartition(".")
    if not hmac.compare_digest(signature, _signature(state, body)):
        return Caller(refused=True)
    claims = json.loads(_decode(body.partition(".")[2]))
    if claims["exp"] <= time.time():
        return Caller(refused=True)
    granted = {item["name"]: frozenset(item["actions"]) for item in claims["access"]}
    user = state.users.get(claims["sub"])
    robot = next((item for item in state.robots.values() if item.name == claims["sub"]), None)
    return Caller(user, robot, granted=granted)


def _part(value: Any) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _signature(state: HarborState, body: str) -> str:
    return _encode(hmac.new(state.token_secret, body.encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
