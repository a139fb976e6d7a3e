"""Signatures under tags: `sha256-<hex>.sig` for an image's signatures, `.att` for attestations.

The form of cosign 1 and 2, which every verifier reads. A signature is over a small JSON document
(containers/image, simple signing); an attestation is a DSSE envelope. The layers of one manifest
hold all of an image's, each with what belongs to it in its annotations.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Literal

from registry.errors import CorruptContent
from registry.oci import (
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    Document,
    canonical_json,
    sha256,
)
from registry.signing.dsse import ENVELOPE

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
_PREDICATE_TYPE = "predicateType"
_TYPE = "cosign container image signature"

Kind = Literal["sig", "att"]


def tag_for(digest: str, kind: Kind) -> str:
    """`sha256-<hex>.sig`, the tag that holds an image's signatures."""
    return f"{digest.replace(':', '-')}.{kind}"


def simple_payload(repository: str, digest: str) -> bytes:
    """What is signed. repository: `HOST/PATH`, said for the reader; only the digest is checked."""
    return canonical_json(
        {
            "critical": {
                "identity": {"docker-reference": repository},
                "image": {"docker-manifest-digest": digest},
                "type": _TYPE,
            },
            "optional": None,
        }
    )


def signed_digest(payload: bytes) -> str:
    """The digest a payload is about; raises CorruptContent."""
    try:
        critical = json.loads(payload)["critical"]
        digest, kind = critical["image"]["docker-manifest-digest"], critical["type"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CorruptContent("it is not a signature's payload", repr(error)[:120]) from error
    if kind != _TYPE or not isinstance(digest, str):
        raise CorruptContent("it is not a signature's payload", f"it is a {kind!r}"[:120])
    return digest


def signature_layer(payload: bytes, signature: bytes) -> Descriptor:
    """The layer of a signature; its blob is the payload."""
    annotations = {SIGNATURE_ANNOTATION: base64.b64encode(signature).decode()}
    return _layer(SIMPLE_SIGNING, payload, annotations)


def signature_in(layer: Descriptor) -> bytes:
    """The signature a layer carries; raises CorruptContent."""
    try:
        return base64.b64decode(layer.annotations[SIGNATURE_ANNOTATION], validate=True)
    except (KeyError, binascii.Error) as error:
        raise CorruptContent("a layer carries no signature", layer.digest) from error


def attestation_layer(envelope: bytes, predicate_type: str) -> Descriptor:
    """The layer of an attestation; its blob is the envelope's JSON."""
    # The signature's annotation is there and empty, or cosign does not take the layer for one.
    annotations = {SIGNATURE_ANNOTATION: "", _PREDICATE_TYPE: predicate_type}
    return _layer(ENVELOPE, envelope, annotations)


def holder(layers: Sequence[Descriptor]) -> tuple[Document, bytes]:
    """The manifest that holds these layers, and its config's bytes.

    Registries and scanners read it as an image, so the config says what an image's would.
    """
    config = canonical_json(
        {
            "architecture": "",
            "config": {},
            "history": [{"created": "0001-01-01T00:00:00Z"} for _ in layers],
            "os": "",
            "rootfs": {"diff_ids": [layer.digest for layer in layers], "type": "layers"},
        }
    )
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor(OCI_CONFIG, sha256(config), len(config)).to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return Document.of(value, OCI_MANIFEST), config


def _layer(media_type: str, content: bytes, annotations: dict[str, str]) -> Descriptor:
    extra = {"annotations": annotations}
    return Descriptor(media_type, sha256(content), len(content), extra)
