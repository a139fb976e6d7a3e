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
@click.option("--l4t", metavar="RELEASE", required=True, help="Of which L4T release.")
@click.option("--dry-run", is_flag=True, help="Show what would move.")
@click.option("-o", "--output", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Write pod.yaml and deployment.yaml of that release there.")  # fmt: skip
@place_options
@registry_options
@format_option
def command(
    image: str,
    version: str,
    l4t: str,
    dry_run: bool,
    output: Path | None,
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> None:
    """Move the readable tags of IMAGE (1.4, 1, latest) back to release V.

    Tags that name one build for ever stay, and so does V's own `V`. Nothing is deleted.
    """
    from builder.matrix import Matrix
    from imgctl.output import print_json
    from imgctl.push_options import place_of
    from imgctl.releases_options import repository_of
    from imgctl.settings import section
    from registry.client import RegistryClient
    from release.rollback import plan_rollback, put_tags, write_manifests
    from release.tags import TagScheme, parse_version

    scheme, release = TagScheme.parse(section("tags")), Matrix.load().release(l4t)
    with RegistryClient(registry.options(place_of(given).host)) as client:
        repository = repository_of(client, given, image)
        plan = plan_rollback(repository, scheme, parse_version(version), release.name)
        if not dry_run:
            put_tags(repository, plan)
            if output:
                write_manifests(plan, workload_of(image, plan.target.image.labels), output)
    if output_format == "json":
        print_json(plan.to_json())
        return
    for tag, before in plan.moves.items():
        click.echo(f"{tag}  {before} -> {plan.target.digest}")
    if not plan.moves:
        click.echo(f"every readable tag is at {version} already", err=True)
