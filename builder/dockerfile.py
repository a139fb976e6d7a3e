"""Rendering a Dockerfile: a template per base family, on one shared layout.

The text depends on nothing but its input. Values from definitions reach it quoted, so that none
can add an instruction: ENV in double quotes with `$` escaped, COPY and CMD in JSON form, packages
quoted for the shell.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from builder.bases import BaseImage
from builder.definition import FileEntry, ImageDefinition
from builder.matrix import L4TRelease
from builder.recipe import Recipe
from registry.errors import BadInput

if TYPE_CHECKING:
    import jinja2

SUFFIX = ".Dockerfile.j2"
_VARIABLE = re.compile(r"\$\{[A-Z_]+\}")


@dataclass(frozen=True)
class Download:
    """A file fetched by BuildKit itself, outside the image. sha256: hex digest, or None."""

    url: str
    name: str
    sha256: str | None


@dataclass(frozen=True)
class CopyStep:
    """One COPY: sources in the context and a target, all with one owner."""

    source: str
    target: str
    owner: str


def render(
    definition: ImageDefinition,
    release: L4TRelease,
    base: BaseImage,
    recipe: Recipe,
    template_roots: Sequence[Path],
    *,
    pip: bool = True,
) -> str:
    """The Dockerfile that builds a definition on a base, for a release.

    template_roots: folders with `<family>.Dockerfile.j2`, the team's own first. pip: whether the
    definition's Python packages are installed by a step (the direct engine lays them on as wheels
    instead). Raises BadInput when there is no template for the family, or it is wrong.
    """
    import jinja2

    environment = _environment(tuple(template_roots))
    values = {
        "image": definition,
        "release": release,
        "base": base,
        "recipe": recipe,
        "apt": (*definition.apt, *_python_packages(definition, base, recipe, pip=pip)),
        "pip": definition.pip if pip else (),
        "pip_tools": _pip_tools(base, recipe),
        "downloads": downloads(recipe),
        "copies": copies(definition.files),
        "cache": f"imgctl-{release.name}-{base.family}",
    }
    name = f"{base.family}{SUFFIX}"
    try:
        text = environment.get_template(name).render(values)
    except jinja2.TemplateNotFound as error:
        places = ", ".join(str(root) for root in template_roots)
        raise BadInput(f"there is no template {error}", f"looked in {places}") from error
    except jinja2.TemplateSyntaxError as error:
        place = f"{error.filename or name}, line {error.lineno}: {error.message}"
        raise BadInput(f"the template {name} is wrong", place) from error
    except (jinja2.UndefinedError, jinja2.TemplateError) as error:
        raise BadInput(f"the template {name} is wrong", str(error)) from error
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _python_packages(
    definition: ImageDefinition, base: BaseImage, recipe: Recipe, *, pip: bool
) -> tuple[str, ...]:
    """What Python packages need first: bases without a framework have no pip, Ubuntu no Python."""
    if not definition.pip or base.provides or recipe.installs:
        return ()
    if pip:
        return ("python3-pip",)
    return ("python3",) if base.family == "ubuntu" else ()


def _pip_tools(base: BaseImage, recipe: Recipe) -> tuple[str, ...]:
    """A pip that takes today's wheels: that of Ubuntu 18.04 is older than their names."""
    return ("pip<22",) if base.python == "3.6" and not recipe.installs else ()


def downloads(recipe: Recipe) -> tuple[Download, ...]:
    """What BuildKit fetches for a recipe: wheels, archives, and the key of the apt source."""
    found = [Download(item.url, item.file, item.sha256) for item in recipe.wheels]
    found += [Download(item.url, item.file, item.sha256) for item in recipe.archives]
    source = recipe.apt_source
    if source is not None:
        name = source.keyring.rsplit("/", 1)[-1]
        found.append(Download(source.key_url, name, source.key_sha256))
    return tuple(found)


def copies(files: Sequence[FileEntry]) -> tuple[CopyStep, ...]:
    """The COPY steps for a definition's files: one a file, one for a whole folder."""
    steps: dict[CopyStep, None] = {}
    for entry in files:
        owner = f"{entry.uid}:{entry.gid}"
        if entry.tree:
            steps.setdefault(CopyStep(f"{entry.tree}/", f"{entry.tree_target}/", owner))
        else:
            steps.setdefault(CopyStep(entry.relative, entry.target, owner))
    return tuple(steps)


@lru_cache(maxsize=2)  # holds compiled templates, which cost more than rendering them
def _environment(roots: tuple[Path, ...]) -> jinja2.Environment:
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    # Dockerfiles are no HTML: the filters below quote for their own syntaxes.
    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader([str(root) for root in roots]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["env"] = env_pairs
    environment.filters["env_with_variables"] = env_pairs_with_variables
    environment.filters["json"] = to_json
    environment.filters["sh"] = shlex.quote
    environment.filters["words"] = shell_words
    return environment


def env_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs for ENV, a line each, every value standing for itself."""
    return " \\\n    ".join(f"{key}={quote_env(value)}" for key, value in pairs)


def env_pairs_with_variables(pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs for ENV of our own data, in whose values `${NAME}` is meant to be expanded."""
    return " \\\n    ".join(f"{key}={quote_env_with_variables(value)}" for key, value in pairs)


def shell_words(items: Sequence[str]) -> str:
    """Words for a command of a RUN, a line each, quoted where the shell would change them."""
    return " \\\n        ".join(shlex.quote(item) for item in items)


def quote_env(value: str) -> str:
    """A value for ENV that stands for itself, in double quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def quote_env_with_variables(value: str) -> str:
    """A value for ENV of our own data, in which `${NAME}` is meant to be expanded."""
    parts = []
    rest = 0
    for found in _VARIABLE.finditer(value):
        parts += [quote_env(value[rest : found.start()])[1:-1], found[0]]
        rest = found.end()
    return '"' + "".join([*parts, quote_env(value[rest:])[1:-1]]) + '"'


def to_json(value: Sequence[str]) -> str:
    """A JSON list in ASCII, for the exec form of COPY and CMD."""
    return json.dumps(list(value))
