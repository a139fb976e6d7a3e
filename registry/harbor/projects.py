"""Projects: whether they are there, what they hold and may hold, and making them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import BadInput, NotFound, Unauthorized
from registry.harbor.api import HarborApi, Query
from registry.harbor.paths import project_path
from registry.harbor.values import mapping, number, text
from registry.harbor.version import SBOM

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_MOST = 255  # characters
UNLIMITED = -1


@dataclass(frozen=True)
class ProjectPolicy:
    """How a project is to be.

    quota: bytes, UNLIMITED, or None for the system's default. immutable: tag patterns (doublestar)
    of tags that never move once pushed. severity: block pulls of images with vulnerabilities of
    this severity (`low` … `critical`) or worse; empty for no block.
    """

    public: bool = False
    quota: int | None = None
    auto_scan: bool = True
    auto_sbom: bool = False
    immutable: tuple[str, ...] = ()
    severity: str = ""

    def metadata(self, api: HarborApi) -> dict[str, str]:
        """Harbor's project metadata, whose values are all strings; without what it cannot do."""
        value = {"public": _word(self.public), "auto_scan": _word(self.auto_scan)}
        if self.auto_sbom and api.version.at_least(SBOM):
            value["auto_sbom_generation"] = "true"
        if self.severity:
            value |= {"prevent_vul": "true", "severity": self.severity}
        return value


PRIVATE = ProjectPolicy()


@dataclass(frozen=True)
class Project:
    """A project as Harbor tells of it. registry_id: of the registry it is a proxy cache for, 0 for
    an ordinary project. metadata: values are strings."""

    id: int
    name: str
    public: bool
    registry_id: int
    metadata: Mapping[str, str]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Project:
        """From Harbor's Project object."""
        metadata = {key: str(item) for key, item in mapping(value, "metadata").items()}
        return cls(
            number(value, "project_id"),
            text(value, "name"),
            metadata.get("public") == "true",
            number(value, "registry_id"),
            metadata,
        )


@dataclass(frozen=True)
class Quota:
    """Storage of a project, in bytes; hard is UNLIMITED where there is no limit."""

    hard: int
    used: int

    @property
    def left(self) -> int | None:
        """Bytes left; None where there is no limit. Not below zero."""
        return None if self.hard < 0 else max(self.hard - self.used, 0)


def check_project(name: str) -> str:
    """The name, if a project can have it; raises BadInput."""
    if _NAME.fullmatch(name) and len(name) <= _MOST:
        return name
    raise BadInput(
        f"{name!r} cannot be the name of a Harbor project",
        "lower-case letters and digits, with single dots, hyphens or underscores between them",
    )


def exists(api: HarborApi, name: str) -> bool:
    """Whether there is such a project; for any caller with a good login, whatever their rights.

    Raises Unauthorized without one.
    """
    doing = f"look for project {name}"
    try:
        return api.exists("/projects", doing, {"project_name": name})
    except Unauthorized:
        if not api.user:
            raise
    # The CLI secret of somebody who logs in by OIDC is good for a GET here, but not for a HEAD.
    api.check_login()
    return any(item.get("name") == name for item in api.pages("/projects", doing, {"name": name}))


def find(api: HarborApi, name: str) -> Project | None:
    """The project, or None; raises Unauthorized when the caller may not see it."""
    try:
        value = api.find(project_path(name), f"look at project {name} on {api.host}")
    except Unauthorized:
        # Of a project that does not exist, Harbor says so to its administrators alone.
        if not api.user or exists(api, name):
            raise
        return None
    return None if value is None else Project.from_json(value)


def get(api: HarborApi, name: str) -> Project:
    """The project; raises NotFound."""
    project = find(api, name)
    if project is None:
        raise missing(name, api.host)
    return project


def missing(name: str, host: str) -> NotFound:
    """The error of a project that is not there."""
    return NotFound(f"project {name!r} does not exist on {host}", "", "imgctl harbor init makes it")


def create(api: HarborApi, name: str, policy: ProjectPolicy, *, registry_id: int = 0) -> bool:
    """Make a project; False when it is there already.

    Of the policy this does visibility, quota and metadata: rules on tags are rules.py's. Harbor
    drops fields its version does not know without a word. registry_id: makes it a proxy cache.
    """
    body: dict[str, Any] = {
        "project_name": check_project(name),
        "metadata": policy.metadata(api),
    }
    if policy.quota is not None:
        body["storage_limit"] = policy.quota
    if registry_id:
        body["registry_id"] = registry_id
    doing = f"make project {name} on {api.host}"
    return api.change("POST", "/projects", doing, body, also=(409,)).status != 409


def set_metadata(api: HarborApi, name: str, metadata: Mapping[str, str]) -> None:
    """Change fields of a project's metadata; those not named stay as they are."""
    body = {"metadata": dict(metadata)}
    api.change("PUT", project_path(name), f"change project {name} on {api.host}", body)


def quota(api: HarborApi, name: str) -> Quota | None:
    """A project's storage; None for callers who may not know it."""
    path = f"{project_path(name)}/summary"
    value = api.get(path, f"look at the quota of project {name} on {api.host}").get("quota")
    if not isinstance(value, dict):
        return None
    hard, used = mapping(value, "hard"), mapping(value, "used")
    return Quota(number(hard, "storage", UNLIMITED), number(used, "storage"))


def set_quota(api: HarborApi, project: Project, storage: int) -> None:
    """Set a project's storage limit in bytes, or UNLIMITED; takes a system administrator."""
    doing = f"set the quota of project {project.name} on {api.host}"
    query: Query = {"reference": "project", "reference_id": project.id}
    found = [item for item in api.pages("/quotas", doing, query)
             if number(mapping(item, "ref"), "id") == project.id]  # fmt: skip
    for item in found:
        api.change("PUT", f"/quotas/{number(item, 'id')}", doing, {"hard": {"storage": storage}})


def repositories(api: HarborApi, name: str) -> list[str]:
    """The names of a project's repositories, without the project's."""
    path = f"{project_path(name)}/repositories"
    items = api.pages(path, f"list the repositories of project {name} on {api.host}")
    return [text(item, "name").removeprefix(f"{name}/") for item in items]


def visibility(public: bool) -> str:
    """In a word."""
    return "public" if public else "private"


def _word(value: bool) -> str:
    return "true" if value else "false"
