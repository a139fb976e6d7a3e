"""NVIDIA's registry as Harbor reaches it: options, and the endpoint they make."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.harbor.registries import Endpoint

KEY_VARIABLE = "IMGCTL_NGC_KEY"


def upstream_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --upstream and --ngc-key-file; endpoint() makes an Endpoint of them."""
    options = (
        click.option("--upstream", metavar="URL", default="https://nvcr.io", show_default=True,
                     help="The registry that Harbor fetches from."),
        click.option("--ngc-key-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                     metavar="FILE", help=f"An NGC key for it ({KEY_VARIABLE} holds it otherwise); "
                     "public images need none."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def endpoint(given: dict[str, Any]) -> Endpoint:
    """The endpoint that the options describe; raises BadInput."""
    from registry.harbor.registries import NGC_USER, Endpoint
    from registry.reference import check_host

    url = given["upstream"].rstrip("/")
    scheme, mark, host = url.partition("://")
    if not mark or scheme not in ("http", "https"):
        raise BadInput(f"{url!r} is not the address of a registry", "", f"write https://{url}")
    check_host(host)
    file = given["ngc_key_file"]
    key = file.read_text(encoding="utf-8") if file else os.environ.get(KEY_VARIABLE, "")
    if file and not key.strip():
        raise BadInput(f"{file} holds no key")
    name = host.partition(":")[0]
    return Endpoint(name, url, username=NGC_USER if key.strip() else "", password=key.strip())
