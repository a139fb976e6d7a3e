"""The engine on BuildKit, through `docker buildx`.

A plan whose last stage needs nothing of the base's content is built on a stub of the base and
grafted: the base is never pulled. Any other is built in full on the base pinned by digest, and
what BuildKit put on top is then put on the base as its registry names it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.engines.buildlog import BuildLog, explain
from builder.engines.child import run_child
from builder.engines.image import BuiltImage, assemble
from builder.engines.stub import write_context, write_stub
from builder.engines.takeover import (
    Export,
    full_steps,
    grafted_steps,
    keep_base_blobs,
    settings_of,
)
from builder.plan import BuildPlan
from registry.errors import BadInput, Refused
from registry.layout import LayoutStore
from registry.progress import Progress


@dataclass(frozen=True)
class BuildxOptions:
    """How buildx is called.

    environment: the whole environment of the child. builder: a buildx builder's name, empty for
    the current one. network: of RUN steps. cache_to, cache_from, secrets: in buildx's own syntax;
    a secret is named there, its value is in a file or a variable.
    """

    environment: Mapping[str, str] = field(repr=False, hash=False)
    builder: str = ""
    network: str = ""
    no_cache: bool = False
    cache_to: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """What one build hands to BuildKit: files on this machine and the base's replacement."""

    context: Path
    dockerfile: Path
    base_context: str
    export: Path


@dataclass(frozen=True)
class BuildxEngine:
    """See Engine. One `docker buildx build` per plan; `bake.py` does many at once."""

    options: BuildxOptions
    name: str = "buildx"

    def build(self, plan: BuildPlan, into: Path, scratch: Path, progress: Progress) -> BuiltImage:
        """See Engine."""
        began = time.monotonic()
        prepared = prepare(plan, scratch)
        log = BuildLog(progress)
        try:
            status = run_child(
                command(plan, prepared, self.options),
                environment(plan, self.options.environment),
                log.feed,
            )
        finally:
            log.close()
        if status != 0:
            if log.failed is not None:
                for line in log.failed.output:
                    progress.say(f"  | {line}")
            raise explain(log, status)
        return finish(plan, prepared, into, scratch, time.monotonic() - began)


def prepare(plan: BuildPlan, scratch: Path) -> Prepared:
    """Write the context, the Dockerfile and the stub for a plan into scratch."""
    if plan.requirements:
        raise Refused(
            "buildx cannot build this plan", "its Python packages come as wheels",
            "build it with --engine direct",
        )  # fmt: skip
    context, dockerfile, stub = scratch / "context", scratch / "Dockerfile", scratch / "stub"
    write_context(plan, context)
    dockerfile.write_text(plan.dockerfile, encoding="utf-8")
    # It comes before a .dockerignore in the context, which is a file of the image like any other.
    dockerfile.with_name("Dockerfile.dockerignore").write_text("# nothing\n", encoding="utf-8")
    if plan.method == "graft":
        # Its place is part of BuildKit's cache key only by digest, so a fresh folder is no loss.
        base = f"oci-layout://{_stub_path(stub)}@{write_stub(plan.remote, stub)}"
    else:
        base = f"docker-image://{plan.remote.pinned}"
    return Prepared(context, dockerfile, base, scratch / "export")


def _stub_path(stub: Path) -> str:
    """The stub's path as an oci-layout source can name it, from where we (and buildx) run.

    Raises BadInput where it cannot: buildx takes what follows `@` or `:` for a digest or tag.
    """
    path = os.path.relpath(stub)
    if re.search("[@:]", path):
        raise BadInput(
            "buildx cannot work in a folder with @ or : in its name",
            path,
            "choose another one with --dist DIR, or build with --engine direct",
        )
    return path


def command(plan: BuildPlan, prepared: Prepared, options: BuildxOptions) -> list[str]:
    """The buildx command line.

    Values of build arguments go by the environment, where no process list shows them; except one
    that would replace a variable of the child's own, such as PATH.
    """
    words = ["docker", "buildx", "build"]
    if options.builder:
        words += ["--builder", options.builder]
    words += [
        "--progress=rawjson",
        "--provenance=false",
        "--sbom=false",
        f"--platform={plan.platform}",
        f"--file={prepared.dockerfile}",
        f"--output={output(prepared)}",
        "--build-context",
        f"{plan.remote.reference}={prepared.base_context}",
    ]
    if options.network:
        words.append(f"--network={options.network}")
        if options.network == "host":
            words.append("--allow=network.host")
    if options.no_cache:
        words.append("--no-cache")
    words += [f"--cache-to={value}" for value in options.cache_to]
    words += [f"--cache-from={value}" for value in options.cache_from]
    words += [f"--secret={value}" for value in options.secrets]
    for name, value in plan.build_args.items():
        taken = options.environment.get(name, value) != value
        words.append(f"--build-arg={name}={value}" if taken else f"--build-arg={name}")
    return [*words, str(prepared.context)]


def output(prepared: Prepared) -> str:
    """The exporter: an OCI layout in a folder of our own."""
    # A field of CSV, so quoted as CSV has it.
    where = f"dest={prepared.export}".replace('"', '""')
    return f'type=oci,tar=false,"{where}"'


def environment(plan: BuildPlan, inherited: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: the plan's date, its build arguments, and no usage hints."""
    return {
        **plan.build_args,
        **inherited,
        "SOURCE_DATE_EPOCH": str(plan.created),
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "BUILDX_METADATA_PROVENANCE": "disabled",
        "DOCKER_CLI_HINTS": "false",
    }


def finish(
    plan: BuildPlan, prepared: Prepared, into: Path, scratch: Path, seconds: float
) -> BuiltImage:
    """Make the image from what BuildKit exported. seconds: how long BuildKit took.

    Raises Refused when the export is for another platform than the plan.
    """
    began = time.monotonic()
    export = Export.open(prepared.export)
    if not export.config.platform.matches(plan.platform):
        raise Refused(
            f"buildx built an image for {export.config.platform}, not {plan.platform}",
            "the Dockerfile's last FROM names another platform",
        )
    store = LayoutStore.create(into)
    settings = settings_of(plan, export)
    if plan.method == "graft":
        steps = grafted_steps(plan, export, scratch)
    else:
        steps = full_steps(plan, export, scratch)
        keep_base_blobs(plan, export, store)
    timings = {"buildx": seconds, "layers": time.monotonic() - began}
    return assemble(plan, store, settings, steps, "buildx", timings=timings)
