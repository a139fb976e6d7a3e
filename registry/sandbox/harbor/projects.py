"""The double's API: projects, their metadata and quotas, labels."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from registry.harbor.version import SBOM
from registry.sandbox.harbor.access import require
from registry.sandbox.harbor.calls import Call, Route, created, done, meets, numbered
from registry.sandbox.harbor.state import Project
from registry.sandbox.replies import Problem, reply

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_METADATA = frozenset(
    {"public", "enable_content_trust", "enable_content_trust_cosign", "prevent_vul", "severity",
     "auto_scan", "auto_sbom_generation", "reuse_sys_cve_allowlist", "proxy_speed_kb"}
)  # fmt: skip


async def project_exists(call: Call) -> Response:
    """HEAD /projects?project_name=: for whoever has logged in."""
    require(call.caller, not call.caller.anonymous)
    name = call.query.get("project_name", "")
    return done(200 if name in call.state.projects else 404)


async def list_projects(call: Call) -> Response:
    """GET /projects; a caller with a wrong password sees the public ones."""
    wanted, public = call.query.get("name", ""), call.query.get("public", "")
    shown = [
        project
        for project in call.state.projects.values()
        if call.caller.may(project, "project", "read")
        and wanted in project.name
        and (not public or project.public is (public == "true"))
        and meets(call.conditions().get("name", "~"), project.name)
    ]
    return call.page([_project(project) for project in shown])


async def create_project(call: Call) -> Response:
    """POST /projects. What a version does not know is dropped without a word."""
    caller, body = call.caller, call.object()
    require(caller, caller.user is not None or caller.may_system("project", "create"))
    name = str(body.get("project_name", ""))
    if not _NAME.fullmatch(name):
        raise Problem(400, "BAD_REQUEST", f"the project name {name} is invalid")
    registry_id = int(body.get("registry_id") or 0)
    if registry_id:
        require(caller, caller.admin)
        numbered(call.state.registries, str(registry_id), "registry")
    if name in call.state.projects:
        raise Problem(409, "CONFLICT", f"The project named {name} already exists")
    # Only an administrator sets a limit; anybody else's is left aside without a word.
    limit = body.get("storage_limit") if caller.may_system("quota", "update") else None
    project = call.state.add_project(
        name,
        caller.name,
        _known(call, body.get("metadata") or {}),
        registry_id=registry_id,
        storage_limit=int(limit) if limit else -1,
    )
    by_name = call.request.headers.get("x-resource-name-in-location", "").lower() == "true"
    return created(f"/projects/{name if by_name else project.id}")


async def get_project(call: Call) -> Response:
    """GET P."""
    return reply(200, _project(call.project("project", "read")))


async def change_project(call: Call) -> Response:
    """PUT P: metadata only; a storage limit in the body changes nothing."""
    project = call.project("project", "update")
    project.metadata |= _known(call, call.object().get("metadata") or {})
    return done()


async def delete_project(call: Call) -> Response:
    """DELETE P, once it is empty."""
    project = call.project("project", "delete")
    if project.repositories:
        message = f"the project {project.name} contains repositories, can not be deleted"
        raise Problem(412, "PRECONDITION", message)
    del call.state.projects[project.name]
    return done()


async def summary(call: Call) -> Response:
    """GET P/summary; the quota only for who may read it."""
    project = call.project("project", "read")
    value: dict[str, Any] = {
        "repo_count": len(project.repositories),
        "project_admin_count": 1,
    }
    if call.caller.may(project, "quota", "read"):
        value["quota"] = {
            "hard": {"storage": project.storage_limit},
            "used": {"storage": project.used},
        }
    return reply(200, value)


async def deletable(call: Call) -> Response:
    """GET P/_deletable."""
    project = call.project("project", "delete")
    if project.repositories:
        return reply(200, {"deletable": False, "message": "the project contains repositories"})
    return reply(200, {"deletable": True})


async def list_metadata(call: Call) -> Response:
    """GET P/metadatas/."""
    return reply(200, call.project("metadata", "list").metadata)


async def add_metadata(call: Call) -> Response:
    """POST P/metadatas/: one pair."""
    project = call.project("metadata", "create")
    key, value = _pair(call)
    if key in project.metadata:
        raise Problem(409, "CONFLICT", f"metadata {key} already exists")
    project.metadata[key] = value
    return done()


async def get_metadata(call: Call) -> Response:
    """GET P/metadatas/NAME."""
    project, name = call.project("metadata", "read"), call.path["name"]
    if name not in project.metadata:
        raise Problem(404, "NOT_FOUND", f"metadata {name} not found")
    return reply(200, {name: project.metadata[name]})


async def change_metadata(call: Call) -> Response:
    """PUT P/metadatas/NAME."""
    project = call.project("metadata", "update")
    key, value = _pair(call)
    if key != call.path["name"]:
        raise Problem(400, "BAD_REQUEST", "the key in the body is not the one in the path")
    project.metadata[key] = value
    return done()


async def delete_metadata(call: Call) -> Response:
    """DELETE P/metadatas/NAME."""
    project, name = call.project("metadata", "delete"), call.path["name"]
    if project.metadata.pop(name, None) is None:
        raise Problem(404, "NOT_FOUND", f"metadata {name} not found")
    return done()


# --- quotas ---


async def list_quotas(call: Call) -> Response:
    """GET /quotas?reference=project&reference_id=."""
    call.system("quota", "list")
    wanted = call.query.get("reference_id", "")
    return call.page([_quota(project) for project in call.state.projects.values()
                      if wanted in ("", str(project.id))])  # fmt: skip


async def get_quota(call: Call) -> Response:
    """GET /quotas/ID."""
    call.system("quota", "read")
    return reply(200, _quota(_project_of_quota(call)))


async def change_quota(call: Call) -> Response:
    """PUT /quotas/ID; below what is used is allowed."""
    call.system("quota", "update")
    project = _project_of_quota(call)
    limit = int((call.object().get("hard") or {}).get("storage", 0))
    if limit <= 0 and limit != -1:
        message = "invalid hard value for resource storage: it must be greater than zero or -1"
        raise Problem(400, "BAD_REQUEST", message)
    project.storage_limit = limit
    return done()


# --- labels ---


async def list_labels(call: Call) -> Response:
    """GET /labels?scope=."""
    scope, project_id = call.query.get("scope", ""), call.query.get("project_id", "0")
    if scope not in ("g", "p"):
        raise Problem(400, "BAD_REQUEST", f"invalid scope: {scope}")
    if scope == "p":
        require(call.caller, call.caller.may(_by_id(call, project_id), "label", "list"))
    else:
        require(call.caller, not call.caller.anonymous)
    name = call.query.get("name", "")
    return call.page(
        [label for label in call.state.labels.values()
         if label["scope"] == scope and name in label["name"]
         and (scope == "g" or str(label["project_id"]) == project_id)]
    )  # fmt: skip


async def create_label(call: Call) -> Response:
    """POST /labels."""
    body = call.object()
    scope, project_id = body.get("scope"), int(body.get("project_id") or 0)
    if scope == "p":
        project = _by_id(call, str(project_id))
        require(call.caller, call.caller.may(project, "label", "create"))
    elif scope == "g":
        call.system("label", "create")
    else:
        raise Problem(400, "BAD_REQUEST", f"invalid scope: {scope}")
    label = {
        "id": call.state.number(),
        "name": str(body.get("name", "")),
        "description": str(body.get("description", "")),
        "color": str(body.get("color", "")),
        "scope": scope,
        "project_id": project_id,
    }
    same = ("name", "scope", "project_id")
    if any(all(label[key] == other[key] for key in same) for other in call.state.labels.values()):
        raise Problem(409, "CONFLICT", f"label {label['name']} already exists")
    call.state.labels[label["id"]] = label
    return created(f"/labels/{label['id']}")


async def get_label(call: Call) -> Response:
    """GET /labels/ID."""
    require(call.caller, not call.caller.anonymous)
    return reply(200, numbered(call.state.labels, call.path["id"], "label"))


async def delete_label(call: Call) -> Response:
    """DELETE /labels/ID, and take it off everything."""
    label = numbered(call.state.labels, call.path["id"], "label")
    if label["scope"] == "g":
        call.system("label", "delete")
    else:
        project = _by_id(call, str(label["project_id"]))
        require(call.caller, call.caller.may(project, "label", "delete"))
    for artifact in call.state.artifacts():
        artifact.labels = [number for number in artifact.labels if number != label["id"]]
    del call.state.labels[label["id"]]
    return done()


def _project(project: Project) -> dict[str, Any]:
    value = {
        "project_id": project.id,
        "owner_id": 1,
        "owner_name": project.owner,
        "name": project.name,
        "creation_time": project.creation_time,
        "update_time": project.creation_time,
        "repo_count": len(project.repositories),
        "metadata": project.metadata,
        "cve_allowlist": {"id": project.id, "project_id": project.id, "items": []},
    }
    return value | {"registry_id": project.registry_id} if project.registry_id else value


def _known(call: Call, metadata: dict[str, Any]) -> dict[str, str]:
    known = _METADATA if call.state.version.at_least(SBOM) else _METADATA - {"auto_sbom_generation"}
    for key, value in metadata.items():
        if not isinstance(value, str):
            message = f"validation failure list:\nmetadata.{key} in body must be of type string"
            raise Problem(422, "UNPROCESSABLE_ENTITY", message)
    return {key: value for key, value in metadata.items() if key in known}


def _pair(call: Call) -> tuple[str, str]:
    pairs = list(call.object().items())
    if len(pairs) != 1 or pairs[0][0] not in _METADATA:
        raise Problem(400, "BAD_REQUEST", "exactly one known metadata must be given")
    return pairs[0][0], str(pairs[0][1])


def _by_id(call: Call, number: str) -> Project:
    for project in call.state.projects.values():
        if str(project.id) == number:
            return project
    raise Problem(404, "NOT_FOUND", f"project {number} not found")


def _project_of_quota(call: Call) -> Project:
    return _by_id(call, call.path["id"])


def _quota(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "ref": {"id": project.id, "name": project.name, "owner_name": project.owner},
        "hard": {"storage": project.storage_limit},
        "used": {"storage": project.used},
        "creation_time": project.creation_time,
        "update_time": project.creation_time,
    }


_P = "/projects/{project}"
ROUTES: tuple[Route, ...] = (
    ("HEAD", "/projects", project_exists),
    ("GET", "/projects", list_projects),
    ("POST", "/projects", create_project),
    ("GET", _P, get_project),
    ("PUT", _P, change_project),
    ("DELETE", _P, delete_project),
    ("GET", _P + "/summary", summary),
    ("GET", _P + "/_deletable", deletable),
    ("GET", _P + "/metadatas/", list_metadata),
    ("POST", _P + "/metadatas/", add_metadata),
    ("GET", _P + "/metadatas/{name}", get_metadata),
    ("PUT", _P + "/metadatas/{name}", change_metadata),
    ("DELETE", _P + "/metadatas/{name}", delete_metadata),
    ("GET", "/quotas", list_quotas),
    ("GET", "/quotas/{id}", get_quota),
    ("PUT", "/quotas/{id}", change_quota),
    ("GET", "/labels", list_labels),
    ("POST", "/labels", create_label),
    ("GET", "/labels/{id}", get_label),
    ("DELETE", "/labels/{id}", delete_label),
)
