"""Which permissions each thing that imgctl does with Harbor takes, and which a Harbor offers.

Names are those of Harbor's robot accounts, as GET /permissions lists them since 2.10. Older
versions take any name; newer ones refuse an account with one they do not offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import Unauthorized
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
    Use("imgctl verify", "signatures and attestations", PULL),
    Use("imgctl base sync", "blobs, manifests, tags", accesses("repository:pull,push")),
    Use("imgctl harbor tag", "manifests, tags", accesses("repository:pull,push")),
    Use("imgctl harbor tag --delete", "tags", accesses("artifact:read", "tag:delete")),
    Use("imgctl harbor artifacts", "listing", accesses("repository:list", "artifact:list,read")),
    Use("imgctl harbor status", "project and quota", accesses("project:read", "quota:read")),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Whether an account can do something. missing: permissions it lacks for it. unknown: those
    that cannot be found out without using them."""

    use: Use
    missing: tuple[Access, ...]
    unknown: tuple[Access, ...] = ()

    @property
    def good(self) -> bool:
        """Whether it is not known to lack anything."""
        return not self.missing

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return {
            "command": self.use.command,
            "what": self.use.what,
            "optional": self.use.optional,
            "missing": [str(access) for access in self.missing],
            "unknown": [str(access) for access in self.unknown],
        }


def check(known: Mapping[Access, bool], uses: Iterable[Use] = USES) -> list[Finding]:
    """What an account can do, and what it lacks for the rest. known: whether it has a permission;
    what is not named is unknown."""
    return [
        Finding(
            use,
            tuple(access for access in use.needs if known.get(access) is False),
            tuple(access for access in use.needs if access not in known),
        )
        for use in uses
    ]


def held(robot: Robot, project: str, uses: Iterable[Use] = USES) -> dict[Access, bool]:
    """Of all that uses need, what an account has in a project."""
    return {access: robot.may(project, access) for use in uses for access in use.needs}


def offered(api: HarborApi) -> frozenset[Access] | None:
    """What may be given to accounts in a project; None where any name is taken (before 2.10), and
    for callers who may not know: only people may ask, not the account that makes another."""
    if not api.version.at_least(PERMISSION_LIST):
        return None
    try:
        value = api.get("/permissions", f"list the permissions that {api.host} offers")
    except Unauthorized:
        return None
    listed = mappings(value, "project")
    return frozenset(Access(text(item, "resource"), text(item, "action")) for item in listed)


def possible(api: HarborApi, wanted: Iterable[Access]) -> tuple[Access, ...]:
    """Those of the wanted permissions that this Harbor offers."""
    known = offered(api)
    return tuple(access for access in wanted if known is None or access in known)
