"""Signatures as referrers: a Sigstore bundle v0.3 in a manifest whose subject is the image.

What cosign 3 writes by default, and Harbor lists from 2.15 on. The bundle carries a DSSE envelope
and names the key by its hint. Spec: sigstore/protobuf-specs, sigstore_bundle.proto.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from registry.errors import CorruptContent
from registry.oci import OCI_EMPTY, OCI_MANIFEST, Descriptor, Document, canonical_json, sha256
from registry.signing.dsse import Envelope

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_FAMILY = "application/vnd.dev.sigstore.bundle"
_OLDER = "application/vnd.dev.sigstore.bundle+json;version=0.3"
PREDICATE_TYPE = "dev.sigstore.bundle.predicateType"
_CONTENT = "dev.sigstore.bundle.content"

EMPTY = b"{}"
"""The content of the empty config (image-spec v1.1)."""


@dataclass(frozen=True)
class Bundle:
    """hint: names the key; empty when the bundle has a certificate instead."""

    envelope: Envelope
    hint: str

    @classmethod
    def parse(cls, raw: bytes) -> Bundle:
        """Read a bundle's JSON; raises CorruptContent when it holds no DSSE envelope."""
        try:
            value = json.loads(raw)
            kind, content = value["mediaType"], value["dsseEnvelope"]
            material = value["verificationMaterial"]
            hint = str((material.get("publicKey") or {}).get("hint") or "")
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CorruptContent(
                "it is not a bundle with an envelope", repr(error)[:120]
            ) from error
        if kind not in (BUNDLE, _OLDER):
            raise CorruptContent("the bundle is of another version", f"{kind!r}"[:120])
        return cls(Envelope.from_json(content), hint)

    def raw(self) -> bytes:
        """The bundle's bytes."""
        return canonical_json(
            {
                "mediaType": BUNDLE,
                "verificationMaterial": {"publicKey": {"hint": self.hint}},
                "dsseEnvelope": self.envelope.to_json(),
            }
        )


def is_bundle(artifact_type: str) -> bool:
    """Whether a referrer of this type holds a bundle, whatever its version."""
    return artifact_type.startswith(_FAMILY)


def referrer(subject: Descriptor, raw: bytes, predicate_type: str) -> Document:
    """The manifest that attaches a bundle's bytes to a manifest or index."""
    layer = Descriptor(BUNDLE, sha256(raw), len(raw))
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": BUNDLE,
        "config": Descriptor(OCI_EMPTY, sha256(EMPTY), len(EMPTY)).to_json(),
        "layers": [layer.to_json()],
        "subject": Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
        "annotations": {_CONTENT: "dsse-envelope", PREDICATE_TYPE: predicate_type},
    }
    return Document.of(value, OCI_MANIFEST)
