"""Paths of Harbor's API.

A repository's name is escaped twice: the nginx in front of Harbor decodes a path once before it
passes it on, so that `a%2Fb` would arrive there as two segments.
"""

from __future__ import annotations

from urllib.parse import quote


def project_path(project: str) -> str:
    """`/projects/NAME`."""
    return f"/projects/{quote(project, safe='')}"


def repository_path(project: str, repository: str) -> str:
    """`/projects/NAME/repositories/…`; repository: its name within the project."""
    twice = quote(quote(repository, safe=""), safe="")
    return f"{project_path(project)}/repositories/{twice}"


def artifact_path(project: str, repository: str, reference: str) -> str:
    """`…/artifacts/REFERENCE`; reference: a tag or a digest."""
    return f"{repository_path(project, repository)}/artifacts/{quote(reference, safe=':')}"
