"""Labels: a project's or the system's, and putting them on artifacts."""

from __future__ import annotations

from typing import Any

from registry.harbor.api import HarborApi, Query, created_id
from registry.harbor.paths import artifact_path
from registry.harbor.problems import Conflict
from registry.harbor.values import number


def find(api: HarborApi, project_id: int, name: str) -> int | None:
    """The number of a label by its name: the project's own first, then the system's."""
    scopes: tuple[Query, ...] = ({"scope": "p", "project_id": project_id}, {"scope": "g"})
    for scope in scopes:
        doing = f"look for label {name} on {api.host}"
        # Harbor looks for names that contain this one.
        found: list[dict[str, Any]] = [
            item
            for item in api.pages("/labels", doing, {**scope, "name": name})
            if item.get("name") == name
        ]
        if found:
            return number(found[0], "id")
    return None


def create(api: HarborApi, project_id: int, name: str) -> int:
    """Make a label of the project; its number. Raises Conflict when there is one by that name."""
    body = {"name": name, "scope": "p", "project_id": project_id}
    return created_id(api.change("POST", "/labels", f"make label {name} on {api.host}", body))


def find_or_create(api: HarborApi, project_id: int, name: str) -> int:
    """The number of a label, which is made where there is none; another push may make it too."""
    number = find(api, project_id, name)
    if number is not None:
        return number
    try:
        return create(api, project_id, name)
    except Conflict:
        number = find(api, project_id, name)
        if number is None:
            raise
        return number


def add(api: HarborApi, project: str, repository: str, reference: str, label: int) -> bool:
    """Put a label on an artifact; False when it is there already."""
    path = f"{artifact_path(project, repository, reference)}/labels"
    doing = f"label {api.host}/{project}/{repository}@{reference}"
    return api.change("POST", path, doing, {"id": label}, also=(409,)).status != 409
