"""From an image and a release to a plan: the base that exists, read, and the Dockerfile for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from builder import bases, dockerfile, recipe
from builder.base_image import RemoteBase, read_base
from builder.engines.buildx import BuildxOptions
from builder.engines.select import Builder, Wanted, inspect_builder
from builder.instructions import parse
from builder.matrix import L4TRelease, Matrix
from builder.mirror import Mirror
from builder.plan import BuildPlan, Choices, make_plan
from builder.request import Request, resolve_base
from builder.stage import only_buildx
from registry.client import RegistryClient
from registry.errors import ImgctlError
from registry.progress import Progress
from registry.reference import Reference
from registry.store import Store
from registry.workers import work


@dataclass(frozen=True)
class Settings:
    """What holds for every image of one run.

    dist: where results go. mirror: takes the place of the base's registry. target: release of the
    devices, when it differs from the base's. wheel_mirror: a place pip looks for wheels in.
    full: a complete layout, the base's layers in it. keep_base: do not throw away those that came
    with a full build, since they are wanted at once. rebuild: build even what is up to date.
    """

    dist: Path
    choices: Choices
    engine: Wanted
    buildx: BuildxOptions
    mirror: Mirror | None = None
    target: L4TRelease | None = None
    wheel_mirror: str = ""
    full: bool = False
    keep_base: bool = False
    rebuild: bool = False


@dataclass
class Workshop:
    """What builds need besides their plans; one for a whole run."""

    matrix: Matrix
    client: RegistryClient
    template_roots: Sequence[Path]
    settings: Settings
    progress: Progress
    _builder: Builder | None = field(default=None, init=False)
    _bases: dict[Reference, RemoteBase | ImgctlError] = field(default_factory=dict, init=False)

    def builder(self) -> Builder:
        """The buildx builder, asked once, and only when the answer matters."""
        if self._builder is None:
            options = self.settings.buildx
            self._builder = inspect_builder(options.builder, options.environment)
        return self._builder

    def read_ahead(self, requests: Sequence[Request]) -> None:
        """Read the bases of many requests side by side, each once; `plan` raises what failed."""
        wanted: dict[Reference, bases.BaseImage] = {}
        for request in requests:
            with suppress(ImgctlError):
                base = resolve_base(self.matrix, request, self.settings.target)
                wanted[base.reference] = base
        missing = [base for reference, base in wanted.items() if reference not in self._bases]
        limit = self.client.options.concurrency
        answers = work(self._answer, missing, limit, threading.Event())
        for base, answer in zip(missing, answers, strict=True):
            self._bases[base.reference] = answer

    def plan(self, request: Request) -> BuildPlan:
        """Resolve the base, read it, and make the plan. Raises what is wrong with the request."""
        base = resolve_base(self.matrix, request, self.settings.target)
        text = self.render(request, base)
        bare = self._without_pip(request, base, text)
        return make_plan(
            request.definition,
            request.release,
            base,
            self.read(base),
            text if bare is None else bare,
            self.settings.choices,
            wheels=bare is not None,
        )

    def render(self, request: Request, base: bases.BaseImage, *, pip: bool = True) -> str:
        """The Dockerfile; pip: whether the definition's Python packages are a step of it."""
        definition, release = request.definition, request.release
        found = recipe.find(self.matrix, release, definition.framework, base)
        if self.settings.wheel_mirror:
            found = found.with_mirror(self.settings.wheel_mirror)
        return dockerfile.render(definition, release, base, found, self.template_roots, pip=pip)

    def read(self, base: bases.BaseImage) -> RemoteBase:
        """The base's manifest from its registry or the mirror, asked for once a run."""
        answer = self._bases.get(base.reference) or self._answer(base)
        self._bases[base.reference] = answer
        if isinstance(answer, ImgctlError):
            raise answer
        return answer

    def _answer(self, base: bases.BaseImage) -> RemoteBase | ImgctlError:
        reference = base.reference
        source = self.settings.mirror.of(reference) if self.settings.mirror else reference
        store = self.client.repository(source.host, source.repository)
        try:
            remote = read_base(store, reference, source, self.settings.choices.platform)
            _ = remote.config  # the plan will want it
        except ImgctlError as error:
            return error
        return remote

    def sources(self, plan: BuildPlan) -> list[Store]:
        """The repositories that hold the base's layers, the one it was read from first."""
        places = dict.fromkeys(
            (item.host, item.repository) for item in (plan.remote.source, plan.remote.reference)
        )
        return [self.client.repository(host, repository) for host, repository in places]

    def _without_pip(self, request: Request, base: bases.BaseImage, text: str) -> str | None:
        """The Dockerfile without pip packages, when the direct engine shall lay them on as wheels.

        None when there are none, when something else has to run too, or when buildx builds.
        """
        named = str(base.reference)
        if not request.definition.pip or only_buildx(parse(text), named) is None:
            return None
        bare = self.render(request, base, pip=False)
        if only_buildx(parse(bare), named) is not None:
            return None
        wanted = self.settings.engine
        direct = wanted == "direct" or (
            wanted == "auto" and not self.builder().can_run(self.settings.choices.platform)
        )
        return bare if direct else None
