"""What the account that asks may do, found out by asking: for one that may not look at itself.

Only what a harmless question shows: whether it may make or change things shows when it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from registry.challenge import granted_by
from registry.errors import NotFound, Refused, Unauthorized
from registry.harbor import projects
from registry.harbor.api import HarborApi
from registry.harbor.paths import artifact_path, project_path, repository_path
from registry.harbor.robots import Access

# A repository that nobody has: rights are looked at before whether it is there.
_NOWHERE = "imgctl-is-asking"


def probe(api: HarborApi, project: str) -> Mapping[Access, bool]:
    """What the caller may and may not do in a project that exists; what is not named is unknown.

    Raises NotFound when there is no such project, Unauthorized for a wrong password.
    """
    if not projects.exists(api, project):
        raise projects.missing(project, api.host)
    pulls, pushes = _token(api, f"{project}/{_NOWHERE}")
    there = project_path(project)
    artifact = artifact_path(project, _NOWHERE, _NOWHERE)
    found = {
        Access("repository", "pull"): pulls,
        Access("repository", "push"): pushes,
        Access("project", "read"): _may_get(api, there),
        Access("repository", "list"): _may_list(api, f"{there}/repositories"),
        Access("artifact", "list"): _may_list(
            api, f"{repository_path(project, _NOWHERE)}/artifacts"
        ),
        Access("artifact", "read"): _may_get(api, artifact),
        Access("tag", "list"): _may_list(api, f"{artifact}/tags"),
        Access("immutable-tag", "list"): _may_list(api, f"{there}/immutabletagrules"),
    }
    if found[Access("project", "read")]:
        found[Access("quota", "read")] = projects.quota(api, project) is not None
    return found


def _token(api: HarborApi, repository: str) -> tuple[bool, bool]:
    """Whether a token for a repository would let the caller pull and push."""
    scope = f"repository:{repository}:pull,push"
    query = urlencode({"service": "harbor-registry", "scope": scope})
    granted = granted_by(api.token(query)) or frozenset()
    actions = {permission.action for permission in granted}
    return "pull" in actions, "push" in actions


def _may_get(api: HarborApi, path: str) -> bool:
    return _allowed(lambda: api.find(path, "look at it"))


def _may_list(api: HarborApi, path: str) -> bool:
    return _allowed(lambda: next(api.pages(path, "list it"), None))


def _allowed(ask: Callable[[], object]) -> bool:
    """Whether something may be asked, whatever the answer is."""
    try:
        ask()
    except Unauthorized:
        return False
    except (NotFound, Refused):
        return True
    return True
