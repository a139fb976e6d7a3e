"""All that is attested of a build: provenance, and its SBOM in both formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builder.provenance import LOCAL_BUILDER, provenance
from builder.record import BuildRecord
from registry.reference import Reference
from registry.signing.statement import CYCLONEDX, SPDX, Statement

Kind = Literal["provenance", "spdx", "cyclonedx"]
KINDS: tuple[Kind, ...] = ("provenance", "spdx", "cyclonedx")


@dataclass(frozen=True)
class Maker:
    """Who makes the statements. version: imgctl's own. builder: the id of who ran the build."""

    version: str
    builder: str = LOCAL_BUILDER


def statements(
    record: BuildRecord,
    folder: Path,
    reference: Reference,
    maker: Maker,
    kinds: tuple[Kind, ...] = KINDS,
) -> dict[Kind, Statement]:
    """The statements about a build that lies in folder and is (to be) at reference, by kind.

    Raises BadInput or CorruptContent when the folder does not hold what the record says.
    """
    made: dict[Kind, Statement] = {}
    if "provenance" in kinds:
        made["provenance"] = provenance(record, builder=maker.builder, version=maker.version)
    if "spdx" not in kinds and "cyclonedx" not in kinds:
        return made
    from builder.sbom import inventory
    from builder.sbom_cyclonedx import cyclonedx
    from builder.sbom_spdx import spdx

    found = inventory(record, folder, reference, f"imgctl-{maker.version}")
    if "spdx" in kinds:
        made["spdx"] = Statement((record.digest,), SPDX, spdx(found), record.name)
    if "cyclonedx" in kinds:
        made["cyclonedx"] = Statement((record.digest,), CYCLONEDX, cyclonedx(found), record.name)
    return made
