"""`imgctl init`: a new repository of images, with the workflow that releases them."""

from __future__ import annotations

from pathlib import Path

import click

from imgctl.options import format_option

WORKFLOW = "imgctl/imgctl/.github/workflows/release-image.yml@main"


@click.command(name="init")
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--harbor", default="local-harbor.com", show_default=True, help="Your Harbor.")
@click.option("--project", default="algorithms", show_default=True, help="Project in it.")
@click.option("--l4t", default="r35.2.1", show_default=True, help="What the devices run.")
@click.option("--workflow", default=WORKFLOW, metavar="OWNER/REPO/PATH@REF", show_default=True,
              help="The workflow that releases; pin it to a commit.")  # fmt: skip
@format_option
def command(
    name: str, folder: Path, harbor: str, project: str, l4t: str, workflow: str, output_format: str
) -> None:
    """Write a new image NAME with its settings and release workflow into FOLDER.

    Nothing that is there is overwritten.
    """
    from builder.matrix import Matrix
    from imgctl.output import print_json
    from release.scaffold import NewRepository, files_of, write_repository

    release = Matrix.load().release(l4t)
    new = NewRepository(name, harbor, project, release.name, workflow)
    written = write_repository(folder, files_of(new))
    if output_format == "json":
        print_json([str(path) for path in written])
        return
    for path in written:
        click.echo(str(path))
    click.echo(f"next: cd {folder} && imgctl build {name}", err=True)
