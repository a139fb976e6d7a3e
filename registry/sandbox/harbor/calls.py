"""One request to the double's API: who asks, for what, and the ways all its answers share."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from registry.sandbox.harbor.access import Caller, require
from registry.sandbox.harbor.state import Artifact, HarborState, Project, Repository
from registry.sandbox.replies import Problem, reply

ROOT = "/api/v2.0"
_PAGE_SIZE = 10
_MOST = 100


@dataclass(frozen=True)
class Call:
    """A request that has found its route. path: the route's parameters, decoded. body: its JSON.

    storage: the application that keeps manifests and blobs.
    """

    state: HarborState
    caller: Caller
    request: Request
    path: Mapping[str, str]
    body: Any
    storage: ASGIApp

    @property
    def query(self) -> Mapping[str, str]:
        """Query parameters, decoded; the first of each name."""
        return self.request.query_params

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean query parameter."""
        return self.query.get(name, str(default)).lower() in ("true", "1")

    def object(self) -> dict[str, Any]:
        """The body, which must be an object."""
        if not isinstance(self.body, dict):
            raise Problem(422, "UNPROCESSABLE_ENTITY", "validation failure list:\nbody is required")
        return self.body

    def project(self, resource: str, action: str, *, by_id: bool = True) -> Project:
        """The project of the path, if the caller may do that in it.

        by_id: paths with `project_name_or_id` take digits for an id, unless X-Is-Resource-Name
        says that they are a name.
        """
        name = self.path["project"]
        found = self.state.projects.get(name)
        is_name = self.request.headers.get("x-is-resource-name", "").lower() == "true"
        if by_id and name.isdigit() and not is_name:
            known = self.state.projects.values()
            found = next((item for item in known if item.id == int(name)), None)
        if found is None:
            require(self.caller, self.caller.admin)
            raise Problem(404, "NOT_FOUND", f"project {name} not found")
        require(self.caller, self.caller.may(found, resource, action))
        return found

    def repository(self, resource: str, action: str) -> tuple[Project, Repository]:
        """The repository of the path, if the caller may do that in its project."""
        project = self.project(resource, action, by_id=False)
        found = project.repositories.get(self.path["repository"])
        if found is None:
            message = f"repository {project.name}/{self.path['repository']} not found"
            raise Problem(404, "NOT_FOUND", message)
        return project, found

    def artifact(self, resource: str, action: str) -> tuple[Project, Repository, Artifact]:
        """The artifact of the path, if the caller may do that in its project."""
        project = self.project(resource, action, by_id=False)
        name, reference = self.path["repository"], self.path["reference"]
        repository = project.repositories.get(name)
        found = repository.find(reference) if repository else None
        if repository is None or found is None:
            mark = "@" if ":" in reference else ":"
            message = f"artifact {project.name}/{name}{mark}{reference} not found"
            raise Problem(404, "NOT_FOUND", message)
        return project, repository, found

    def system(self, resource: str, action: str) -> None:
        """Refuse callers who may not do that to Harbor as a whole."""
        require(self.caller, self.caller.may_system(resource, action))

    def page(self, items: Sequence[dict[str, Any]]) -> Response:
        """A page of a list, with its X-Total-Count and Link headers.

        page_size 0 is the whole list, and -1 a list whose next page never ends.
        """
        page, size = self._number("page", 1), self._number("page_size", _PAGE_SIZE)
        if page < 1 or size > _MOST or size < -1:
            name = "page" if page < 1 else "page_size"
            message = f"validation failure list:\n{name} in query should be in its range"
            raise Problem(422, "UNPROCESSABLE_ENTITY", message)
        shown = items if size < 1 else items[(page - 1) * size : page * size]
        headers = {"X-Total-Count": str(len(items))}
        if size < 0 or (size and page * size < len(items)):
            others = [(key, value) for key, value in self.query.items()
                      if key not in ("page", "page_size")]  # fmt: skip
            pairs = [("page", str(page + 1)), ("page_size", str(size)), *others]
            query = "&".join(f"{key}={value}" for key, value in pairs)
            headers["Link"] = f'<{self.request.url.path}?{query}>; rel="next"'
        return reply(200, list(shown), headers)

    def conditions(self) -> dict[str, str]:
        """The `q` parameter: fields to `value` or `~value`."""
        pairs = (part.partition("=") for part in self.query.get("q", "").split(",") if part)
        return {key: value for key, _, value in pairs}

    def _number(self, name: str, default: int) -> int:
        text = self.query.get(name, str(default))
        if not re.fullmatch(r"-?\d+", text):
            message = f"validation failure list:\n{name} in query must be of type int64"
            raise Problem(422, "UNPROCESSABLE_ENTITY", message)
        return int(text)


Handler = Callable[[Call], Awaitable[Response]]
Route = tuple[str, str, Handler]  # method, path template like /projects/{project}, handler


def meets(wanted: str, value: str) -> bool:
    """Whether a value meets one condition of `q`."""
    return wanted[1:] in value if wanted.startswith("~") else wanted == value


def created(path: str) -> Response:
    """201 without a body, as most things are made."""
    return Response(status_code=201, headers={"Location": f"{ROOT}{path}"})


def done(status: int = 200) -> Response:
    """No body."""
    return Response(status_code=status)


def numbered(table: Mapping[int, Any], number: str, what: str) -> Any:
    """An entry by its number in a path; a 404 Problem without."""
    found = table.get(int(number)) if number.isdigit() else None
    if found is None:
        raise Problem(404, "NOT_FOUND", f"{what} with id {number} not found")
    return found
