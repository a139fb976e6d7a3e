"""Rules of a project on its tags: which never move, and which are kept when others are cleared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.errors import BadInput
from registry.harbor.api import HarborApi, created_id
from registry.harbor.doublestar import is_pattern, matches
from registry.harbor.paths import project_path
from registry.harbor.projects import Project
from registry.harbor.values import mapping, mappings, number, text

EVERY_REPOSITORY = "**"
# Seconds, which newer versions want to be 0, minutes, hours, day, month, weekday.
_CRON = re.compile(r"0( [\dA-Za-z*/,?-]+){5}")


@dataclass(frozen=True)
class ImmutableRule:
    """Tags that match cannot be moved or deleted. Patterns are doublestar.

    tags_excluded, repositories_excluded: the rule is for what does not match the pattern. id: 0
    for a rule that is not in Harbor yet.
    """

    tags: str
    repositories: str = EVERY_REPOSITORY
    tags_excluded: bool = False
    repositories_excluded: bool = False
    disabled: bool = False
    id: int = 0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImmutableRule:
        """From Harbor's ImmutableRule object."""
        tags = _first(mappings(value, "tag_selectors"))
        scope = _first(mappings(mapping(value, "scope_selectors"), "repository"))
        return cls(
            text(tags, "pattern"),
            text(scope, "pattern"),
            tags.get("decoration") == "excludes",
            scope.get("decoration") == "repoExcludes",
            value.get("disabled") is True,
            number(value, "id"),
        )

    def to_json(self) -> dict[str, Any]:
        """As Harbor takes it; without an id for a new rule."""
        scope = "repoExcludes" if self.repositories_excluded else "repoMatches"
        tags = "excludes" if self.tags_excluded else "matches"
        value: dict[str, Any] = {
            "action": "immutable",
            "template": "immutable_template",
            "disabled": self.disabled,
            "tag_selectors": [_selector(tags, self.tags)],
            "scope_selectors": {"repository": [_selector(scope, self.repositories)]},
        }
        return value | {"id": self.id} if self.id else value

    def holds(self, repository: str, tag: str) -> bool:
        """Whether the rule makes this tag immutable; repository: its name within the project."""
        in_scope = matches(self.repositories, repository) is not self.repositories_excluded
        return not self.disabled and in_scope and matches(self.tags, tag) is not self.tags_excluded

    def same_as(self, other: ImmutableRule) -> bool:
        """Whether both say the same, whatever their ids."""
        return {**self.to_json(), "id": 0} == {**other.to_json(), "id": 0}

    def __str__(self) -> str:
        tags = f"all tags but {self.tags}" if self.tags_excluded else f"tags {self.tags}"
        where = f"repositories {self.repositories}"
        if self.repositories_excluded:
            where = f"all repositories but {self.repositories}"
        return f"{tags} in {where}"


@dataclass(frozen=True)
class Retention:
    """What a project keeps when Harbor clears it; all else goes.

    latest: so many of the artifacts pushed last, of each repository. always: tags that match are
    kept whatever their age. cron: when, in six fields; empty for only by hand.
    """

    latest: int = 10
    always: str = ""
    cron: str = ""

    def rules(self) -> list[dict[str, Any]]:
        """The rules as Harbor takes them."""
        rules = [_retention_rule("latestPushedK", {"latestPushedK": self.latest}, "**")]
        if self.always:
            rules.append(_retention_rule("always", {}, self.always))
        return rules

    def to_json(self, project: Project) -> dict[str, Any]:
        """As Harbor takes it for a project."""
        return {
            "algorithm": "or",
            "scope": {"level": "project", "ref": project.id},
            "trigger": {"kind": "Schedule", "settings": {"cron": self.cron}, "references": {}},
            "rules": self.rules(),
        }

    def same_as(self, policy: Mapping[str, Any]) -> bool:
        """Whether Harbor's policy keeps the same, at the same times."""
        cron = text(mapping(mapping(policy, "trigger"), "settings"), "cron")
        found = [_essence(rule) for rule in mappings(policy, "rules")]
        return cron == self.cron and found == [_essence(rule) for rule in self.rules()]

    def __str__(self) -> str:
        always = f", and tags {self.always} always" if self.always else ""
        when = f"at {self.cron}" if self.cron else "when run by hand"
        return f"the last {self.latest} of each repository{always}; {when}"


def check_pattern(text: str) -> str:
    """The pattern, if tags can match it; raises BadInput. Harbor takes any, and holds nothing."""
    if is_pattern(text):
        return text
    raise BadInput(
        f"{text!r} is no pattern for tags",
        "brackets and braces close" if text else "it is empty",
        "write one like '*-l4t-*' or '{rel-*,v[0-9]*}'",
    )


def check_cron(text: str) -> str:
    """The schedule, if Harbor takes it; raises BadInput."""
    fields = " ".join(text.split())
    if _CRON.fullmatch(fields):
        return fields
    raise BadInput(
        f"{text!r} is no schedule",
        "Harbor's has six fields: seconds (always 0), minutes, hours, day, month, weekday",
        "write one like '0 0 3 * * *', daily at three",
    )


def immutable_rules(api: HarborApi, project: str) -> list[ImmutableRule]:
    """A project's rules on immutable tags."""
    path = f"{project_path(project)}/immutabletagrules"
    doing = f"list the immutability rules of project {project} on {api.host}"
    return [ImmutableRule.from_json(item) for item in api.pages(path, doing)]


def add_immutable_rule(api: HarborApi, project: str, rule: ImmutableRule) -> bool:
    """Add a rule; False when the project has it already."""
    path = f"{project_path(project)}/immutabletagrules"
    doing = f"add an immutability rule to project {project} on {api.host}"
    return api.change("POST", path, doing, rule.to_json(), also=(409,)).status != 409


def change_immutable_rule(api: HarborApi, project: str, rule: ImmutableRule) -> None:
    """Bring a rule that is there, by its id, to what is given."""
    path = f"{project_path(project)}/immutabletagrules/{rule.id}"
    doing = f"change an immutability rule of project {project} on {api.host}"
    api.change("PUT", path, doing, rule.to_json())


def delete_immutable_rule(api: HarborApi, project: str, rule: ImmutableRule) -> None:
    """Take a rule away; it is no error when it is gone already."""
    path = f"{project_path(project)}/immutabletagrules/{rule.id}"
    doing = f"delete an immutability rule of project {project} on {api.host}"
    api.change("DELETE", path, doing, also=(404,))


def retention_id(project: Project) -> int:
    """The number of a project's retention policy; 0 when it has none."""
    text = project.metadata.get("retention_id", "")
    return int(text) if text.isdigit() else 0


def retention(api: HarborApi, project: Project) -> dict[str, Any] | None:
    """A project's retention policy as Harbor keeps it; None when it has none."""
    number = retention_id(project)
    if not number:
        return None
    doing = f"look at what project {project.name} on {api.host} keeps"
    return api.find(f"/retentions/{number}", doing)


def set_retention(api: HarborApi, project: Project, wish: Retention) -> int:
    """Give a project a retention policy, in place of the one it may have; its number."""
    doing = f"set what project {project.name} on {api.host} keeps"
    number, body = retention_id(project), wish.to_json(project)
    if not number:
        return created_id(api.change("POST", "/retentions", doing, body))
    api.change("PUT", f"/retentions/{number}", doing, {**body, "id": number})
    return number


def _first(selectors: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return selectors[0] if selectors else {}


def _selector(decoration: str, pattern: str) -> dict[str, str]:
    return {"kind": "doublestar", "decoration": decoration, "pattern": pattern}


def _essence(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a retention rule says, without ids and priorities that Harbor adds."""
    tags = _first(mappings(rule, "tag_selectors"))
    scope = _first(mappings(mapping(rule, "scope_selectors"), "repository"))
    selectors = [(item.get("decoration"), item.get("pattern")) for item in (tags, scope)]
    disabled = rule.get("disabled") is True
    return text(rule, "template"), mapping(rule, "params"), disabled, *selectors


def _retention_rule(template: str, params: Mapping[str, int], tags: str) -> dict[str, Any]:
    keep_untagged = {"extras": '{"untagged":true}'} if template == "latestPushedK" else {}
    return {
        "action": "retain",
        "template": template,
        "params": dict(params),
        "tag_selectors": [_selector("matches", tags) | keep_untagged],
        "scope_selectors": {"repository": [_selector("repoMatches", "**")]},
    }
