"""From plans to finished builds in dist/: what is there already, what goes out together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from builder import output
from builder.base_layers import fetch_layers
from builder.emulators import INSTALL
from builder.engines.bake import Item, bake
from builder.engines.buildx import BuildxEngine
from builder.engines.direct import DirectEngine, WheelLayer
from builder.engines.image import BuiltImage, Engine
from builder.engines.select import choose_engine
from builder.plan import BuildPlan
from builder.planning import Workshop
from builder.record import BuildRecord, record_of
from builder.request import Request
from registry.errors import ImgctlError
from registry.layout import LayoutStore
from registry.oci import Descriptor
from registry.progress import Progress


@dataclass(frozen=True)
class Outcome:
    """How one request ended: with a record and the folder it lies in, or with an error.

    up_to_date: the build was there already. seconds: how long planning and building it took.
    """

    request: Request
    record: BuildRecord | None = None
    folder: Path | None = None
    up_to_date: bool = False
    error: ImgctlError | None = None
    seconds: float = 0.0


Planned = tuple[Request, BuildPlan | ImgctlError]
"""A request, and its plan or why it has none."""


def plan_all(workshop: Workshop, requests: Sequence[Request]) -> list[Planned]:
    """The plan of every request, in their order; one that has none does not stop the rest."""
    workshop.read_ahead(requests)
    found: list[Planned] = []
    for request in requests:
        try:
            found.append((request, workshop.plan(request)))
        except ImgctlError as error:
            found.append((request, error))
    return found


def build_all(workshop: Workshop, requests: Sequence[Request]) -> list[Outcome]:
    """Build every request, in their order; one that fails does not stop the rest.

    Those that need buildx go out as one `buildx bake` when there are several.
    """
    outcomes: dict[int, Outcome] = {}
    waiting: dict[int, BuildPlan] = {}
    planned: dict[int, float] = {}
    began = time.monotonic()
    workshop.read_ahead(requests)
    reading = time.monotonic() - began
    for number, request in enumerate(requests):
        began = time.monotonic()
        try:
            plan = workshop.plan(request)
            record = _present(workshop, plan)
            planned[number] = reading + time.monotonic() - began
            if record is None:
                waiting[number] = plan
            else:
                folder = output.folder_of(workshop.settings.dist, plan.image, plan.tag)
                outcomes[number] = Outcome(request, record, folder, True, None, planned[number])
        except ImgctlError as error:
            outcomes[number] = Outcome(request, error=error)
    for number, result in _build(workshop, waiting).items():
        plan, request = waiting[number], requests[number]
        if isinstance(result, ImgctlError):
            outcomes[number] = Outcome(request, error=result)
        else:
            folder = output.folder_of(workshop.settings.dist, plan.image, plan.tag)
            seconds = planned[number] + float(result.value["timings"]["total"])
            outcomes[number] = Outcome(request, result, folder, seconds=seconds)
    return [outcomes[number] for number in range(len(requests))]


def engine_for(workshop: Workshop, plan: BuildPlan) -> Engine:
    """The engine for a plan; raises ImgctlError when the one it needs is not there."""
    settings = workshop.settings
    wanted = "direct" if plan.requirements else settings.engine
    builder = None if wanted == "direct" else workshop.builder()
    if choose_engine(wanted, builder, plan.only_buildx()) == "direct":
        if builder is not None and settings.buildx.builder:
            # It was asked for by name: somebody should know why it is not used.
            workshop.progress.say(f"{plan.name} is built directly: {builder.why}")
        return DirectEngine(lambda *given: _wheels(workshop, *given))
    if builder and plan.method == "full" and not builder.can_run(plan.platform):
        raise ImgctlError(
            f"the builder {builder.name} cannot run steps for {plan.platform}",
            f"it offers {', '.join(map(str, builder.platforms))}",
            f"install emulation ({INSTALL}), or name a native arm64 --builder",
        )
    return BuildxEngine(settings.buildx)


def _present(workshop: Workshop, plan: BuildPlan) -> BuildRecord | None:
    """The build, if it is in dist/ already; made complete there when that is asked for."""
    settings = workshop.settings
    if settings.rebuild:
        return None
    record = output.finished(settings.dist, plan.image, plan.tag, plan.identity)
    if record is None or not (settings.full and record.sparse):
        return record
    folder = output.folder_of(settings.dist, plan.image, plan.tag)
    with output.explained(folder):
        _fetch(workshop, plan, LayoutStore(folder))
        complete = record.complete()
        complete.save(folder)
    return complete


def _build(
    workshop: Workshop, plans: Mapping[int, BuildPlan]
) -> dict[int, BuildRecord | ImgctlError]:
    results: dict[int, BuildRecord | ImgctlError] = {}
    together: dict[int, BuildPlan] = {}
    for number, plan in plans.items():
        try:
            engine = engine_for(workshop, plan)
            if isinstance(engine, BuildxEngine) and len(plans) > 1:
                together[number] = plan
            else:
                results[number] = _build_one(workshop, plan, engine)
        except ImgctlError as error:
            results[number] = error
    return results | _build_together(workshop, together)


def _build_one(workshop: Workshop, plan: BuildPlan, engine: Engine) -> BuildRecord:
    began = time.monotonic()
    with output.staging(workshop.settings.dist, plan.image, plan.tag) as made:
        built = engine.build(plan, made.layout, made.scratch, workshop.progress)
        return _publish(workshop, plan, made, built, began)


def _build_together(
    workshop: Workshop, plans: Mapping[int, BuildPlan]
) -> dict[int, BuildRecord | ImgctlError]:
    """Several plans by one `buildx bake`; those it did not finish go one by one after it."""
    results: dict[int, BuildRecord | ImgctlError] = {}
    if not plans:
        return results
    try:
        results |= _bake(workshop, plans)
    except ImgctlError as error:
        return dict.fromkeys(plans, error)
    engine = BuildxEngine(workshop.settings.buildx)
    for number in plans.keys() - results.keys():
        try:
            results[number] = _build_one(workshop, plans[number], engine)
        except ImgctlError as error:
            results[number] = error
    return results


def _bake(
    workshop: Workshop, plans: Mapping[int, BuildPlan]
) -> dict[int, BuildRecord | ImgctlError]:
    """What one `buildx bake` made of the plans; those it did not finish are left out."""
    results: dict[int, BuildRecord | ImgctlError] = {}
    began = time.monotonic()
    with ExitStack() as stack:
        made: dict[int, output.Staging] = {}
        for number, plan in plans.items():
            try:
                staging = output.staging(workshop.settings.dist, plan.image, plan.tag)
                made[number] = stack.enter_context(staging)
            except ImgctlError as error:
                results[number] = error
        items = {
            number: Item(plans[number], place.layout, place.scratch)
            for number, place in made.items()
        }
        options, builder = workshop.settings.buildx, workshop.builder()
        for number, built in bake(items, options, builder, workshop.progress).items():
            try:
                results[number] = _publish(workshop, plans[number], made[number], built, began)
            except ImgctlError as error:
                results[number] = error
    return results


def _publish(
    workshop: Workshop, plan: BuildPlan, made: output.Staging, built: BuiltImage, began: float
) -> BuildRecord:
    """Make the layout complete or sparse, as asked for; write the record; put both in place."""
    settings = workshop.settings
    if settings.full and built.sparse:
        _fetch(workshop, plan, LayoutStore(built.path))
        built = replace(built, sparse=False)
    elif not (settings.full or settings.keep_base or built.sparse):
        built = _without_base(built)
    timings = {**built.timings, "total": time.monotonic() - began}
    record = record_of(plan, built, timings)
    record.save(made.layout)
    output.publish(made, output.folder_of(workshop.settings.dist, plan.image, plan.tag))
    return record


def _without_base(built: BuiltImage) -> BuiltImage:
    """The same without the gigabytes that BuildKit exports with our few bytes."""
    store = LayoutStore(built.path)
    ours = {layer.descriptor.digest for layer in built.layers if layer.ours}
    for layer in built.layers:
        if layer.descriptor.digest not in ours:
            store.blob_path(layer.descriptor.digest).unlink(missing_ok=True)
    return replace(built, sparse=len(ours) < len({item.descriptor.digest for item in built.layers}))


def _fetch(workshop: Workshop, plan: BuildPlan, store: LayoutStore) -> None:
    layers: Sequence[Descriptor] = plan.remote.manifest.layers
    fetch_layers(
        store,
        layers,
        workshop.sources(plan),
        workshop.progress,
        workshop.client.options.concurrency,
    )


def _wheels(workshop: Workshop, plan: BuildPlan, folder: Path, progress: Progress) -> WheelLayer:
    from builder.wheels import unpack_wheels

    settings = workshop.settings
    return unpack_wheels(plan, folder, progress, settings.buildx.environment, settings.wheel_mirror)
