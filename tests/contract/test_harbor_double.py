"""Every route of the double, asked at least once, answers as Harbor's OpenAPI file says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry.harbor.api import ROOT
from registry.sandbox.harbor.double import HarborDouble
from registry.sandbox.harbor.state import Scanner
from tests.contract.openapi import OpenApi
from tests.contract.recorder import Wire, wire
from tests.contract.test_harbor_client import PROJECT, image, problems

P = f"/projects/{PROJECT}"
R = f"{P}/repositories/team%252Fmnist"
A = f"{R}/artifacts/1.0"
RULE = {
    "action": "immutable",
    "template": "immutable_template",
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
    "scope_selectors": {
        "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
    },
}
ACCESS = [{"resource": "repository", "action": "pull"}]
ROBOT = {
    "name": "ci",
    "level": "project",
    "duration": 30,
    "disable": False,
    "permissions": [{"kind": "project", "namespace": PROJECT, "access": ACCESS}],
}
REGISTRY = {
    "name": "nvcr",
    "type": "docker-registry",
    "url": "https://nvcr.io",
    "insecure": False,
    "credential": {"type": "basic", "access_key": "$oauthtoken", "access_secret": "key"},
}
POLICY = {
    "name": "bases",
    "dest_namespace": PROJECT,
    "filters": [{"type": "name", "value": "nvidia/l4t-base"}],
    "trigger": {"type": "manual"},
    "override": False,
    "enabled": True,
}


def conversation(project_id: int) -> Iterator[tuple[str, str, Any]]:
    """Requests in order: method, path and query, body. `{last}` is the number of what was made."""
    yield from (
        ("GET", "/ping", None),
        ("GET", "/health", None),
        ("GET", "/systeminfo", None),
        ("GET", "/systeminfo/volumes", None),
        ("GET", "/systeminfo/getcert", None),
        ("GET", "/users/current", None),
        ("GET", "/permissions", None),
        ("HEAD", f"/projects?project_name={PROJECT}", None),
        ("HEAD", "/projects?project_name=nope", None),
        ("GET", "/projects?name=alg&public=false&page=1&page_size=2", None),
        ("POST", "/projects", {"project_name": "Bad"}),
        ("POST", "/projects", {"project_name": "q", "metadata": {"public": "true"}}),
        ("POST", "/projects", {"project_name": "q"}),
        ("PUT", "/projects/q", {"metadata": {"auto_scan": "true"}}),
        ("GET", "/projects/q/metadatas/", None),
        ("POST", "/projects/q/metadatas/", {"severity": "high"}),
        ("GET", "/projects/q/metadatas/severity", None),
        ("PUT", "/projects/q/metadatas/severity", {"severity": "low"}),
        ("DELETE", "/projects/q/metadatas/severity", None),
        ("GET", "/projects/q/_deletable", None),
        ("DELETE", "/projects/q", None),
        ("GET", "/projects/q", None),
        ("GET", P, None),
        ("GET", f"{P}/summary", None),
        ("GET", f"/quotas?reference=project&reference_id={project_id}", None),
        ("GET", f"/quotas/{project_id}", None),
        ("PUT", f"/quotas/{project_id}", {"hard": {"storage": 1 << 40}}),
        ("PUT", f"/quotas/{project_id}", {"hard": {"storage": -5}}),
        ("POST", "/labels", {"name": "tmp", "scope": "g", "color": "#ffffff"}),
        ("GET", "/labels/{last}", None),
        ("DELETE", "/labels/{last}", None),
        ("GET", "/labels", None),
        ("POST", "/labels", {"name": "own", "scope": "p", "project_id": project_id}),
        ("POST", f"{A}/labels", {"id": "{last}"}),
        ("GET", f"{A}?with_label=true&with_scan_overview=true&with_accessory=true", None),
        ("DELETE", f"{A}/labels/{{last}}", None),
        ("GET", f"/labels?scope=p&project_id={project_id}", None),
        ("POST", f"{P}/immutabletagrules", RULE),
        ("PUT", f"{P}/immutabletagrules/{{last}}", {**RULE, "disabled": True, "id": "{last}"}),
        ("GET", f"{P}/immutabletagrules", None),
        ("DELETE", f"{P}/immutabletagrules/{{last}}", None),
        ("POST", "/retentions", retention(project_id)),
        ("GET", "/retentions/{last}", None),
        ("PUT", "/retentions/{last}", retention(project_id)),
        ("DELETE", "/retentions/{last}", None),
        ("POST", "/robots", ROBOT),
        ("GET", "/robots/{last}", None),
        ("PUT", "/robots/{last}", {**ROBOT, "name": f"robot${PROJECT}+ci", "duration": 60}),
        ("PATCH", "/robots/{last}", {"secret": ""}),
        ("GET", f"/robots?q=Level%3Dproject%2CProjectID%3D{project_id}", None),
        ("DELETE", "/robots/{last}", None),
        ("GET", "/robots/{last}", None),
    )  # fmt: skip
    yield from images()
    yield from administration()


def images() -> Iterator[tuple[str, str, Any]]:
    """Repositories and artifacts, their tags and scans."""
    yield from (
        ("GET", "/repositories", None),
        ("GET", f"{P}/repositories?q=name%3D~mnist", None),
        ("GET", R, None),
        ("PUT", R, {"description": "digits"}),
        ("GET", f"{R}/artifacts?with_tag=true&q=tags%3D1.0", None),
        ("GET", f"{P}/artifacts?with_scan_overview=true", None),
        ("GET", f"{A}/tags?with_immutable_status=true", None),
        ("POST", f"{A}/tags", {"name": "next"}),
        ("POST", f"{A}/tags", {"name": "next"}),
        ("POST", f"{A}/tags", {"name": "not a tag"}),
        ("DELETE", f"{A}/tags/next", None),
        ("GET", f"{A}/accessories", None),
        ("POST", f"{A}/scan", {"scan_type": "vulnerability"}),
        ("GET", f"{A}?with_scan_overview=true", None),
        ("GET", f"{A}/additions/vulnerabilities", None),
        ("POST", f"{A}/scan/stop", {"scan_type": "vulnerability"}),
        ("POST", f"{P}/repositories/copy/artifacts?from={PROJECT}/team/mnist:1.0", None),
        ("POST", f"{P}/repositories/copy/artifacts?from=nowhere", None),
        ("DELETE", f"{P}/repositories/copy/artifacts/1.0", None),
        ("GET", f"{P}/repositories/copy/artifacts/1.0", None),
        ("DELETE", f"{P}/repositories/copy", None),
        ("DELETE", f"{P}/repositories/copy", None),
    )


def administration() -> Iterator[tuple[str, str, Any]]:
    """Garbage collection, registries, replication."""
    manual = {"schedule": {"type": "Manual"}, "parameters": {"dry_run": True, "workers": 1}}
    yield from (
        ("POST", "/system/gc/schedule", manual),
        ("GET", "/system/gc?sort=-creation_time", None),
        ("GET", "/system/gc/{last}", None),
        ("GET", "/system/gc/{last}/log", None),
        ("GET", "/replication/adapters", None),
        ("POST", "/registries", REGISTRY),
        ("POST", "/registries", REGISTRY),
        ("GET", "/registries?q=name%3Dnvcr", None),
        ("GET", "/registries/{last}", None),
        ("DELETE", "/registries/{last}", None),
        ("POST", "/replication/policies", POLICY),
        ("GET", "/replication/policies?name=bases", None),
        ("GET", "/replication/policies/{last}", None),
        ("PUT", "/replication/policies/{last}", {**POLICY, "enabled": False}),
        ("POST", "/replication/executions", {"policy_id": "{last}"}),
        ("GET", "/replication/executions", None),
        ("GET", "/replication/executions/{last}", None),
    )


def retention(project_id: int) -> dict[str, Any]:
    rule = {
        "action": "retain",
        "template": "latestPushedK",
        "params": {"latestPushedK": 3},
        "tag_selectors": RULE["tag_selectors"],
        "scope_selectors": RULE["scope_selectors"],
    }
    return {
        "algorithm": "or",
        "scope": {"level": "project", "ref": project_id},
        "trigger": {"kind": "Schedule", "settings": {"cron": ""}, "references": {}},
        "rules": [rule],
    }


def speak(given: Wire) -> None:
    """The whole conversation, as the administrator."""
    last = 0
    for method, path, body in conversation(given.double.state.projects[PROJECT].id):
        text = json.dumps(body).replace('"{last}"', str(last)).replace("{last}", str(last))
        value = None if body is None else json.loads(text)
        answer = given.api.change(
            method, path.replace("{last}", str(last)), "speak", value, also=tuple(range(400, 500))
        )
        number = answer.headers.get("location", "").rpartition("/")[2]
        last = int(number) if number.isdigit() else last


def test_every_route_of_the_double_answers_as_harbor_does(openapi: OpenApi, tmp_path: Path) -> None:
    double = HarborDouble()
    double.state.scanner = Scanner(steps=("Success",), counts={"High": 2})
    with wire(double) as given:
        image(given, tmp_path, ("1.0",), PROJECT)
        speak(given)
        # What the policy was made as is not known beforehand.
        for number in list(double.state.policies):
            given.api.change("DELETE", f"/replication/policies/{number}", "delete")
    assert problems(openapi, given.exchanges) == []
    asked = {(item.method, item.path.removeprefix(ROOT)) for item in given.exchanges}
    silent = [
        f"{method} {template}"
        for method, template, _ in double.routes
        if not any(
            method == other and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
            for other, path in asked
        )
    ]
    assert silent == []


def test_the_double_has_nothing_that_harbor_has_not(openapi: OpenApi) -> None:
    paths = {re.sub(r"\{\w+\}", "{}", path): item for path, item in openapi.value["paths"].items()}
    invented = [
        f"{method} {template}"
        for method, template, _ in HarborDouble().routes
        if method.lower() not in paths.get(re.sub(r"\{\w+\}", "{}", template), {})
    ]
    assert invented == []


def test_errors_have_harbors_form(openapi: OpenApi) -> None:
    with wire() as given:
        for path in ("/projects/nope", f"{R}/artifacts/1.0", "/robots/99", "/quotas/99"):
            answer = given.api.change("DELETE", path, "delete", also=(404, 405))
            (entry,) = answer.errors
            assert entry.code in ("NOT_FOUND", "METHOD_NOT_ALLOWED")
