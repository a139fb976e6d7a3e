"""What is asked for: one image for one release, and the base that answers it."""

from __future__ import annotations

from dataclasses import dataclass

from builder import bases
from builder.definition import ImageDefinition
from builder.matrix import L4TRelease, Matrix
from registry.errors import BadInput


@dataclass(frozen=True)
class Request:
    """One image for one release. family: of the base, None for the definition's own choice."""

    definition: ImageDefinition
    release: L4TRelease
    family: str | None = None

    @property
    def name(self) -> str:
        """`mnist for r35.2.1`."""
        return f"{self.definition.name} for {self.release.name}"


def resolve_base(matrix: Matrix, request: Request, target: L4TRelease | None) -> bases.BaseImage:
    """The base for a request, checked against the devices' release.

    Raises BadInput when the definition cannot be built on the family, Refused when no base fits
    or the result could not run on the target.
    """
    definition, release = request.definition, request.release
    if request.family is None:
        base = bases.choose_base(matrix, release, definition.bases, definition.framework)
    else:
        matrix.family(request.family)
        if request.family not in definition.bases:
            raise BadInput(
                f"{definition.name} is not made for the base {request.family}",
                f"its definition allows {', '.join(definition.bases)}",
                f"add it to `bases` in {definition.directory}/image.yaml",
            )
        base = bases.resolve(
            matrix, release, request.family, definition.framework, among=definition.bases
        )
    refusal = bases.check_host(matrix, base, target or release)
    if refusal is not None:
        raise refusal
    return base
