"""`imgctl manifests`: the Kubernetes objects that run exactly one image."""

from __future__ import annotations

from pathlib import Path

import click

from imgctl.options import RegistryFlags, registry_options
from imgctl.workload_options import WorkloadFlags, workload_options


@click.command(name="manifests")
@click.argument("image")
@workload_options
@registry_options
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="One file each, and a kustomization.yaml.",
)
@click.option("--format", "output_format", type=click.Choice(["yaml", "json"]), default="yaml",
              show_default=True, help="How objects are printed.")  # fmt: skip
def command(
    image: str,
    flags: WorkloadFlags,
    registry: RegistryFlags,
    output: Path | None,
    output_format: str,
) -> None:
    """Print what runs IMAGE on a cluster, pinned by digest.

    IMAGE is an image pushed from here (NAME or NAME:TAG), a record file, or any
    REPOSITORY@sha256:… .
    """
    from deploy.manifests import manifests, warnings
    from imgctl.objects import show

    workload, _ = flags.workload(image, registry)
    kinds = flags.kinds or (("job",) if workload.batch else ("deployment",))
    objects = manifests(workload, kinds)
    for line in warnings(workload, kinds):
        click.echo(f"warning: {line}", err=True)
    show(objects, output, output_format)
