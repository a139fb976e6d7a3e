"""Signature, provenance and SBOMs of a release, attached before it is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.dist import Build
from builder.statements import Kind, Maker, statements
from registry.files import replace_json
from registry.oci import Document
from registry.reference import Reference
from registry.signing.attach import BOTH, attach, pending
from registry.signing.claims import Form
from registry.signing.keys import Signer
from registry.signing.statement import Statement, signature_of
from registry.store import Store

# As the tools that read them expect the names to end.
_NAMES: dict[Kind, str] = {
    "provenance": "provenance.json",
    "spdx": "spdx.json",
    "cyclonedx": "cdx.json",
}


@dataclass(frozen=True)
class Sealer:
    """What seals releases; as release.procedure.Seal.

    signer: whose signature it is. forms: of cosign's, which. maker: who made the statements.
    """

    signer: Signer
    maker: Maker
    forms: Sequence[Form] = BOTH

    def __call__(
        self, repository: Store, document: Document, build: Build, tag: str
    ) -> dict[str, Any]:
        """Sign and attest, as far as it is not done; the digests of what is attached, by kind."""
        made = documents_of(build, f"{repository}:{tag}", self.maker)
        write_documents(made, build.folder, build.image)
        claims = [signature_of(document.digest), *made.values()]
        held = attach(repository, document, claims, self.signer, forms=self.forms)
        names = ["signature", *made]
        return {
            "key": self.signer.public.hint,
            **{name: item.digest for name, item in zip(names, held, strict=True)},
        }

    def pending(self, repository: Store, build: Build, tag: str) -> list[str]:
        """The manifests that would be put, as registry.signing.attach.pending() names them."""
        digest = build.record.digest
        made = documents_of(build, f"{repository}:{tag}", self.maker)
        claims = [signature_of(digest), *made.values()]
        return pending(repository, digest, claims, self.signer.public, forms=self.forms)


def documents_of(build: Build, name: str, maker: Maker) -> dict[Kind, Statement]:
    """Provenance and SBOMs of a build that is (to be) at `HOST/PATH:TAG`."""
    reference = Reference.parse(name).with_digest(build.record.digest)
    return statements(build.record, build.folder, reference, maker)


def write_documents(made: dict[Kind, Statement], folder: Path, image: str) -> dict[Kind, Path]:
    """Write provenance and SBOMs as IMAGE.spdx.json and so on; their paths."""
    paths = {}
    for kind, statement in made.items():
        paths[kind] = folder / f"{image}.{_NAMES[kind]}"
        replace_json(paths[kind], statement.predicate)
    return paths
