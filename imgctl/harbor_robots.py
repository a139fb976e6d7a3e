"""Robot accounts as the `harbor` commands make them: their kinds, and where their secrets go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgctl.secret_files import check_free, write_secret, write_text_once

if TYPE_CHECKING:
    from registry.harbor.accounts import RobotWish
    from registry.harbor.api import HarborApi
    from registry.harbor.projects import Project
    from registry.harbor.robots import NewRobot
    from registry.harbor.steps import Step

KINDS = ("push", "pull")
SECRETS = Path("harbor-secrets")  # unless told otherwise; git is told to leave it alone


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

    def with_manifest_of(self, account: str) -> SecretPlace:
        """This place, with the Secret beside the file if it is the account's and none is named."""
        beside = self.file.parent / f"{self.name}.yaml"
        if self.manifest is None and beside.is_file() and account in beside.read_text("utf-8"):
            return replace(self, manifest=beside)
        return self

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
        if SECRETS in self.file.parents:
            write_text_once(SECRETS / ".gitignore", "*\n")
        return str(self)


def secret_folder(given: Path | None, project: str) -> Path:
    """Where secrets of a project's accounts go."""
    return given or SECRETS / project


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
    wishes: list[tuple[RobotWish, SecretPlace]],
    dry_run: bool,
) -> Iterator[Step]:
    """Accounts and where their secrets go; a step each. project: None when it is yet to be made.

    Raises BadInput when a file is in the way of a secret.
    """
    from registry.harbor.accounts import set_up_robot

    for wish, place in wishes:
        yield from set_up_robot(api, project, wish, place.keep, dry_run=dry_run)
