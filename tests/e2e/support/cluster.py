"""A Kubernetes API server's double: the few answers kubectl needs, scripted, on a real socket.

It keeps nothing and checks nothing: each test says what is answered to which request, and a
request that it did not foresee fails it. What kubectl sends is kubectl's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.reqresp import Entry

Object = Mapping[str, Any]

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_KINDS = (
    ("", "pods", "Pod", "Namespaced"),
    ("", "events", "Event", "Namespaced"),
    ("apps", "deployments", "Deployment", "Namespaced"),
    ("apps", "daemonsets", "DaemonSet", "Namespaced"),
    ("batch", "jobs", "Job", "Namespaced"),
    ("node.k8s.io", "runtimeclasses", "RuntimeClass", "Cluster"),
)
_VERBS = ["create", "delete", "get", "list", "patch", "watch"]


def discovery() -> tuple[Entry, ...]:
    """What the server says it has, and that it validates fields."""
    groups = sorted({group for group, *_ in _KINDS} - {""})
    entries = [
        _answer("GET", "/version", {"major": "1", "minor": "32", "gitVersion": "v1.32.3"}),
        _answer("GET", "/api", _group_list([""]), _DISCOVERY),
        _answer("GET", "/apis", _group_list(groups), _DISCOVERY),
        _answer("GET", "/openapi/v3", {"paths": {
            _root(group)[1:]: {"serverRelativeURL": f"/openapi/v3{_root(group)}?hash=1"}
            for group in ["", *groups]
        }}),
    ]  # fmt: skip
    return (
        *entries,
        *(_answer("GET", f"/openapi/v3{_root(group)}", _schema(group)) for group in ["", *groups]),
    )


def applied(value: Object, namespace: str = "default", **entry: Any) -> Entry:
    """A server-side apply of an object, answered with it as the cluster would keep it."""
    metadata = value["metadata"]
    path = address(value["kind"], metadata["name"], namespace)
    there = {} if namespace == "" else {"namespace": namespace}
    kept = {**value, "metadata": {**metadata, **there, "uid": "1", "generation": 1}}
    return _answer("PATCH", path, kept, **entry)


def got(value: Object, namespace: str = "default", **entry: Any) -> Entry:
    """An object asked for by name."""
    path = address(value["kind"], value["metadata"]["name"], namespace)
    return _answer("GET", path, value, **entry)


def listed(kind: str, items: list[Object], namespace: str = "default", **entry: Any) -> Entry:
    """The objects of a kind in a namespace."""
    value = {"kind": f"{kind}List", "apiVersion": "v1", "metadata": {}, "items": items}
    return _answer("GET", address(kind, "", namespace).rstrip("/"), value, **entry)


def refused(method: str, path: str, code: int, reason: str, message: str, **entry: Any) -> Entry:
    """A request answered with an API error."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
              "message": message, "reason": reason, "code": code}  # fmt: skip
    return _answer(method, path, status, status=code, **entry)


def address(kind: str, name: str, namespace: str = "default") -> str:
    """The path of an object; without a name, of all of its kind (with a slash at the end)."""
    group, resource, _, scope = next(row for row in _KINDS if row[2] == kind)
    within = f"/namespaces/{namespace}" if scope == "Namespaced" else ""
    return f"{_root(group)}{within}/{resource}/{name}"


def write_kubeconfig(path: Path, host: str, context: str = "edge") -> Path:
    """A kubeconfig with one context, whose server is at host."""
    cluster = {"name": "double", "cluster": {"server": f"http://{host}"}}
    value = {
        "apiVersion": "v1", "kind": "Config", "clusters": [cluster], "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "double"}}],
    }  # fmt: skip
    path.write_text(json.dumps(value))
    return path


def _root(group: str) -> str:
    return f"/apis/{group}/v1" if group else "/api/v1"


def _answer(
    method: str, path: str, value: Object, kind: str = "application/json", **entry: Any
) -> Entry:
    content = json.dumps(value).encode()
    return Entry(method, path, reply={"Content-Type": kind}, content=content, **entry)


def _group_list(groups: list[str]) -> Object:
    items = []
    for group in groups:
        resources = [
            {
                "resource": resource, "singularResource": kind.lower(), "scope": scope,
                "verbs": _VERBS,
                "responseKind": {"group": group, "version": "v1", "kind": kind},
            }
            for owner, resource, kind, scope in _KINDS if owner == group
        ]  # fmt: skip
        items.append({"metadata": {"name": group} if group else {},
                      "versions": [{"version": "v1", "resources": resources}]})  # fmt: skip
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _schema(group: str) -> Object:
    """The part of a group's OpenAPI document by which kubectl learns what PATCH understands."""
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}}
                  for name in ("dryRun", "fieldManager", "fieldValidation", "force")]  # fmt: skip
    paths = {
        address(kind, "{name}", "{namespace}"): {
            "patch": {
                "parameters": parameters,
                "responses": {},
                "x-kubernetes-group-version-kind": {"group": group, "version": "v1", "kind": kind},
            }
        }
        for owner, _, kind, _ in _KINDS if owner == group
    }  # fmt: skip
    return {"openapi": "3.0.0", "info": {"title": "double", "version": "1"}, "paths": paths}
