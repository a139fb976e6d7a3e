"""What lint reads: Dockerfiles on disk, and those rendered for images of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builder import bases, recipe
from builder.definition import FILE_NAME, ImageDefinition, catalogue, find, load
from builder.dockerfile import render
from builder.matrix import L4TRelease, Matrix
from registry.errors import BadInput, Refused

DOCKERFILE = "Dockerfile"


@dataclass(frozen=True)
class Source:
    """A Dockerfile's text. filename: as findings name it. release: what it is built for, if known.

    rendered: made from a definition, so that its lines are in no file.
    """

    filename: str
    text: str
    release: L4TRelease | None
    rendered: bool = False


@dataclass(frozen=True)
class Catalogue:
    """Where images and templates come from, and what there is to render them for."""

    matrix: Matrix
    image_roots: Sequence[Path]
    template_roots: Sequence[Path]


def sources_of(
    arguments: Sequence[str], known: Catalogue, release: L4TRelease | None
) -> Iterator[Source]:
    """The sources that arguments name: files, folders, images; ./Dockerfile or all images if none.

    release: images are rendered for this one only. Raises BadInput for an argument that is neither
    file nor image, Refused for an image that cannot be built for the release.
    """
    if not arguments and not Path(DOCKERFILE).is_file():
        for definition in catalogue(known.image_roots):
            with suppress(Refused):  # one of all that cannot be built for the release is no fault
                yield from rendered(definition, known, release)
        return
    for argument in arguments or (DOCKERFILE,):
        path = Path(argument)
        if path.is_file() or path.is_fifo():
            yield read_source(path, release)
        elif (path / FILE_NAME).is_file():
            yield from rendered(load(path), known, release)
        elif (path / DOCKERFILE).is_file():
            yield read_source(path / DOCKERFILE, release)
        elif "/" in argument or path.is_dir() or argument.startswith(DOCKERFILE):
            what = "is not a file" if path.exists() else "is not there"
            what = "holds neither Dockerfile nor image.yaml" if path.is_dir() else what
            raise BadInput(f"{argument} {what}", "", "name a Dockerfile or an image")
        else:
            yield from rendered(find(argument, known.image_roots), known, release)


def read_source(path: Path, release: L4TRelease | None) -> Source:
    """A Dockerfile from disk; raises BadInput for one that is not text."""
    try:
        return Source(str(path), path.read_text("utf-8-sig"), release)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is no Dockerfile", f"it is not UTF-8 at byte {error.start}"
        ) from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read", error.strerror or str(error)) from error


def rendered(
    definition: ImageDefinition, known: Catalogue, release: L4TRelease | None
) -> Iterator[Source]:
    """An image's Dockerfiles: on each of its base families, for each release that has a base.

    Raises Refused when there is none for the release.
    """
    refusal: Refused | None = None
    count = 0
    for made_for in (release,) if release else known.matrix.releases:
        for family in definition.bases:
            try:
                base = bases.resolve(known.matrix, made_for, family, definition.framework)
                steps = recipe.find(known.matrix, made_for, definition.framework, base)
            except Refused as error:
                refusal = refusal or error
                continue
            count += 1
            text = render(definition, made_for, base, steps, known.template_roots)
            name = f"{definition.name}-{made_for.name}-{family}.Dockerfile"
            yield Source(name, text, made_for, rendered=True)
    if refusal is not None and not count:
        raise refusal
