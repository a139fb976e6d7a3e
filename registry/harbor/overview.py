"""A Harbor and one of its projects at a glance; what the account may not see is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from registry.errors import Unauthorized
from registry.harbor import projects, robots, rules
from registry.harbor.api import HarborApi, SystemInfo
from registry.harbor.health import Health, health
from registry.harbor.projects import Project, Quota
from registry.harbor.robots import Robot
from registry.harbor.rules import ImmutableRule

T = TypeVar("T")
_DAY = 24 * 3600  # seconds
_NEARLY_FULL = 0.85  # of a quota: where Harbor itself warns
AUTH_MODES = {
    "db_auth": "its own users",
    "ldap_auth": "LDAP users",
    "oidc_auth": "OIDC users",
    "uaa_auth": "UAA users",
    "http_auth": "users of an HTTP service",
}


@dataclass(frozen=True)
class Overview:
    """host: of this Harbor. The rest as the resources' own modules have it.

    project: None when there is none by that name. quota, immutable, retention, accounts: None where
    the account may not see them; retention is {} for none.
    """

    host: str
    system: SystemInfo
    health: Health
    name: str
    exists: bool
    project: Project | None
    quota: Quota | None
    immutable: tuple[ImmutableRule, ...] | None
    retention: dict[str, Any] | None
    accounts: tuple[Robot, ...] | None

    def warnings(self, now: float, days: int) -> list[str]:
        """What somebody should look after, a line each. now: epoch seconds. days: an account that
        expires within so many is told."""
        found = [f"{name} is not well: {says}" for name, says in self.health.ailing.items()]
        if self.system.read_only:
            found.append("Harbor is in read-only mode: nothing can be pushed")
        if not self.exists:
            found.append(f"there is no project {self.name!r}: imgctl harbor init makes it")
        if self.quota and self.quota.hard > 0 and self.quota.used >= _NEARLY_FULL * self.quota.hard:
            found.append(f"the quota is {self.quota.used / self.quota.hard:.0%} full")
        for robot in self.accounts or ():
            left = robot.seconds_left(now)
            name = robot.name.rpartition("+")[2]
            if robot.disabled:
                found.append(f"{robot.name} is disabled")
            elif left is not None and left <= 0:
                found.append(f"{robot.name} has expired: imgctl harbor robot rotate {name}")
            elif left is not None and left < days * _DAY:
                ends = f"expires in {left / _DAY:.0f} days"
                found.append(f"{robot.name} {ends}: imgctl harbor robot rotate {name}")
        return found

    def to_json(self, now: float, days: int) -> dict[str, Any]:
        """Its JSON object; sizes in bytes, times in epoch seconds."""
        return {
            "host": self.host,
            "version": str(self.system.version) if self.system.version else None,
            "auth_mode": self.system.auth_mode,
            "read_only": self.system.read_only,
            "healthy": self.health.good,
            "components": list(self.health.components),
            "ailing": self.health.ailing,
            "project": self._project_json(),
            "robots": None
            if self.accounts is None
            else [_robot_json(robot, now) for robot in self.accounts],
            "warnings": self.warnings(now, days),
        }

    def _project_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"name": self.name, "exists": self.exists}
        if self.project is not None:
            value |= {
                "public": self.project.public,
                "proxy_cache": bool(self.project.registry_id),
                "auto_scan": self.project.metadata.get("auto_scan") == "true",
                "auto_sbom": self.project.metadata.get("auto_sbom_generation") == "true",
            }
        if self.quota is not None:
            hard, used, left = self.quota.hard, self.quota.used, self.quota.left
            value["quota"] = {"hard": hard, "used": used, "left": left}
        if self.immutable is not None:
            value["immutable"] = [str(rule) for rule in self.immutable if not rule.disabled]
        if self.retention is not None:
            value["retention"] = bool(self.retention)
        return value


def overview(api: HarborApi, name: str) -> Overview:
    """Ask for all of it. Raises NotHarbor, Unreachable, and Unauthorized for a wrong password."""
    system = api.system()
    state = health(api)
    if api.user:
        api.check_login()
    exists = _seen(lambda: projects.exists(api, name)) if api.user else None
    project = _seen(lambda: projects.find(api, name)) if exists is not False else None
    quota = retention = rule_list = accounts = None
    if project is not None:
        there = project
        quota = _seen(lambda: projects.quota(api, name))
        rule_list = _seen(lambda: tuple(rules.immutable_rules(api, name)))
        retention = _seen(lambda: rules.retention(api, there) or {})
        accounts = _seen(lambda: tuple(robots.listing(api, there)))
    there_is = project is not None or exists is True
    return Overview(
        api.host, system, state, name, there_is, project, quota, rule_list, retention, accounts
    )


def _seen(ask: Callable[[], T]) -> T | None:
    """The answer; None where the account may not have it."""
    try:
        return ask()
    except Unauthorized:
        return None


def _robot_json(robot: Robot, now: float) -> dict[str, Any]:
    left = robot.seconds_left(now)
    return {
        "name": robot.name,
        "expires_at": robot.expires_at,
        "days_left": None if left is None else round(left / _DAY, 1),
        "disabled": robot.disabled,
    }
