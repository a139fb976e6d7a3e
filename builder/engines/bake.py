"""Many images by one `docker buildx bake`, so that BuildKit works on them side by side."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.engines.buildlog import BuildLog
from builder.engines.buildx import BuildxOptions, Prepared, finish, output, prepare
from builder.engines.child import run_child
from builder.engines.image import BuiltImage
from builder.engines.select import Builder
from builder.plan import BuildPlan
from registry.errors import ImgctlError
from registry.progress import Progress


@dataclass(frozen=True)
class Item:
    """One plan of several: where its layout goes, and its folder for what is needed on the way."""

    plan: BuildPlan
    into: Path
    scratch: Path


def bake(
    items: Mapping[int, Item], options: BuildxOptions, builder: Builder, progress: Progress
) -> dict[int, BuiltImage]:
    """Build the plans in one run of BuildKit; returns those that came out whole.

    BuildKit ends all targets when one fails. So what is missing in the answer is not necessarily
    at fault: build it by itself, and the steps that were done come from the cache.
    """
    began = time.monotonic()
    prepared = _prepare(items)
    if not prepared:
        return {}
    file = items[min(prepared)].scratch / "bake.json"
    targets: dict[str, Any] = {}
    for number, ready in prepared.items():
        plan = items[number].plan
        targets[target_name(plan, targets)] = target(plan, ready, options)
    value = {"group": {"default": {"targets": list(targets)}}, "target": targets}
    file.write_text(json.dumps(value), encoding="utf-8")
    log = BuildLog(progress)
    try:
        run_child(command(file, options, builder), environment(options), log.feed)
    finally:
        log.close()
    seconds = time.monotonic() - began
    built: dict[int, BuiltImage] = {}
    for number, ready in prepared.items():
        item = items[number]
        # Cut short: its own build, which follows, tells the cause.
        with suppress(ImgctlError, FileNotFoundError):
            built[number] = finish(item.plan, ready, item.into, item.scratch, seconds)
    return built


def _prepare(items: Mapping[int, Item]) -> dict[int, Prepared]:
    prepared: dict[int, Prepared] = {}
    for number, item in items.items():
        with suppress(ImgctlError):
            prepared[number] = prepare(item.plan, item.scratch)
    return prepared


def command(file: Path, options: BuildxOptions, builder: Builder) -> list[str]:
    """The bake command line; what differs between targets is in the file."""
    words = ["docker", "buildx", "bake", f"--file={file}", "--progress=rawjson"]
    if options.builder:
        words += ["--builder", options.builder]
    if options.no_cache:
        words.append("--no-cache")
    # Before 0.17 bake has no such option, and asks for no such permission.
    if options.network == "host" and builder.number >= (0, 17):
        words.append("--allow=network.host")
    return words


def environment(options: BuildxOptions) -> dict[str, str]:
    """The child's environment. Everything bake reads or writes is ours, made for this run."""
    return {
        **options.environment,
        "BUILDX_BAKE_ENTITLEMENTS_FS": "0",
        "BUILDX_METADATA_PROVENANCE": "disabled",
        "DOCKER_CLI_HINTS": "false",
    }


def target_name(plan: BuildPlan, taken: Container[str]) -> str:
    """A name for a target that a reader of the progress knows, like `mnist-r35-2-1`."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", f"{plan.image}-{plan.release.name}")
    while name in taken:
        name += "-"
    return name


def target(plan: BuildPlan, prepared: Prepared, options: BuildxOptions) -> dict[str, Any]:
    """A plan as a bake target. Build arguments stand in the file, which only we can read.

    Whatever is the user's is made literal: bake takes strings for HCL templates.
    """
    arguments = {**plan.build_args, "SOURCE_DATE_EPOCH": str(plan.created)}
    value: dict[str, Any] = {
        "context": _literal(str(prepared.context.absolute())),
        "dockerfile": _literal(str(prepared.dockerfile.absolute())),
        "contexts": {str(plan.remote.reference): _literal(prepared.base_context)},
        "platforms": [str(plan.platform)],
        "output": [_literal(output(prepared))],
        "args": {name: _literal(text) for name, text in arguments.items()},
        "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
    }
    if options.network:
        value["network"] = _literal(options.network)
    if options.cache_to:
        value["cache-to"] = [_literal(text) for text in options.cache_to]
    if options.cache_from:
        value["cache-from"] = [_literal(text) for text in options.cache_from]
    if options.secrets:
        value["secret"] = [_literal(text) for text in options.secrets]
    return value


def _literal(text: str) -> str:
    """Text that bake leaves as it is."""
    return text.replace("${", "$${").replace("%{", "%%{")
