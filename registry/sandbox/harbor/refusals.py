"""What the double's projects refuse, whichever way it is asked: quota, what must stay, what is kept
back."""

from __future__ import annotations

from registry.sandbox.harbor.state import RISING, Artifact, Project, Repository, worst
from registry.sandbox.replies import Problem


def check_room(project: Project, adding: dict[str, int]) -> None:
    """Raise the Problem of a quota that these blobs would exceed, or that is exceeded already."""
    limit, used = project.storage_limit, project.used
    more = sum(size for digest, size in adding.items() if digest not in project.blobs)
    if limit >= 0 and used + more > limit:
        message = (
            f"{'adding' if more else 'subtracting'} {_in_units(more)} of storage resource, which "
            f"when updated to current usage of {_in_units(used)} will exceed the configured upper "
            f"limit of {_in_units(limit)}."
        )
        raise Problem(403, "DENIED", message)


def _in_units(size: int) -> str:
    """A size as Harbor writes it."""
    power = min((size.bit_length() - 1) // 10, 4) if size else 0
    return f"{size / 1024**power:.1f} {'KMGT'[power - 1]}iB" if power else f"{size} B"


def check_deletable(project: Project, repository: Repository, artifact: Artifact) -> None:
    """Raise the Problem of an artifact that must stay: an immutable tag, or part of an index."""
    rest = repository.name.partition("/")[2]
    held = [tag for tag in artifact.tags if project.immutable(rest, tag)]
    if held:
        message = f"Failed to process request due to '{rest}:{held[0]}' configured as immutable."
        raise Problem(412, "PRECONDITION", message)
    digest = artifact.document.digest
    for other in repository.artifacts.values():
        if any(child.digest == digest for child in other.document.manifests):
            message = "the deleting artifact is referenced by others"
            raise Problem(412, "VIOLATE_FOREIGN_KEY_CONSTRAINT", message)


def check_pullable(project: Project, artifact: Artifact) -> None:
    """Raise the Problem of a project that keeps back what has vulnerabilities."""
    if project.metadata.get("prevent_vul") != "true" or artifact.document.is_index:
        return
    limit = project.metadata.get("severity", "none").capitalize()
    policy = f'Prevent images with vulnerability severity of "{limit}" or higher from running.'
    scan = artifact.scan
    if scan is None or scan.steps != ["Success"]:
        message = "current image without vulnerability scanning cannot be pulled"
    elif RISING.index(worst(scan.counts)) >= RISING.index(limit):
        message = f"current image with {sum(scan.counts.values())} vulnerabilities cannot be pulled"
    else:
        return
    raise Problem(
        412, "PROJECTPOLICYVIOLATION", f"{message} due to configured policy in '{policy}'"
    )
