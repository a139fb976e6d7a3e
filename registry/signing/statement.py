"""in-toto statements: a claim of some type about artifacts named by digest.

Spec: https://github.com/in-toto/attestation, Statement v1; cosign 2 still writes v0.1, which
differs in nothing that is read here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.errors import CorruptContent
from registry.oci import canonical_json

STATEMENT = "https://in-toto.io/Statement/v1"
_READ = (STATEMENT, "https://in-toto.io/Statement/v0.1")

SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"
CYCLONEDX = "https://cyclonedx.org/bom"


@dataclass(frozen=True)
class Statement:
    """A claim. subjects: digests of manifests, `sha256:…`. predicate: its JSON object."""

    subjects: tuple[str, ...]
    predicate_type: str
    predicate: Mapping[str, Any] = field(hash=False)
    name: str = ""

    @classmethod
    def parse(cls, payload: bytes) -> Statement:
        """Read an envelope's payload; raises CorruptContent."""
        try:
            value = json.loads(payload)
            kind, predicate = value["predicateType"], value.get("predicate")
            subjects = tuple(
                f"{algorithm}:{encoded}"
                for item in value["subject"]
                for algorithm, encoded in item["digest"].items()
            )
            names = [str(item.get("name") or "") for item in value["subject"]]
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CorruptContent("it holds no in-toto statement", repr(error)[:120]) from error
        if value.get("_type") not in _READ or not isinstance(kind, str):
            raise CorruptContent("it holds no in-toto statement", f"{value.get('_type')!r}"[:120])
        if predicate is not None and not isinstance(predicate, dict):
            raise CorruptContent("the statement's predicate is not an object")
        return cls(subjects, kind, predicate or {}, names[0] if names else "")

    def payload(self) -> bytes:
        """The bytes that are signed."""
        subjects: list[dict[str, Any]] = []
        for digest in self.subjects:
            algorithm, _, encoded = digest.partition(":")
            name = {"name": self.name} if self.name else {}
            subjects.append({"digest": {algorithm: encoded}, **name})
        return canonical_json(
            {
                "_type": STATEMENT,
                "subject": subjects,
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )


def signature_of(digest: str) -> Statement:
    """The statement that stands for a plain signature of a manifest."""
    return Statement((digest,), SIGNATURE, {})
