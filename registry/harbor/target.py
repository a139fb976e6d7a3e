"""Harbor around a push: project, immutable tags, quota, read-back, labels, the scan's verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from registry.absent import absent
from registry.errors import CorruptContent, NotFound, Refused, Unauthorized
from registry.harbor import artifacts, labels, projects, rules, scan
from registry.harbor.api import HarborApi
from registry.harbor.artifacts import Artifact
from registry.harbor.projects import PRIVATE, ProjectPolicy, Quota
from registry.harbor.rules import ImmutableRule
from registry.harbor.scan import ScanGate
from registry.oci import Document
from registry.progress import SILENT, Progress
from registry.push import PushedImage, check_read_back
from registry.store import Store


class _Project(Enum):
    """What is known of the project."""

    UNKNOWN = 0
    THERE = 1
    TO_BE_MADE = 2  # but not on a dry run


class HarborTarget:
    """A project on a Harbor, as a registry.push.ReleaseTarget for its repositories.

    create_project: make the project if it is missing, by the policy. labels: names; those that do
    not exist are made in the project. scan: scan, wait, and judge. dry_run: change nothing.
    progress: told how far a scan is.
    """

    def __init__(
        self,
        api: HarborApi,
        project: str,
        create_project: bool = False,
        policy: ProjectPolicy = PRIVATE,
        labels: Sequence[str] = (),
        scan: ScanGate | None = None,
        dry_run: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        self._api = api
        self._project = projects.check_project(project)
        self._create_project = create_project
        self._policy = policy
        self._labels = tuple(dict.fromkeys(labels))
        self._scan = scan
        self._dry_run = dry_run
        self._progress = progress
        self._state = _Project.UNKNOWN

    def prepare(self, repository: Store) -> Store:
        """Recognise Harbor, check the login, and find or make the project; once for all pushes.

        Two requests where nothing is missing. On a dry run a project to be made is stood in for.
        Raises NotHarbor, Unauthorized, NotFound.
        """
        if self._state is _Project.UNKNOWN:
            self._state = self._look_for_project()
        return absent(repository) if self._state is _Project.TO_BE_MADE else repository

    def why_immutable(self, repository: Store, tag: str) -> str:
        """The rule that holds a tag which is there, or empty. Whether one does, Harbor says."""
        api, project, name = self._api, self._project, self._name(repository)
        reason = f"project {project} has a rule on immutable tags"
        try:
            if not artifacts.is_immutable(api, project, name, tag):
                return ""
        except Unauthorized:
            return ""  # an account for pushing alone may not look: Harbor refuses the tag then
        try:
            held = [rule for rule in rules.immutable_rules(api, project) if rule.holds(name, tag)]
        except Unauthorized:
            return reason
        return f"{reason}: {held[0]}" if held else reason

    def check_quota(self, repository: Store, missing: int) -> None:
        """Raise Refused when the project has not so many bytes left.

        Harbor itself looks only when all of a blob has been sent.
        """
        quota = self._quota()
        if quota is None or quota.left is None or missing <= quota.left:
            return
        raise Refused(
            f"the quota of project {self._project!r} on {self._api.host} has no room for "
            f"{repository}",
            f"{missing} bytes are missing there, {quota.left} of its {quota.hard} are left",
            "raise the quota, or delete artifacts and collect garbage: blobs younger than two "
            "hours stay",
        )

    def verify(self, repository: Store, pushed: PushedImage) -> None:
        """Compare digest, size, platform and tags in Harbor with what was sent."""
        wanted = pushed.descriptor
        try:
            artifact = artifacts.get(
                self._api, self._project, self._name(repository), wanted.digest
            )
        except Unauthorized:
            # An account for pushing alone may not look at artifacts; at manifests it may.
            for tag in pushed.tags:
                check_read_back(repository, tag, wanted)
            return
        differs = _differences(artifact, pushed)
        if "size" in differs and artifact.size == _size(repository.manifest(wanted.digest)):
            del differs["size"]
        if differs:
            parts = [f"{what}: {found}" for what, found in differs.items()]
            raise CorruptContent(
                f"{repository}@{wanted.digest} is not in Harbor as it was pushed",
                "; ".join(parts),
                "someone else may push to the same tags; run the same command again",
            )

    def finish(self, repository: Store, pushed: PushedImage) -> Mapping[str, Any]:
        """Labels and the scan; `labels` and `scan` for the record. Raises Refused by the gate."""
        if not self._labels and self._scan is None:
            return {}
        api, name, digest = self._api, self._name(repository), pushed.descriptor.digest
        artifact = artifacts.get(
            api, self._project, name, digest, labels=bool(self._labels), scan=bool(self._scan)
        )
        extra: dict[str, Any] = {}
        if self._labels:
            for label in self._labels:
                if label not in artifact.labels:
                    self._put_label(name, artifact, label)
            extra["labels"] = list(self._labels)
        if self._scan is not None:
            said = self._progress.say
            report = scan.verdict(api, self._project, name, artifact, self._scan, tell=said)
            self._scan.check(f"{repository}:{pushed.tags[0]}", report)
            extra["scan"] = report.to_json()
        return extra

    def _look_for_project(self) -> _Project:
        api, name = self._api, self._project
        api.system()
        if projects.exists(api, name):
            return _Project.THERE
        if not self._create_project:
            hint = "add --create-project"
            raise NotFound(f"project {name!r} does not exist on {api.host}", "", hint)
        if self._dry_run:
            return _Project.TO_BE_MADE
        self._make_project()
        return _Project.THERE

    def _make_project(self) -> None:
        projects.create(self._api, self._project, self._policy)
        for pattern in self._policy.immutable:
            self._hold(pattern)
        wanted, found = self._policy.quota, self._quota()
        if wanted is not None and found is not None and found.hard != wanted:
            # Harbor takes what it does not allow without a word.
            has = "no quota" if found.left is None else f"a quota of {found.hard} bytes"
            self._progress.say(
                f"project {self._project} has {has}, not {wanted} bytes: "
                "only an administrator may set one"
            )

    def _hold(self, pattern: str) -> None:
        try:
            rules.add_immutable_rule(self._api, self._project, ImmutableRule(pattern))
        except Unauthorized as error:
            # The project is made: an end here would only keep the next push from saying so.
            self._progress.say(
                f"project {self._project} has no rule that holds tags {pattern}: {error.what}"
            )

    def _quota(self) -> Quota | None:
        if self._state is _Project.TO_BE_MADE:
            limit = self._policy.quota
            return None if limit is None else Quota(limit, 0)
        try:
            return projects.quota(self._api, self._project)
        except Unauthorized:
            return None  # an account for pushing alone may not look

    def _put_label(self, repository: str, artifact: Artifact, label: str) -> None:
        number = labels.find_or_create(self._api, artifact.project_id, label)
        labels.add(self._api, self._project, repository, artifact.digest, number)

    def _name(self, repository: Store) -> str:
        """The repository's name within the project."""
        return str(repository).removeprefix(f"{self._api.host}/{self._project}/")


def _differences(artifact: Artifact, pushed: PushedImage) -> dict[str, str]:
    """What is not as it was pushed, and how it is."""
    wanted = pushed.descriptor
    differs = {}
    if artifact.digest != wanted.digest:
        differs["digest"] = artifact.digest
    if artifact.size != wanted.size + pushed.image_size:
        differs["size"] = f"{artifact.size} bytes, not {wanted.size + pushed.image_size}"
    found = f"{artifact.os}/{artifact.architecture}"
    if found != f"{pushed.platform.os}/{pushed.platform.architecture}":
        differs["platform"] = f"{found}, not {pushed.platform}"
    missing = [tag for tag in pushed.tags if tag not in artifact.tags]
    if missing:
        differs["tags"] = f"not on {', '.join(missing)}"
    return differs


def _size(document: Document) -> int:
    """An image's size as Harbor counts: a layer that is there twice counts twice."""
    layers = sum(layer.size for layer in document.layers)
    return len(document.raw) + document.config.size + layers
