"""The engine that needs nothing but Python: no Docker, no daemon, no root, no emulation.

It works out what the Dockerfile does to the base (builder.stage), writes the layers itself, and
grafts them onto the base's manifest. Python packages come as wheels for the base's own Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.engines.image import BuiltImage, assemble
from builder.graft import Step
from builder.layer import Entry, file_entry, write_layer
from builder.plan import BuildPlan
from builder.stage import Copy, copied, interpret
from registry.layout import LayoutStore
from registry.progress import Progress


@dataclass(frozen=True)
class WheelLayer:
    """Python packages as the entries of a layer, and which they are (see BuiltImage.wheels)."""

    entries: tuple[Entry, ...]
    wheels: tuple[Mapping[str, str], ...]


Unpack = Callable[[BuildPlan, Path, Progress], WheelLayer]
"""Gets the plan's Python packages into a folder: (plan, folder, progress)."""


@dataclass(frozen=True)
class DirectEngine:
    """unpack: how Python packages are had, for plans that have some."""

    unpack: Unpack
    name: str = "direct"

    def build(self, plan: BuildPlan, into: Path, scratch: Path, progress: Progress) -> BuiltImage:
        """See Engine. Raises Refused for a plan with steps that must run."""
        began = time.monotonic()
        store = LayoutStore.create(into)
        result = interpret(plan.stage, plan.remote.config.settings, plan.build_args, plan.labels)
        read = time.monotonic()
        steps: list[Step] = []
        wheels: tuple[Mapping[str, str], ...] = ()
        if plan.requirements:
            found = self.unpack(plan, scratch / "wheels", progress)
            path = scratch / f"layer-{len(steps)}"
            layer = write_layer(found.entries, path, plan.created)
            steps.append(Step(f"imgctl: wheels of {' '.join(plan.requirements)}", layer))
            wheels = found.wheels
        for text, copy in result.steps:
            if copy is None:
                steps.append(Step(text))
                continue
            path = scratch / f"layer-{len(steps)}"
            steps.append(Step(text, write_layer(copy_entries(plan, copy), path, plan.created)))
        written = time.monotonic()
        timings = {"base": read - began, "layers": written - read}
        return assemble(
            plan, store, result.settings, steps, self.name, wheels=wheels, timings=timings
        )


def copy_entries(plan: BuildPlan, copy: Copy) -> list[Entry]:
    """The files a COPY puts into the image; raises BadInput when a source is not there."""
    files = {file.path: file for file in plan.files}
    return [
        file_entry(
            files[source].source,
            target,
            files[source].mode,
            copy.uid,
            copy.gid,
            files[source].size,
            files[source].sha256,
        )
        for source, target in copied(copy, sorted(files))
    ]
