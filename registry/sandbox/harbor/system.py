"""The double's API: what Harbor says of itself, garbage collection, registries and replication."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from registry.harbor.version import PERMISSION_LIST
from registry.sandbox.harbor.access import require
from registry.sandbox.harbor.calls import Call, Route, created, done, meets, numbered
from registry.sandbox.harbor.state import now
from registry.sandbox.replies import Problem, reply

_COMPONENTS = ("core", "database", "jobservice", "portal", "redis", "registry", "registryctl")
_ADAPTERS = ("harbor", "docker-hub", "docker-registry", "google-gcr", "aws-ecr", "azure-acr",
             "github-ghcr", "gitlab", "quay", "jfrog-artifactory")  # fmt: skip


async def ping(call: Call) -> Response:
    """GET /ping."""
    return Response("Pong", media_type="text/plain")


async def health(call: Call) -> Response:
    """GET /health."""
    components = [{"name": name, "status": "healthy"} for name in _COMPONENTS]
    if call.state.scanner.present:
        components.append({"name": "trivy", "status": "healthy"})
    return reply(200, {"status": "healthy", "components": components})


async def system_info(call: Call) -> Response:
    """GET /systeminfo; newer versions tell theirs only to who has logged in."""
    value: dict[str, Any] = {"auth_mode": call.state.auth_mode, "primary_auth_mode": False,
                             "self_registration": False}  # fmt: skip
    version = call.state.version
    if not call.caller.anonymous or not version.at_least(PERMISSION_LIST):
        host = call.request.headers.get("host", "")
        value |= {
            "harbor_version": version.text,
            "registry_url": host,
            "external_url": f"{call.request.url.scheme}://{host}",
            "has_ca_root": False,
            "read_only": call.state.read_only,
            "project_creation_restriction": "everyone",
            "registry_storage_provider_name": "filesystem",
            "notification_enable": True,
            "current_time": now(),
        }
    return reply(200, value)


async def volumes(call: Call) -> Response:
    """GET /systeminfo/volumes."""
    call.system("system-volumes", "read")
    return reply(200, {"storage": [{"total": 1 << 40, "free": 1 << 39}]})


async def certificate(call: Call) -> Response:
    """GET /systeminfo/getcert: there is none."""
    raise Problem(404, "NOT_FOUND", "certificate not found")


async def current_user(call: Call) -> Response:
    """GET /users/current: not for robot accounts."""
    if call.caller.robot is not None:
        message = "get current user not available for security context: robot"
        raise Problem(412, "PRECONDITION", message)
    require(call.caller, not call.caller.anonymous)
    user = call.caller.user
    value = {"user_id": user.id, "username": user.name, "sysadmin_flag": user.admin,
             "admin_role_in_auth": False} if user else {}  # fmt: skip
    return reply(200, value)


# --- garbage collection ---


async def schedule_collection(call: Call) -> Response:
    """POST /system/gc/schedule: one that is run by hand is done at once."""
    call.system("garbage-collection", "create")
    body = call.object()
    if (body.get("schedule") or {}).get("type") != "Manual":
        return created("/system/gc/schedule")
    number = call.state.number()
    parameters = {"dry_run": False, "delete_untagged": False, **(body.get("parameters") or {})}
    call.state.collections[number] = {
        "id": number,
        "job_name": "GARBAGE_COLLECTION",
        "job_kind": "MANUAL",
        "job_parameters": json.dumps(
            {**parameters, "purged_blobs": 0, "purged_manifests": 0, "freed_space": 0}
        ),
        "job_status": "Success",
        "deleted": False,
        "creation_time": now(),
        "update_time": now(),
    }
    return created(f"/system/gc/{number}")


async def list_collections(call: Call) -> Response:
    """GET /system/gc."""
    call.system("garbage-collection", "list")
    found = list(call.state.collections.values())
    return call.page(found[::-1] if call.query.get("sort", "").startswith("-") else found)


async def get_collection(call: Call) -> Response:
    """GET /system/gc/ID."""
    call.system("garbage-collection", "read")
    return reply(200, numbered(call.state.collections, call.path["id"], "gc"))


async def collection_log(call: Call) -> Response:
    """GET /system/gc/ID/log."""
    call.system("garbage-collection", "read")
    numbered(call.state.collections, call.path["id"], "gc")
    return Response("0 blobs and 0 manifests eligible for deletion\n", media_type="text/plain")


# --- registries and replication ---


async def list_adapters(call: Call) -> Response:
    """GET /replication/adapters."""
    call.system("replication-adapter", "list")
    return reply(200, list(_ADAPTERS))


async def list_registries(call: Call) -> Response:
    """GET /registries."""
    call.system("registry", "list")
    wanted = call.conditions().get("name", "~")
    found = [item for item in call.state.registries.values() if meets(wanted, item["name"])]
    return call.page(found)


async def create_registry(call: Call) -> Response:
    """POST /registries; every address is taken for one that answers."""
    call.system("registry", "create")
    body = call.object()
    if body.get("type") not in _ADAPTERS:
        raise Problem(400, "BAD_REQUEST", f"adapter factory for {body.get('type')} not found")
    if any(item["name"] == body.get("name") for item in call.state.registries.values()):
        raise Problem(409, "CONFLICT", f"registry {body.get('name')} already exists")
    number = call.state.number()
    known = ("name", "type", "url", "insecure", "description")
    kept: dict[str, Any] = {key: body[key] for key in known if key in body}
    call.state.registries[number] = {"id": number, "status": "healthy", **kept}
    if body.get("credential"):
        call.state.registries[number]["credential"] = {
            **body["credential"], "access_secret": "*****"
        }  # fmt: skip
    return created(f"/registries/{number}")


async def get_registry(call: Call) -> Response:
    """GET /registries/ID."""
    call.system("registry", "read")
    return reply(200, numbered(call.state.registries, call.path["id"], "registry"))


async def delete_registry(call: Call) -> Response:
    """DELETE /registries/ID, unless a project or policy uses it."""
    call.system("registry", "delete")
    number = numbered(call.state.registries, call.path["id"], "registry")["id"]
    users: list[Any] = [item.registry_id for item in call.state.projects.values()]
    users += [(item.get("src_registry") or {}).get("id") for item in call.state.policies.values()]
    if number in users:
        raise Problem(412, "PRECONDITION", f"registry {number} is in use")
    del call.state.registries[number]
    return done()


async def list_policies(call: Call) -> Response:
    """GET /replication/policies."""
    call.system("replication-policy", "list")
    wanted = call.query.get("name", "")
    conditions = call.conditions().get("name", "~")
    return call.page([item for item in call.state.policies.values()
                      if wanted in item["name"] and meets(conditions, item["name"])])  # fmt: skip


async def create_policy(call: Call) -> Response:
    """POST /replication/policies."""
    call.system("replication-policy", "create")
    body = call.object()
    for side in ("src_registry", "dest_registry"):
        if (body.get(side) or {}).get("id"):
            numbered(call.state.registries, str(body[side]["id"]), "registry")
    if any(item["name"] == body.get("name") for item in call.state.policies.values()):
        raise Problem(409, "CONFLICT", f"policy {body.get('name')} already exists")
    number = call.state.number()
    call.state.policies[number] = {**body, "id": number}
    return created(f"/replication/policies/{number}")


async def get_policy(call: Call) -> Response:
    """GET /replication/policies/ID."""
    call.system("replication-policy", "read")
    return reply(200, numbered(call.state.policies, call.path["id"], "policy"))


async def change_policy(call: Call) -> Response:
    """PUT /replication/policies/ID."""
    call.system("replication-policy", "update")
    number = numbered(call.state.policies, call.path["id"], "policy")["id"]
    call.state.policies[number] = {**call.object(), "id": number}
    return done()


async def delete_policy(call: Call) -> Response:
    """DELETE /replication/policies/ID."""
    call.system("replication-policy", "delete")
    del call.state.policies[numbered(call.state.policies, call.path["id"], "policy")["id"]]
    return done()


async def start_execution(call: Call) -> Response:
    """POST /replication/executions: done at once, with nothing to do."""
    call.system("replication", "create")
    policy = numbered(call.state.policies, str(call.object().get("policy_id")), "policy")
    number = call.state.number()
    call.state.executions[number] = {
        "id": number,
        "policy_id": policy["id"],
        "status": "Succeed",
        "trigger": "manual",
        "total": 0,
        "failed": 0,
        "succeed": 0,
        "in_progress": 0,
        "stopped": 0,
        "start_time": now(),
        "end_time": now(),
    }
    return created(f"/replication/executions/{number}")


async def list_executions(call: Call) -> Response:
    """GET /replication/executions."""
    call.system("replication", "list")
    wanted = call.query.get("policy_id", "")
    return call.page([item for item in call.state.executions.values()
                      if wanted in ("", str(item["policy_id"]))])  # fmt: skip


async def get_execution(call: Call) -> Response:
    """GET /replication/executions/ID."""
    call.system("replication", "read")
    return reply(200, numbered(call.state.executions, call.path["id"], "execution"))


ROUTES: tuple[Route, ...] = (
    ("GET", "/ping", ping),
    ("GET", "/health", health),
    ("GET", "/systeminfo", system_info),
    ("GET", "/systeminfo/volumes", volumes),
    ("GET", "/systeminfo/getcert", certificate),
    ("GET", "/users/current", current_user),
    ("POST", "/system/gc/schedule", schedule_collection),
    ("GET", "/system/gc", list_collections),
    ("GET", "/system/gc/{id}", get_collection),
    ("GET", "/system/gc/{id}/log", collection_log),
    ("GET", "/replication/adapters", list_adapters),
    ("GET", "/registries", list_registries),
    ("POST", "/registries", create_registry),
    ("GET", "/registries/{id}", get_registry),
    ("DELETE", "/registries/{id}", delete_registry),
    ("GET", "/replication/policies", list_policies),
    ("POST", "/replication/policies", create_policy),
    ("GET", "/replication/policies/{id}", get_policy),
    ("PUT", "/replication/policies/{id}", change_policy),
    ("DELETE", "/replication/policies/{id}", delete_policy),
    ("POST", "/replication/executions", start_execution),
    ("GET", "/replication/executions", list_executions),
    ("GET", "/replication/executions/{id}", get_execution),
)
