"""The double's API: rules on immutable tags, retention."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from registry.sandbox.harbor.access import require
from registry.sandbox.harbor.calls import Call, Route, created, done, numbered
from registry.sandbox.harbor.state import Project
from registry.sandbox.replies import Problem, reply

_MOST_RULES = 15


async def list_immutable(call: Call) -> Response:
    """GET P/immutabletagrules."""
    return call.page(list(call.project("immutable-tag", "list").rules.values()))


async def add_immutable(call: Call) -> Response:
    """POST P/immutabletagrules."""
    project = call.project("immutable-tag", "create")
    rule = _checked(call.object())
    if any(_same(rule, other) for other in project.rules.values()):
        raise Problem(409, "CONFLICT", "duplicate immutable rule")
    number = call.state.number()
    project.rules[number] = {**rule, "id": number}
    return created(f"/projects/{project.name}/immutabletagrules/{number}")


async def change_immutable(call: Call) -> Response:
    """PUT P/immutabletagrules/ID: the id is in the body too."""
    project = call.project("immutable-tag", "update")
    old = numbered(project.rules, call.path["id"], "immutable rule")
    rule = _checked(call.object())
    if rule.get("id") != old["id"]:
        raise Problem(400, "BAD_REQUEST", "the id in the body is not the one in the path")
    project.rules[old["id"]] = rule
    return done()


async def delete_immutable(call: Call) -> Response:
    """DELETE P/immutabletagrules/ID."""
    project = call.project("immutable-tag", "delete")
    del project.rules[numbered(project.rules, call.path["id"], "immutable rule")["id"]]
    return done()


async def create_retention(call: Call) -> Response:
    """POST /retentions: one for a project; its number stands in the project's metadata."""
    body = call.object()
    project = _scope(call, body)
    require(call.caller, call.caller.may(project, "tag-retention", "create"))
    if "retention_id" in project.metadata:
        raise Problem(400, "BAD_REQUEST", f"project {project.name} already has retention policy")
    _check_rules(body)
    number = call.state.number()
    call.state.retentions[number] = {**body, "id": number}
    project.metadata["retention_id"] = str(number)
    return created(f"/retentions/{number}")


async def get_retention(call: Call) -> Response:
    """GET /retentions/ID."""
    policy = _retention(call, "read")
    return reply(200, policy)


async def change_retention(call: Call) -> Response:
    """PUT /retentions/ID."""
    policy, body = _retention(call, "update"), call.object()
    _check_rules(body)
    call.state.retentions[policy["id"]] = {**body, "id": policy["id"]}
    return done()


async def delete_retention(call: Call) -> Response:
    """DELETE /retentions/ID."""
    policy = _retention(call, "delete")
    _scope(call, policy).metadata.pop("retention_id", None)
    del call.state.retentions[policy["id"]]
    return done()


def _checked(rule: dict[str, Any]) -> dict[str, Any]:
    try:
        scope = rule["scope_selectors"]["repository"][0]
        tags = rule["tag_selectors"][0]
        good = (
            (rule["action"], rule["template"]) == ("immutable", "immutable_template")
            and tags["decoration"] in ("matches", "excludes")
            and scope["decoration"] in ("repoMatches", "repoExcludes")
            and {tags["kind"], scope["kind"]} == {"doublestar"}
            and tags["pattern"] and scope["pattern"]
        )  # fmt: skip
    except (KeyError, IndexError, TypeError):
        good = False
    if not good:
        raise Problem(422, "UNPROCESSABLE_ENTITY", "validation failure list:\ninvalid rule")
    return {"disabled": False, **rule}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    keys = ("tag_selectors", "scope_selectors")
    return all(one[key] == other[key] for key in keys)


def _check_rules(policy: dict[str, Any]) -> None:
    cron = str(((policy.get("trigger") or {}).get("settings") or {}).get("cron") or "")
    if cron and (len(cron.split(" ")) != 6 or not cron.startswith("0 ")):
        raise Problem(400, "BAD_REQUEST", f"invalid cron string: {cron}")
    rules = policy.get("rules") or []
    if len(rules) > _MOST_RULES:
        raise Problem(400, "BAD_REQUEST", f"only {_MOST_RULES} retention rules are allowed at most")
    if any(rule in rules[:number] for number, rule in enumerate(rules)):
        raise Problem(409, "CONFLICT", "duplicate retention rule")


def _scope(call: Call, policy: dict[str, Any]) -> Project:
    scope = policy.get("scope") or {}
    for project in call.state.projects.values():
        if scope.get("level") == "project" and project.id == scope.get("ref"):
            return project
    raise Problem(400, "BAD_REQUEST", f"invalid retention scope: {scope}")


def _retention(call: Call, action: str) -> dict[str, Any]:
    policy: dict[str, Any] = numbered(call.state.retentions, call.path["id"], "retention policy")
    require(call.caller, call.caller.may(_scope(call, policy), "tag-retention", action))
    return policy


_RULES = "/projects/{project}/immutabletagrules"
ROUTES: tuple[Route, ...] = (
    ("GET", _RULES, list_immutable),
    ("POST", _RULES, add_immutable),
    ("PUT", _RULES + "/{id}", change_immutable),
    ("DELETE", _RULES + "/{id}", delete_immutable),
    ("POST", "/retentions", create_retention),
    ("GET", "/retentions/{id}", get_retention),
    ("PUT", "/retentions/{id}", change_retention),
    ("DELETE", "/retentions/{id}", delete_retention),
)
