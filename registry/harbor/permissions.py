"""Which permissions each thing that imgctl does with Harbor takes, and which a Harbor offers.

Names are those of Harbor's robot accounts, as GET /permissions lists them since 2.10. Older
versions take any name; newer ones refuse an account with one they do not offer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.harbor.api import HarborApi
from registry.harbor.robots import PULL, Access, Robot, accesses
from registry.harbor.values import mappings, text
from registry.harbor.version import PERMISSION_LIST


@dataclass(frozen=True)
class Use:
    """Something that is done. command: as users write it. what: what of it these are for.

    needs: without them it fails. If optional, the rest of the command works without.
    """

    command: str
    what: str
    needs: tuple[Access, ...]
    optional: bool = False


USES: tuple[Use, ...] = (
    Use("docker pull", "an edge device pulls", PULL),
    Use("imgctl push", "blobs, manifests, tags", accesses("repository:pull,push")),
    Use("imgctl push", "comparing with the artifact API", accesses("artifact:read"), True),
    Use("imgctl push", "naming the rule that holds a tag",
        accesses("tag:list", "immutable-tag:list"), True),
    Use("imgctl push", "room in the quota, before sending",
        accesses("project:read", "quota:read"), True),
    Use("imgctl push --label", "labels",
        accesses("label:read,list,create", "artifact-label:create", "artifact:read")),
    Use("imgctl push --scan", "the scan's verdict", accesses("scan:create,read", "artifact:read")),
    Use("imgctl release", "signatures and attestations", accesses("repository:pull,push")),
    Use("imgctl harbor artifacts", "listing", accesses("repository:list", "artifact:list,read")),
    Use("imgctl harbor status", "project and quota", accesses("project:read", "quota:read")),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Whether an account can do something. missing: permissions it lacks for it."""

    use: Use
    missing: tuple[Access, ...]

    @property
    def good(self) -> bool:
        """Whether it lacks nothing."""
        return not self.missing


def check(robot: Robot, project: str, uses: Iterable[Use] = USES) -> list[Finding]:
    """What an account can do in a project, and what it lacks for the rest."""
    return [
        Finding(use, tuple(access for access in use.needs if not robot.may(project, access)))
        for use in uses
    ]


def offered(api: HarborApi) -> frozenset[Access] | None:
    """What may be given to accounts in a project; None where any name is taken (before 2.10)."""
    if not api.version.at_least(PERMISSION_LIST):
        return None
    value = api.get("/permissions", f"list the permissions that {api.host} offers")
    listed = mappings(value, "project")
    return frozenset(Access(text(item, "resource"), text(item, "action")) for item in listed)


def possible(api: HarborApi, wanted: Iterable[Access]) -> tuple[Access, ...]:
    """Those of the wanted permissions that this Harbor offers."""
    known = offered(api)
    return tuple(access for access in wanted if known is None or access in known)
