"""`imgctl build`: from an image definition and an L4T release to an image in dist/."""

from __future__ import annotations

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
    from builder.plan import Choices
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
    from builder.build import build_all, plan_all
    from builder.matrix import Matrix
    from builder.planning import Workshop
    from imgctl.build_report import report_builds, report_plans
    from imgctl.catalogue import template_roots
    from imgctl.progress import progress as shown
    from registry.client import RegistryClient

    matrix = Matrix.load()
    requests, broken = _requests(
        matrix, images, every, releases, (given["family"], given["variant"])
    )
    settings = _settings(matrix, given, load)
    host = settings.mirror.host if settings.mirror else "nvcr.io"
    with shown() as progress, RegistryClient(registry.options(host), progress) as client:
        workshop = Workshop(matrix, client, template_roots(), settings, progress)
        if dry_run:
            return report_plans(plan_all(workshop, requests), broken, output_format)
        outcomes = build_all(workshop, requests)
        if load:
            outcomes = [_load(workshop, outcome) for outcome in outcomes]
    return report_builds(outcomes, broken, output_format)


def _requests(
    matrix: Matrix,
    names: tuple[str, ...],
    every: bool,
    releases: tuple[str, ...],
    base: tuple[str | None, str | None],
) -> tuple[list[Request], dict[str, ImgctlError]]:
    """Every image for every release, and what is wrong with the definitions of others.

    base: family and tag asked for. Raises BadInput, and what is wrong with an only image.
    """
    from builder.definition import find, folders_of
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
    asked = sorted({folder.name for folder in folders_of(roots)}) if every else names
    definitions: list[ImageDefinition] = []
    broken: dict[str, ImgctlError] = {}
    for name in dict.fromkeys(asked):
        try:
            definitions.append(find(name, roots))
        except ImgctlError as error:
            if len(asked) == 1:
                raise
            broken[name] = error
    pairs = {
        (definition.name, release.version): Request(definition, release, *base)
        for definition in definitions
        for release in found
    }
    return list(pairs.values()), broken


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
