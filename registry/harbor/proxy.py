"""A proxy-cache project: Harbor fetches from another registry what is pulled through it, and keeps
it. Layers in it can be mounted into other projects; nobody can push to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from registry.errors import Refused
from registry.harbor import projects, registries
from registry.harbor.api import HarborApi
from registry.harbor.projects import ProjectPolicy, visibility
from registry.harbor.registries import Endpoint
from registry.harbor.steps import State, Step, attempt


def set_up_proxy_cache(
    api: HarborApi, name: str, endpoint: Endpoint, *, public: bool = False, dry_run: bool = False
) -> Iterator[Step]:
    """The endpoint and the project that caches it, a step each. Takes a system administrator.

    public: everybody may pull through it; else one that is there stays as it is. A robot account of
    another project sees no private one, and so can mount nothing from it.

    Raises Refused for a project that is there and no cache of it: that cannot be changed.
    """
    projects.check_project(name)
    for step in registries.set_up_endpoint(api, endpoint, dry_run=dry_run):
        yield step
        if step.state is State.REFUSED:
            return
    make = partial(_project, api, name, endpoint, public, dry_run)
    yield from attempt(f"proxy cache {name}", make)


def _project(api: HarborApi, name: str, endpoint: Endpoint, public: bool, dry_run: bool) -> Step:
    what, of = f"proxy cache {name}", f"of {endpoint.url}"
    known = registries.find(api, endpoint.url)
    project = projects.find(api, name)
    if project is None:
        if not dry_run and known is not None:
            policy = ProjectPolicy(public=public, auto_scan=False)
            projects.create(api, name, policy, registry_id=known.id)
        return Step(what, State.MADE, f"{of}, {visibility(public)}")
    if known is None or project.registry_id != known.id:
        raise Refused(
            f"project {name!r} on {api.host} is not a proxy cache of {endpoint.url}",
            "Harbor decides that when a project is made",
            "name another project",
        )
    if public and not project.public:
        if not dry_run:
            projects.set_metadata(api, name, {"public": "true"})
        return Step(what, State.CHANGED, f"{of}, public", "private")
    return Step(what, State.THERE, f"{of}, {visibility(project.public)}")
