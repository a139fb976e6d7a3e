"""Robot accounts as the `harbor` commands make them: their kinds, and where their secrets go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgctl.secret_files import check_free, write_secret

if TYPE_CHECKING:
    from registry.harbor.accounts import RobotWish
    from registry.harbor.api import HarborApi
    from registry.harbor.projects import Project
    from registry.harbor.robots import NewRobot
    from registry.harbor.steps import Step

KINDS = ("push", "pull")


@dataclass(frozen=True)
class SecretPlace:
    """Where the secret of a new account goes.

    file: the bare secret, as --password-stdin reads it. manifest: the Secret to pull with, of this
    name and namespace; None for none. replace: what is there may be overwritten. Raises BadInput
    for a name that Kubernetes would not take.
    """

    host: str
    file: Path
    manifest: Path | None = None
    name: str = ""
    namespace: str = "default"
    replace: bool = False

    def __post_init__(self) -> None:
        if self.manifest is not None:
            from deploy.names import check_label_name, check_subdomain

            check_subdomain(self.name, "secret name")
            check_label_name(self.namespace, "namespace")

    def check(self) -> None:
        """Raise BadInput when something is in the way."""
        for path in filter(None, (self.file, self.manifest)):
            check_free(path, replace=self.replace)

    def __str__(self) -> str:
        also = f", Secret in {self.manifest}" if self.manifest else ""
        return f"password in {self.file}{also}"

    def keep(self, made: NewRobot) -> str:
        """Write the files; where, in words."""
        self.check()
        if self.manifest is not None:
            from deploy.pull_secret import pull_secret
            from deploy.yaml_text import to_yaml

            secret = pull_secret(self.name, self.namespace, self.host, made.name, made.secret)
            write_secret(self.manifest, to_yaml([secret]), replace=self.replace)
        write_secret(self.file, f"{made.secret}\n", replace=self.replace)
        return str(self)


def robot_wish(name: str, kind: str, days: int) -> RobotWish:
    """An account of a kind: `push` for CI, `pull` for edge devices."""
    from registry.harbor.accounts import RobotWish
    from registry.harbor.robots import PULL, PUSH

    access, description = {
        "push": (PUSH, "pushes and checks images (imgctl)"),
        "pull": (PULL, "pulls images (imgctl)"),
    }[kind]
    return RobotWish(name, access, days, description)


def set_up_robots(
    api: HarborApi,
    project: Project | None,
    wishes: list[tuple[RobotWish, SecretPlace | None]],
    dry_run: bool,
) -> Iterator[Step]:
    """Accounts and where their secrets go; a step each. project: None when it is yet to be made.

    Raises BadInput when a file is in the way of a secret.
    """
    from registry.harbor.accounts import set_up_robot

    for wish, place in wishes:
        keep = None if place is None else place.keep
        yield from set_up_robot(api, project, wish, keep, dry_run=dry_run)
