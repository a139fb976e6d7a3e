"""`imgctl init`: a new repository of images, with the workflow that releases them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from imgctl import __version__
from imgctl.options import format_option
from registry.errors import ImgctlError

WORKFLOW = "imgctl/imgctl/.github/workflows/release-image.yml"


@click.command(name="init")
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--harbor", default="local-harbor.com", show_default=True, help="Your Harbor.")
@click.option("--project", default="algorithms", show_default=True, help="Project in it.")
@click.option("--l4t", default="r35.2.1", show_default=True, help="What the devices run.")
@click.option("--workflow", metavar="OWNER/REPO/PATH@REF",
              show_default=f"{WORKFLOW} of this imgctl's commit, else version",
              help="The reusable workflow that releases; pin it to a commit.")  # fmt: skip
@format_option
def command(
    name: str,
    folder: Path,
    harbor: str,
    project: str,
    l4t: str,
    workflow: str | None,
    output_format: str,
) -> None:
    """Write a new image NAME with its settings and release workflow into FOLDER.

    FOLDER is made where it is missing; without it, files go into the current one. Nothing that is
    there is overwritten.
    """
    from builder.matrix import Matrix
    from imgctl.output import print_json
    from release.scaffold import NewRepository, files_of, write_repository

    release = Matrix.load().release(l4t)
    used = workflow or f"{WORKFLOW}@{_own_ref(Path(__file__).parents[2])}"
    new = NewRepository(name, harbor, project, release.name, used)
    written = write_repository(folder, files_of(new))
    if output_format == "json":
        print_json([str(path) for path in written])
        return
    for path in written:
        click.echo(str(path))
    there = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"next: {there}imgctl build {name}", err=True)


def _own_ref(checkout: Path) -> str:
    """The commit that this imgctl runs from, or its version's tag where it was installed."""
    from release.source import read_source

    source = None
    if (checkout / "action.yml").is_file():
        # What a hook or an alias of git has set is about another repository.
        environment = {key: value for key, value in os.environ.items() if key[:4] != "GIT_"}
        try:
            source = read_source(checkout, environment)
        except ImgctlError as error:
            click.echo(f"note: the workflow is not pinned to a commit: {error.what}", err=True)
    return source.revision if source else f"v{__version__}"
