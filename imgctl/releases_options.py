"""Options of the commands that look at what is released."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from registry.client import RegistryClient
    from registry.repository import Repository

Command = Callable[..., Any]


def place_options(function: Command) -> Command:
    """Add --harbor, --registry, --project; place_of() reads them."""
    for option in (
        click.option("--project", metavar="NAME", help="[default: algorithms on Harbor]"),
        click.option("--registry", "plain", metavar="HOST[/PATH]", help="Or any other registry."),
        click.option("--harbor", metavar="HOST", help="The Harbor it is released to."),
    ):
        function = option(function)
    return function


def repository_of(client: RegistryClient, given: dict[str, Any], image: str) -> Repository:
    """Where an image is released to."""
    from imgctl.push_options import place_of

    place = place_of(given)
    return client.repository(place.host, place.repository(image), push=True)


def workload_of(image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """What an image needs to run, as its labels say, else its definition here; said if neither."""
    from builder.definition import find
    from deploy.records import workload_label
    from imgctl.catalogue import image_roots
    from registry.errors import BadInput

    if known := workload_label(labels):
        return known
    try:
        found = find(image, image_roots()).workload
    except BadInput:
        click.echo(f"note: neither {image} nor a definition here says how it runs: "
                   "no GPU is asked for", err=True)  # fmt: skip
        return {}
    return {"kind": found.kind, "gpus": found.gpus, "host_network": found.host_network}
