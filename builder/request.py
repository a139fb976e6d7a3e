"""What is asked for: one image for one release, and the base that answers it."""

from __future__ import annotations

from dataclasses import dataclass

from builder import bases, recipe
from builder.definition import ImageDefinition
from builder.matrix import L4TRelease, Matrix
from registry.errors import BadInput, Refused


@dataclass(frozen=True)
class Request:
    """One image for one release.

    family: of the base, None for the definition's own choice. variant: which of several tags of
    it, as `bases.resolve` takes it; None for the newest.
    """

    definition: ImageDefinition
    release: L4TRelease
    family: str | None = None
    variant: str | None = None

    @property
    def name(self) -> str:
        """`mnist for r35.2.1`."""
        return f"{self.definition.name} for {self.release.name}"


def resolve_base(matrix: Matrix, request: Request, target: L4TRelease | None) -> bases.BaseImage:
    """The base for a request, checked against the devices' release.

    Raises BadInput when the definition cannot be built on the family, Refused when no base fits
    or the result could not run on the target.
    """
    release = request.release
    try:
        base = _choose(matrix, request) if request.family is None else _named(matrix, request)
    except Refused:
        # Where no wheel lives either, that is the reason to give: another base would not help.
        recipe.check_lives(release, request.definition.framework)
        raise
    refusal = bases.check_host(matrix, base, target or release)
    if refusal is not None:
        raise refusal
    return base


def _choose(matrix: Matrix, request: Request) -> bases.BaseImage:
    """The first base of the definition's that the image can be made on."""
    definition, release = request.definition, request.release
    wanted = (matrix, release, definition.bases, definition.framework)
    refusal: Refused | None = None
    for base in bases.candidates(*wanted, variant=request.variant):
        try:
            recipe.find(matrix, release, definition.framework, base)
        except Refused as error:
            refusal = refusal or error
        else:
            return base
    if refusal is not None:
        raise refusal
    return bases.choose_base(*wanted, variant=request.variant)


def _named(matrix: Matrix, request: Request) -> bases.BaseImage:
    """The base of the family that was asked for."""
    definition, family = request.definition, request.family or ""
    matrix.family(family)
    if family not in definition.bases:
        raise BadInput(
            f"{definition.name} is not made for the base {family}",
            f"its definition allows {', '.join(definition.bases)}",
            f"add it to `bases` in {definition.directory}/image.yaml",
        )
    return bases.resolve(
        matrix,
        request.release,
        family,
        definition.framework,
        variant=request.variant,
        among=definition.bases,
    )
