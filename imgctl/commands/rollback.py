"""`imgctl rollback`: readable tags go back to an earlier release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.releases_options import place_options, workload_of


@click.command(name="rollback")
@click.argument("image")
@click.option("--to", "version", metavar="V", required=True, help="The release to go back to.")
@click.option("--l4t", metavar="RELEASE",
              help="For this L4T release.  [default: on the line the tags follow]")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would move.")
@click.option("-o", "--output", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Its manifests go there.  [default: its folder in dist/]")  # fmt: skip
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where builds are.")  # fmt: skip
@place_options
@registry_options
@format_option
def command(
    image: str,
    version: str,
    l4t: str | None,
    dry_run: bool,
    output: Path | None,
    dist: Path,
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> None:
    """Move the readable tags of IMAGE (1.4, 1, latest) back to release V, and write its manifests.

    Tags that name one build for ever stay, and so does V's own `V`. Nothing is deleted.
    """
    from builder.matrix import Matrix
    from imgctl.output import print_json
    from imgctl.push_options import place_of, target_of
    from imgctl.releases_options import repository_of
    from imgctl.settings import section
    from registry.client import RegistryClient
    from registry.progress import SILENT
    from release.rollback import plan_rollback, put_tags, write_manifests
    from release.tags import TagScheme, parse_version

    scheme, wanted = TagScheme.parse(section("tags")), parse_version(version)
    name = Matrix.load().release(l4t).name if l4t else None
    place = place_of(given)
    paths: list[Path] = []
    with RegistryClient(registry.options(place.host)) as client:
        repository = repository_of(client, given, image)
        plan = plan_rollback(repository, scheme, wanted, name)
        if not dry_run:
            put_tags(repository, target_of(given, client, place, SILENT), plan)
            folder = output or dist / image / plan.target.tag
            paths = write_manifests(
                plan, lambda: workload_of(image, plan.target.image.labels), folder
            )
    if output_format == "json":
        value = plan.to_json() | {"manifests": [str(path) for path in paths]}
        print_json(value | {"dry_run": True} if dry_run else value)
        return
    for tag, before in plan.moves.items():
        click.echo(f"{tag}  {before} -> {plan.target.digest}")
    if not plan.moves:
        click.echo(f"every readable tag is at {version} already", err=True)
    for path in paths:
        click.echo(f"wrote {path}", err=True)
