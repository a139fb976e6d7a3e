"""How images are built: options that `build` and `release` share, and the values they make."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.dates import LAST_SECOND
from imgctl.options import Command, with_options
from registry.errors import BadInput

if TYPE_CHECKING:
    from builder.engines.buildx import BuildxOptions

# Names of build arguments that should have been secrets.
_SECRET = re.compile(r"passw|secret|token|api_?key|credential|private_?key", re.IGNORECASE)


def build_options(function: Command) -> Command:
    """Add the options on how an image is built, which the functions below read."""
    options = (
        click.option("--target-l4t", metavar="RELEASE",
                     help="The devices' release, where it differs."),
        click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Takes the place of nvcr.io."),
        click.option("--engine", type=click.Choice(["auto", "buildx", "direct"]), default="auto",
                     show_default=True, help="auto is buildx where it works, else direct."),
        click.option("--builder", default="", metavar="NAME", help="buildx: this builder."),
        click.option("--network", default="", metavar="MODE", help="buildx: network of RUN steps."),
        click.option("--build-arg", "build_args", metavar="NAME[=VALUE]", multiple=True,
                     help="A value for ARG; without VALUE it is the environment's."),
        click.option("--cache-to", metavar="SPEC", multiple=True,
                     help="buildx: export the cache."),
        click.option("--cache-from", metavar="SPEC", multiple=True, help="buildx: import a cache."),
        click.option("--secret", "secrets", metavar="id=NAME,src=FILE", multiple=True,
                     help="buildx: for RUN --mount=type=secret; or env=NAME."),
        click.option("--wheel-mirror", default="", metavar="URL", help="Your own store of wheels."),
        click.option("--source-date-epoch", type=click.IntRange(0, LAST_SECOND),
                     metavar="SECONDS", envvar=["IMGCTL_SOURCE_DATE_EPOCH", "SOURCE_DATE_EPOCH"],
                     help="Date of everything in the image; the base's date otherwise."),
    )  # fmt: skip
    return with_options(function, options)


def buildx_options(given: dict[str, Any], *, no_cache: bool = False) -> BuildxOptions:
    """What the options say to buildx."""
    from builder.engines.buildx import BuildxOptions

    return BuildxOptions(
        dict(os.environ),
        given["builder"],
        given["network"],
        no_cache,
        given["cache_to"],
        given["cache_from"],
        _secrets(given["secrets"]),
    )


def _secrets(given: tuple[str, ...]) -> tuple[str, ...]:
    """The secrets as buildx takes them; raises BadInput for what names none."""
    for text in given:
        fields = dict(part.partition("=")[::2] for part in text.split(","))
        source = fields.get("src") or fields.get("source")
        if not fields.get("id") or set(fields) - {"id", "src", "source", "env", "type"}:
            # Not shown: it may be the value.
            raise BadInput(
                "a --secret does not say which secret and where it is",
                "",
                "write id=NAME,src=FILE or id=NAME,env=VARIABLE, not the value itself",
            )
        if source and not Path(source).is_file():
            raise BadInput(f"the secret's file {source} does not exist")
        name = fields.get("env") or fields["id"]
        if not source and name not in os.environ:
            raise BadInput(f"--secret: the environment has no variable {name}")
    return given


def _build_arg(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name.isidentifier():
        raise BadInput(f"{name!r} is not the name of a build argument", "", "write NAME=VALUE")
    if not equals and name not in os.environ:
        raise BadInput(f"--build-arg {name} has no value", "the environment has none either")
    if _SECRET.search(name):
        click.echo(
            f"imgctl: --build-arg {name} stays readable in the image and in build.json; "
            "--secret does not",
            err=True,
        )
    return name, value if equals else os.environ[name]


def build_arguments(given: dict[str, Any]) -> dict[str, str]:
    """Values for ARG by name."""
    return dict(_build_arg(text) for text in given["build_args"])
