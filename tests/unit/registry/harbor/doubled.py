"""Pushing tiny images to a double of Harbor."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.harbor.api import HarborApi
from registry.harbor.target import HarborTarget
from registry.layout import LayoutStore
from registry.oci import Document, Platform
from registry.origin import Origin
from registry.push import Outcome, PushOptions, PushRequest, push
from registry.repository import Repository
from registry.retry import RetryPolicy
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from registry.sandbox.harbor.state import Robot
from tests.unit.registry.images import put_image

PROJECT = "algorithms"
FOR_REAL = PushOptions()
LAYERS = (b"base layer", b"script layer")


@dataclass
class Bench:
    """A running double, a client logged in to it, and a layout to push from."""

    running: RunningHarbor
    client: RegistryClient
    api: HarborApi
    layout: LayoutStore
    images: Iterator[int] = field(default_factory=itertools.count)

    @property
    def double(self) -> HarborDouble:
        return self.running.double

    def repository(self, name: str = "mnist", project: str = PROJECT) -> Repository:
        return self.client.repository(self.running.host, f"{project}/{name}", push=True)

    def image(self, *layers: bytes, **config: str) -> Document:
        return put_image(self.layout, f"build-{next(self.images)}", *(layers or LAYERS), **config)

    def target(self, project: str = PROJECT, **given: Any) -> HarborTarget:
        return HarborTarget(self.api, project, **given)

    def push(
        self,
        document: Document,
        *tags: str,
        project: str = PROJECT,
        name: str = "mnist",
        options: PushOptions = FOR_REAL,
        origins: tuple[Origin, ...] = (),
        **given: Any,
    ) -> Outcome:
        """Push an image under tags (1.0 when none is given)."""
        wanted = tags or ("1.0",)
        request = PushRequest(
            name, self.layout, document.digest, wanted, frozenset(wanted[:1]), Platform(), origins
        )
        target = self.target(project, dry_run=options.dry_run, **given)
        return push(request, self.repository(name, project), target, options=options)

    def requests(self) -> int:
        return self.client.requests


@contextmanager
def bench(
    path: Path,
    double: HarborDouble | None = None,
    *,
    projects: tuple[str, ...] = (PROJECT,),
    credentials: Credentials | None = None,
) -> Iterator[Bench]:
    """A double with a project, and a client that is its administrator or somebody else."""
    with harbor_double(double, projects=projects) as running:
        known = credentials or Credentials(running.username, running.password)
        options = RegistryOptions(
            credentials=lambda host: known,
            retry=RetryPolicy(attempts=2, first=0.001, longest=0.01),
        )
        with RegistryClient(options) as client:
            api = HarborApi(client, running.host)
            yield Bench(running, client, api, LayoutStore.create(path / "layout"))


def add_robot(double: HarborDouble, *access: str, project: str = PROJECT) -> Credentials:
    """A robot account of a project with these permissions (`resource:action`)."""
    pairs = (item.split(":") for item in access)
    permissions = [
        {
            "kind": "project",
            "namespace": project,
            "access": [{"resource": resource, "action": action} for resource, action in pairs],
        }
    ]
    number = double.state.number()
    name = f"robot${project}+ci{number}"
    robot = Robot(number, name, "R0bot-secret", "project", permissions, -1, 0.0, -1)
    double.state.robots[number] = robot
    return Credentials(name, robot.secret)
