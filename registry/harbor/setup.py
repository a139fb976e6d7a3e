"""A project brought to how a pipeline wants it: made, and each setting that differs changed.

Every step looks first, so that doing all of it again changes nothing; what was written is read
back, because Harbor drops without a word what its version does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from registry.errors import Refused, Unauthorized
from registry.harbor import projects, rules
from registry.harbor.api import HarborApi
from registry.harbor.projects import UNLIMITED, Project, ProjectPolicy, visibility
from registry.harbor.rules import ImmutableRule, Retention
from registry.harbor.steps import State, Step, attempt
from registry.harbor.version import SBOM


@dataclass(frozen=True)
class ProjectWish:
    """How a project is to be.

    policy: for making it, and for settings of one that is there. public: None leaves the visibility
    of one that is there alone. retention: what is kept when Harbor clears; None leaves it.
    replace_retention: also in place of another policy.
    """

    name: str
    policy: ProjectPolicy
    public: bool | None = None
    retention: Retention | None = None
    replace_retention: bool = False


@dataclass(frozen=True)
class _Work:
    api: HarborApi
    wish: ProjectWish
    dry_run: bool
    size: Callable[[int], str]


def set_up_project(
    api: HarborApi,
    wish: ProjectWish,
    *,
    dry_run: bool = False,
    size: Callable[[int], str] = lambda count: f"{count} bytes",
) -> Iterator[Step]:
    """Do it, a step at a time: what has been yielded has been done.

    dry_run: look only. size: how to write a number of bytes. A step that the account may not do is
    yielded as refused, and the next one follows. Raises Refused for a proxy-cache project, and what
    the API raises.
    """
    work = _Work(api, replace(wish, name=projects.check_project(wish.name)), dry_run, size)
    project = projects.find(api, wish.name)
    if project is not None and project.registry_id:
        raise Refused(
            f"project {wish.name!r} on {api.host} is a proxy cache",
            "nobody can push to one",
            "name another project",
        )
    yield _project(work, project)
    if project is not None or dry_run:
        yield from _steps(work, project)
        return
    for step in _steps(work, projects.get(api, wish.name)):
        # What making it brought about already was made, not found.
        yield replace(step, state=State.MADE) if step.state is State.THERE else step


def _steps(work: _Work, project: Project | None) -> Iterator[Step]:
    """All but the project itself; project: None for one that a dry run did not make."""
    wish = work.wish
    yield from _settings(work, project)
    yield from attempt("quota", partial(_quota, work, project))
    for pattern in wish.policy.immutable:
        yield from attempt("immutable tags", partial(_immutable, work, project, pattern))
    if wish.retention is not None:
        yield from attempt("retention", partial(_retention, work, project, wish.retention))


def _project(work: _Work, project: Project | None) -> Step:
    what = f"project {work.wish.name}"
    if project is not None:
        return Step(what, State.THERE, visibility(project.public))
    policy = replace(work.wish.policy, public=bool(work.wish.public))
    if not work.dry_run:
        projects.create(work.api, work.wish.name, policy)
    return Step(what, State.MADE, visibility(policy.public))


def _settings(work: _Work, project: Project | None) -> Iterator[Step]:
    """Visibility and the rest of the metadata, one step for each."""
    policy = work.wish.policy
    if project is not None and work.wish.public not in (None, project.public):
        yield from _metadata(work, project, "visibility", {"public": _word(work.wish.public)})
    yield from _metadata(work, project, "auto-scan", {"auto_scan": _word(policy.auto_scan)})
    if work.api.version.at_least(SBOM):
        wanted = {"auto_sbom_generation": _word(policy.auto_sbom)}
        yield from _metadata(work, project, "auto-SBOM", wanted)
    elif policy.auto_sbom:
        numbers = ".".join(map(str, SBOM))
        yield Step(
            "auto-SBOM", State.SKIPPED, f"Harbor {work.api.version} has none, {numbers} was first"
        )
    if policy.severity:
        wanted = {"prevent_vul": "true", "severity": policy.severity}
        yield from _metadata(work, project, "blocked pulls", wanted)


def _metadata(
    work: _Work, project: Project | None, what: str, wanted: dict[str, str]
) -> Iterator[Step]:
    shown = _shown(wanted)
    if project is None:
        yield Step(what, State.MADE, shown)
        return
    before = {key: project.metadata.get(key, "") for key in wanted}
    # What was never switched on is left out.
    if wanted == {key: value or "false" for key, value in before.items()}:
        yield Step(what, State.THERE, shown)
        return

    def change() -> Step:
        if not work.dry_run:
            projects.set_metadata(work.api, project.name, wanted)
            now = projects.get(work.api, project.name).metadata
            if any(now.get(key) != value for key, value in wanted.items()):
                why = f"Harbor {work.api.version} took the change and did not keep it"
                return Step(what, State.REFUSED, why)
        return Step(what, State.CHANGED, shown, _shown(before))

    yield from attempt(what, change)


def _quota(work: _Work, project: Project | None) -> Step:
    wanted = work.wish.policy.quota
    if project is None:
        shown = "the system's default" if wanted is None else _limit(work, wanted)
        return Step("quota", State.MADE, shown)
    found = projects.quota(work.api, project.name)
    if found is None:
        if wanted is None:
            return Step("quota", State.THERE, "not shown to this account")
        raise Unauthorized("the account may not see quotas")
    if wanted in (None, found.hard):
        return Step("quota", State.THERE, _limit(work, found.hard))
    if not work.dry_run:
        projects.set_quota(work.api, project, wanted if wanted is not None else UNLIMITED)
        now = projects.quota(work.api, project.name)
        if now is None or now.hard != wanted:
            raise Unauthorized("only a system administrator sets quotas")
    return Step("quota", State.CHANGED, _limit(work, wanted or 0), _limit(work, found.hard))


def _immutable(work: _Work, project: Project | None, pattern: str) -> Step:
    what, wish = "immutable tags", ImmutableRule(pattern)
    found = rules.immutable_rules(work.api, project.name) if project else []
    same = [rule for rule in found if rule.same_as(replace(wish, disabled=rule.disabled))]
    if any(not rule.disabled for rule in same):
        return Step(what, State.THERE, pattern)
    if same:
        if not work.dry_run:
            rules.change_immutable_rule(work.api, work.wish.name, replace(same[0], disabled=False))
        return Step(what, State.CHANGED, pattern, "disabled")
    if not work.dry_run:
        rules.add_immutable_rule(work.api, work.wish.name, wish)
    return Step(what, State.MADE, pattern)


def _retention(work: _Work, project: Project | None, wish: Retention) -> Step:
    what = "retention"
    policy = rules.retention(work.api, project) if project is not None else None
    if policy is not None and wish.same_as(policy):
        return Step(what, State.THERE, str(wish))
    if policy is not None and not work.wish.replace_retention:
        return Step(what, State.THERE, "another policy, left as it is; --keep N replaces it")
    if project is not None and not work.dry_run:
        rules.set_retention(work.api, project, wish)
    state = State.MADE if policy is None else State.CHANGED
    return Step(what, state, str(wish), "" if policy is None else "another policy")


def _limit(work: _Work, limit: int) -> str:
    return "unlimited" if limit < 0 else work.size(limit)


def _shown(metadata: dict[str, str]) -> str:
    """`on`, `off`, `private`, `critical`."""
    if "severity" in metadata:
        return metadata["severity"] if metadata["prevent_vul"] == "true" else "off"
    if "public" in metadata:
        return visibility(metadata["public"] == "true")
    return "on" if "true" in metadata.values() else "off"


def _word(value: bool | None) -> str:
    return "true" if value else "false"
