"""Artifacts: what Harbor says of a manifest it holds, its tags and its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.harbor.api import HarborApi, Query
from registry.harbor.paths import artifact_path, repository_path
from registry.harbor.values import mapping, mappings, number, text
from registry.oci import INDEX_TYPES


@dataclass(frozen=True)
class Artifact:
    """An artifact. size: manifest, config and layers together, in bytes; an index has its
    children's too. os and architecture: empty where there is no image config. labels: names.

    raw: the whole object, for what is not named here (scan_overview, references, …).
    """

    digest: str
    size: int
    manifest_media_type: str
    os: str
    architecture: str
    tags: tuple[str, ...]
    labels: tuple[str, ...]
    project_id: int = 0
    push_time: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_index(self) -> bool:
        """Whether it is an index of several platforms."""
        return self.manifest_media_type in INDEX_TYPES

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Artifact:
        """From Harbor's Artifact object, which leaves out what is empty."""
        extra = mapping(value, "extra_attrs")
        return cls(
            text(value, "digest"),
            number(value, "size"),
            text(value, "manifest_media_type"),
            text(extra, "os"),
            text(extra, "architecture"),
            tuple(text(item, "name") for item in mappings(value, "tags")),
            tuple(text(item, "name") for item in mappings(value, "labels")),
            number(value, "project_id"),
            text(value, "push_time"),
            value,
        )


def get(
    api: HarborApi,
    project: str,
    repository: str,
    reference: str,
    *,
    labels: bool = False,
    scan: bool = False,
) -> Artifact:
    """The artifact at a tag or digest, with its tags; raises NotFound.

    repository: its name within the project. labels, scan: whether to have these in it too.
    """
    value = api.get(
        artifact_path(project, repository, reference),
        f"look at {_name(api, project, repository, reference)}",
        _parts(labels, scan),
    )
    return Artifact.from_json(value)


def find(
    api: HarborApi,
    project: str,
    repository: str,
    reference: str,
    *,
    labels: bool = False,
    scan: bool = False,
) -> Artifact | None:
    """As get; None when it does not exist."""
    value = api.find(
        artifact_path(project, repository, reference),
        f"look at {_name(api, project, repository, reference)}",
        _parts(labels, scan),
    )
    return None if value is None else Artifact.from_json(value)


def listing(
    api: HarborApi, project: str, repository: str, *, tags: bool = True, scan: bool = False
) -> Iterator[Artifact]:
    """Every artifact of a repository, newest first; none for a repository that does not exist.

    tags: False is much faster where artifacts have many. Signatures and SBOMs are not among them.
    """
    query = {"with_tag": tags, "with_label": True, "with_scan_overview": scan}
    path = f"{repository_path(project, repository)}/artifacts"
    for value in api.pages(path, f"list {api.host}/{project}/{repository}", query):
        yield Artifact.from_json(value)


def delete(api: HarborApi, project: str, repository: str, reference: str) -> bool:
    """Delete an artifact with all its tags; False when it was not there.

    Raises Refused when one of its tags is immutable, or it is part of an index.
    """
    path = artifact_path(project, repository, reference)
    doing = f"delete {_name(api, project, repository, reference)}"
    return api.change("DELETE", path, doing, also=(404,)).status != 404


def is_immutable(api: HarborApi, project: str, repository: str, tag: str) -> bool:
    """Whether a tag that exists is held immutable, as Harbor itself works it out."""
    path = f"{artifact_path(project, repository, tag)}/tags"
    doing = f"look at tag {_name(api, project, repository, tag)}"
    # Not `name=`: a tag of digits alone would be taken for a number there.
    query: Query = {"q": f"name=~{tag}", "with_immutable_status": True}
    for item in api.pages(path, doing, query):
        if item.get("name") == tag:
            return item.get("immutable") is True
    return False


def add_tag(api: HarborApi, project: str, repository: str, reference: str, tag: str) -> None:
    """Give an artifact one more tag; raises Conflict when the name is taken in its repository.

    To move a tag, put the same manifest under it instead: that is one step.
    """
    path = f"{artifact_path(project, repository, reference)}/tags"
    doing = f"tag {_name(api, project, repository, reference)} as {tag}"
    api.change("POST", path, doing, {"name": tag})


def delete_tag(api: HarborApi, project: str, repository: str, tag: str) -> bool:
    """Take a tag off; False when there was none. Raises Refused when it is immutable."""
    path = f"{artifact_path(project, repository, tag)}/tags/{tag}"
    doing = f"delete tag {_name(api, project, repository, tag)}"
    return api.change("DELETE", path, doing, also=(404,)).status != 404


def copy(api: HarborApi, source: str, project: str, repository: str) -> None:
    """Copy an artifact within Harbor; source: `PROJECT/REPOSITORY:TAG` or `…@DIGEST`.

    Takes along every tag of it (moving those of the same name), children and accessories: to
    promote one tag and no other, mount the blobs and put the manifest instead.
    """
    query: Query = {"from": source}
    path = f"{repository_path(project, repository)}/artifacts"
    api.change("POST", path, f"copy {source} to {api.host}/{project}/{repository}", query=query)


def _parts(labels: bool, scan: bool) -> Query:
    return {"with_tag": True, "with_label": labels, "with_scan_overview": scan}


def _name(api: HarborApi, project: str, repository: str, reference: str) -> str:
    mark = "@" if ":" in reference else ":"
    return f"{api.host}/{project}/{repository}{mark}{reference}"
