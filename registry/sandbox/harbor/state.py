"""What the double knows: accounts, projects, artifacts, rules."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from registry.harbor.doublestar import matches
from registry.harbor.version import Version
from registry.oci import Document

NEVER = "0001-01-01T00:00:00.000Z"  # how Harbor writes a time that is not set
UNLIMITED = -1
RISING = ("None", "Unknown", "Negligible", "Low", "Medium", "High", "Critical")  # severities


def now() -> str:
    """This moment as Harbor writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def worst(counts: dict[str, int]) -> str:
    """The highest severity of which there is any."""
    return max((name for name in RISING if counts.get(name)), key=RISING.index, default="None")


@dataclass
class Robot:
    """A robot account. name: in full, `robot$project+ci`. expires_at: epoch seconds, -1 never."""

    id: int
    name: str
    secret: str
    level: str
    permissions: list[dict[str, Any]]
    duration: int
    created: float
    expires_at: int
    description: str = ""
    disable: bool = False
    creation_time: str = field(default_factory=now)


@dataclass
class User:
    """A person. admin: a system administrator; others may do all in the projects they made.

    single_sign_on: logs in elsewhere; the password is the CLI secret, good for little of the API.
    locked_until: monotonic seconds; a wrong password locks a name for a moment.
    """

    id: int
    name: str
    password: str
    admin: bool = False
    single_sign_on: bool = False
    locked_until: float = 0.0


@dataclass(frozen=True)
class Scanner:
    """What scans show, one step per look, the last one for good.

    steps: "" for nothing to see yet, else Harbor's scan_status. counts: findings by severity.
    present: whether there is a scanner at all.
    """

    steps: Sequence[str] = ("", "Pending", "Running", "Success")
    counts: dict[str, int] = field(default_factory=dict)
    fixable: int = 0
    present: bool = True


@dataclass
class Scan:
    """One scan of an artifact, under way or done."""

    id: str
    steps: list[str]
    counts: dict[str, int]
    fixable: int
    start_time: str = field(default_factory=now)

    def look(self) -> str:
        """The status that the next look sees."""
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


@dataclass
class Tag:
    """A tag on an artifact."""

    id: int
    name: str
    push_time: str = field(default_factory=now)


@dataclass
class Artifact:
    """A manifest or index in a repository; config: the image config, empty where there is none."""

    id: int
    document: Document
    size: int
    config: dict[str, Any]
    tags: dict[str, Tag] = field(default_factory=dict)
    labels: list[int] = field(default_factory=list)
    push_time: str = field(default_factory=now)
    scan: Scan | None = None


@dataclass
class Repository:
    """A repository; name: with its project's, as Harbor names it."""

    id: int
    name: str
    description: str = ""
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    creation_time: str = field(default_factory=now)

    def find(self, reference: str) -> Artifact | None:
        """The artifact at a tag or digest."""
        if reference in self.artifacts:
            return self.artifacts[reference]
        return next((item for item in self.artifacts.values() if reference in item.tags), None)


@dataclass
class Project:
    """A project. repositories: by their names within it. blobs: sizes by digest, as recorded."""

    id: int
    name: str
    owner: str
    metadata: dict[str, str]
    registry_id: int = 0
    storage_limit: int = UNLIMITED
    rules: dict[int, dict[str, Any]] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)
    creation_time: str = field(default_factory=now)

    @property
    def public(self) -> bool:
        """Whether everybody may pull."""
        return self.metadata.get("public") == "true"

    @property
    def used(self) -> int:
        """Bytes that count against the quota: each blob and manifest once."""
        manifests = {
            digest: len(artifact.document.raw)
            for repository in self.repositories.values()
            for digest, artifact in repository.artifacts.items()
        }
        return sum((self.blobs | manifests).values())

    def immutable(self, repository: str, tag: str) -> bool:
        """Whether a rule holds a tag; repository: its name within the project."""
        return any(_holds(rule, repository, tag) for rule in self.rules.values())


class HarborState:
    """Everything, and the numbers given to what is made. Used from one event loop only."""

    def __init__(self, version: str, admin_password: str, token_lifetime: int) -> None:
        self.version = Version(version)
        self.token_lifetime = token_lifetime
        self.users: dict[str, User] = {"admin": User(1, "admin", admin_password, True)}
        self.robots: dict[int, Robot] = {}
        self.projects: dict[str, Project] = {}
        self.labels: dict[int, dict[str, Any]] = {}
        self.retentions: dict[int, dict[str, Any]] = {}
        self.registries: dict[int, dict[str, Any]] = {}
        self.policies: dict[int, dict[str, Any]] = {}
        self.executions: dict[int, dict[str, Any]] = {}
        self.collections: dict[int, dict[str, Any]] = {}
        self.uploads: dict[str, int] = {}  # bytes that came by PATCH, by upload
        self.scanner = Scanner()
        self.read_only = False
        self.token_secret = secrets.token_bytes(32)
        self._numbers = itertools.count(1)
        self.add_project("library", "admin", {"public": "true"})

    @property
    def auth_mode(self) -> str:
        """Where its users are."""
        elsewhere = any(user.single_sign_on for user in self.users.values())
        return "oidc_auth" if elsewhere else "db_auth"

    def number(self) -> int:
        """The next number."""
        return next(self._numbers)

    def add_project(
        self, name: str, owner: str = "admin", metadata: dict[str, str] | None = None, **more: Any
    ) -> Project:
        """Make a project; private unless its metadata say otherwise."""
        values = {"public": "false", **(metadata or {})}
        project = Project(self.number(), name, owner, values, **more)
        self.projects[name] = project
        return project

    def split(self, name: str) -> tuple[Project | None, str]:
        """The project of `project/repository`, and the rest of the name."""
        first, _, rest = name.partition("/")
        return self.projects.get(first), rest

    def find_artifact(self, name: str, reference: str) -> Artifact | None:
        """The artifact in `project/repository` at a tag or digest."""
        project, rest = self.split(name)
        repository = project.repositories.get(rest) if project else None
        return repository.find(reference) if repository else None

    def artifacts(self) -> Iterator[Artifact]:
        """Every artifact of every project."""
        for project in self.projects.values():
            for repository in project.repositories.values():
                yield from repository.artifacts.values()


def _holds(rule: dict[str, Any], repository: str, tag: str) -> bool:
    if rule.get("disabled"):
        return False
    tags = rule["tag_selectors"][0]
    scope = rule["scope_selectors"]["repository"][0]
    in_scope = matches(scope["pattern"], repository) is (scope["decoration"] == "repoMatches")
    return in_scope and matches(tags["pattern"], tag) is (tags["decoration"] == "matches")
