"""Kubernetes objects on stdout or into a folder, the same way from every command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from deploy.manifests import Object
from imgctl.output import print_json


def show(objects: Sequence[Object], folder: Path | None, output_format: str) -> None:
    """Print objects as a YAML stream or a JSON List, or write them to folder and name the files."""
    if folder is not None:
        from deploy.output import write_folder

        for path in write_folder(objects, folder, as_json=output_format == "json"):
            click.echo(path)
    elif output_format == "json":
        print_json({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    else:
        from deploy.yaml_text import to_yaml

        click.echo(to_yaml(objects), nl=False)
