"""`imgctl harbor gc`: what could be freed, and freeing it."""

from __future__ import annotations

import click

from imgctl.harbor_options import dry_run_option, harbor_options, open_harbor
from imgctl.options import RegistryFlags


@click.command(name="gc")
@click.option("--delete-untagged", is_flag=True,
              help="Artifacts without a tag too, of every project. Images that run by digest may "
              "have none.")  # fmt: skip
@click.option("--timeout", type=click.IntRange(1), default=3600, show_default=True,
              metavar="SECONDS", help="Wait so long for the end.")  # fmt: skip
@dry_run_option
@harbor_options
def collect(
    harbor: str | None,
    project: str,
    registry: RegistryFlags,
    output_format: str,
    delete_untagged: bool,
    timeout: int,
    dry_run: bool,
) -> None:
    """Collect garbage on the whole of Harbor, or with --dry-run find out how much there is.

    Takes a system administrator. Blobs younger than two hours stay.
    """
    from imgctl.output import print_json
    from imgctl.progress import size
    from registry.harbor import gc

    with open_harbor(harbor, registry) as api:
        run = gc.start(api, dry_run=dry_run, delete_untagged=delete_untagged)
        done = gc.wait(api, run, timeout=timeout)
    if output_format == "json":
        print_json(done.to_json())
        return
    what = "would delete" if dry_run else "deleted"
    freed = "" if done.freed is None else f", {size(done.freed)}"
    click.echo(f"{what} {done.blobs} blobs and {done.manifests} manifests{freed}")
    click.echo("  blobs younger than two hours stay", err=True)
