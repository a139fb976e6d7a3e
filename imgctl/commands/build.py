"""`imgctl build`: from an image definition and an L4T release to an image in dist/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl.build_options import build_arguments, build_options, buildx_options
from imgctl.options import RegistryFlags, base_tag_option, format_option, registry_options
from registry.errors import BadInput, ImgctlError

if TYPE_CHECKING:
    from builder.build import Outcome
    from builder.definition import ImageDefinition
    from builder.matrix import Matrix
    from builder.plan import BuildPlan, Choices
    from builder.planning import Settings, Workshop
    from builder.request import Request


@click.command(name="build")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every image of the catalogue.")
@click.option("--l4t", "releases", metavar="RELEASE", multiple=True,
              help="r35.2.1, jetpack-5.1, …; several times for several.")  # fmt: skip
@click.option("--base", "family", metavar="FAMILY", help="Base family; see `imgctl l4t RELEASE`.")
@base_tag_option
@build_options
@click.option("--platform", default="linux/arm64", show_default=True, help="Which platform.")
@click.option("--no-cache", is_flag=True, help="Build anew, even what is up to date.")
@click.option("--source", default="", metavar="URL", help="Label: where the code is.")
@click.option("--revision", default="", metavar="COMMIT", help="Label: which state of it.")
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where results go.")  # fmt: skip
@click.option("--full", is_flag=True, help="Fetch the base's layers too: a complete layout.")
@click.option("--load", is_flag=True, help="Put the result into the local Docker engine.")
@click.option("--dry-run", is_flag=True, help="Print the plan; build nothing.")
@registry_options
@format_option
def command(
    images: tuple[str, ...],
    every: bool,
    releases: tuple[str, ...],
    registry: RegistryFlags,
    output_format: str,
    dry_run: bool,
    load: bool,
    **given: Any,
) -> int:
    """Build images for NVIDIA Jetson.

    IMAGE is a name from `imgctl images` or a folder with an image.yaml. The result is an OCI
    layout with its record in dist/IMAGE/VERSION-l4t-RELEASE/.
    """
    from builder.build import build_all
    from builder.matrix import Matrix
    from builder.planning import Workshop
    from imgctl.catalogue import template_roots
    from imgctl.progress import progress as shown
    from registry.client import RegistryClient

    matrix = Matrix.load()
    requests = _requests(matrix, images, every, releases, (given["family"], given["variant"]))
    settings = _settings(matrix, given, load)
    host = settings.mirror.host if settings.mirror else "nvcr.io"
    with shown() as progress, RegistryClient(registry.options(host), progress) as client:
        workshop = Workshop(matrix, client, template_roots(), settings, progress)
        if dry_run:
            workshop.read_ahead(requests)
            plans = [workshop.plan(request) for request in requests]
            _print_plans(plans, output_format)
            return 0
        outcomes = build_all(workshop, requests)
        if load:
            outcomes = [_load(workshop, outcome) for outcome in outcomes]
    return _report(outcomes, output_format)


def _requests(
    matrix: Matrix,
    names: tuple[str, ...],
    every: bool,
    releases: tuple[str, ...],
    base: tuple[str | None, str | None],
) -> list[Request]:
    """Every image for every release. base: family and tag asked for."""
    from builder.definition import catalogue, find
    from builder.request import Request
    from imgctl.catalogue import image_roots

    if every and names:
        raise BadInput("give names of images or --all, not both")
    if not every and not names:
        raise BadInput("which image?", "", "name one, or --all; `imgctl images` lists them")
    if not releases:
        raise BadInput("for which L4T release?", "", "add --l4t r35.2.1; `imgctl l4t` lists them")
    found = [matrix.release(text) for text in releases]
    roots = image_roots()
    definitions: list[ImageDefinition] = (
        list(catalogue(roots)) if every else [find(name, roots) for name in names]
    )
    pairs = {
        (definition.name, release.version): Request(definition, release, *base)
        for definition in definitions
        for release in found
    }
    return list(pairs.values())


def _settings(matrix: Matrix, given: dict[str, Any], load: bool) -> Settings:
    from builder.mirror import Mirror
    from builder.planning import Settings

    return Settings(
        dist=given["dist"],
        choices=_choices(given),
        engine=given["engine"],
        buildx=buildx_options(given, no_cache=given["no_cache"]),
        mirror=Mirror.parse(given["base_mirror"]) if given["base_mirror"] else None,
        target=matrix.release(given["target_l4t"]) if given["target_l4t"] else None,
        wheel_mirror=given["wheel_mirror"],
        full=given["full"],
        keep_base=load,
        rebuild=given["no_cache"],
    )


def _choices(given: dict[str, Any]) -> Choices:
    from builder.plan import Choices
    from registry.oci import Platform

    return Choices(
        platform=Platform.parse(given["platform"]),
        build_args=build_arguments(given),
        source=given["source"],
        revision=given["revision"],
        created=given["source_date_epoch"],
    )


def _load(workshop: Workshop, outcome: Outcome) -> Outcome:
    from dataclasses import replace

    from builder.load import load_image
    from registry.layout import LayoutStore

    if outcome.record is None or outcome.folder is None:
        return outcome
    base = outcome.record.value["base"]["sources"]
    sources = [workshop.client.repository(item["host"], item["repository"]) for item in base]
    try:
        load_image(
            outcome.record,
            LayoutStore(outcome.folder),
            sources,
            workshop.settings.buildx.environment,
            workshop.progress,
        )
    except ImgctlError as error:
        what = f"{outcome.record.name} is built, but not loaded: {error.what}"
        return replace(outcome, error=type(error)(what, error.why, error.hint))
    return outcome


def _print_plans(plans: list[BuildPlan], output_format: str) -> None:
    if output_format == "json":
        values = [plan.to_json() for plan in plans]
        click.echo(json.dumps(values[0] if len(values) == 1 else values, indent=2))
        return
    for plan in plans:
        click.echo(f"image     {plan.name}")
        click.echo(f"plan      {plan.identity}")
        click.echo(f"platform  {plan.platform}")
        click.echo(f"base      {plan.remote.reference}@{plan.remote.manifest.digest}")
        click.echo(f"from      {plan.remote.source.name}")
        if plan.base.reason:
            click.echo(f"why       {plan.base.reason}")
        click.echo(f"method    {plan.method}")
        for file in plan.files:
            click.echo(f"file      {file.path} {file.mode:04o} {file.size} bytes")
        for requirement in plan.requirements:
            click.echo(f"wheel     {requirement}")
        click.echo("")
        click.echo(plan.dockerfile)


def _report(outcomes: list[Outcome], output_format: str) -> int:
    """Print how each ended; the exit code. A single failure is raised as it is."""
    from imgctl.output import print_error, print_json

    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if len(outcomes) == 1 and failed:
        assert failed[0].error is not None  # noqa: S101 - just chosen by it
        raise failed[0].error
    if output_format == "json":
        values = [_as_json(outcome) for outcome in outcomes]
        print_json(values[0] if len(values) == 1 else values)
    else:
        for outcome in outcomes:
            click.echo(_line(outcome))
    for outcome in failed:
        if outcome.error is not None:
            click.echo(f"{outcome.request.name}:", err=True)
            print_error(outcome.error)
    if failed:
        done = len(outcomes) - len(failed)
        click.echo(f"imgctl: {done} of {len(outcomes)} built, {len(failed)} failed", err=True)
    return _exit_code(failed)


def _exit_code(failed: list[Outcome]) -> int:
    """0 when nothing failed; what all failures have in common; else 1."""
    codes = {outcome.error.exit_code for outcome in failed if outcome.error is not None}
    if len(codes) == 1:
        return codes.pop()
    return 1 if codes else 0


def _as_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is not None or outcome.record is None:
        error = outcome.error or ImgctlError("not built")
        return {
            "image": outcome.request.definition.name,
            "l4t": outcome.request.release.name,
            "error": {"what": error.what, "why": error.why, "hint": error.hint},
        }
    return {**outcome.record.value, "path": str(outcome.folder), "up_to_date": outcome.up_to_date}


def _line(outcome: Outcome) -> str:
    from imgctl.progress import size

    if outcome.error is not None or outcome.record is None:
        return f"failed    {outcome.request.name}"
    record = outcome.record
    if outcome.up_to_date:
        how = "up to date"
    else:
        ours = sum(layer.size for layer in record.layers(ours=True))
        base = sum(layer.size for layer in record.layers(ours=False))
        how = (
            f"built by {record.value['engine']} in {outcome.seconds:.2f} s: "
            f"{size(ours)} on a base of {size(base)}"
        )
    return f"{record.name}  {record.digest}\n  {how}\n  {outcome.folder}"
