"""DSSE envelopes: a payload, its type, and signatures over both.

Spec: https://github.com/secure-systems-lab/dsse, protocol and envelope, version 1.0.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import CorruptContent
from registry.signing.keys import PublicKey, Signer

IN_TOTO = "application/vnd.in-toto+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: type and payload with their lengths, so that neither passes for the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Envelope:
    """A signed payload. signatures: raw bytes, at least one."""

    payload: bytes
    payload_type: str
    signatures: tuple[bytes, ...]

    @classmethod
    def signed(cls, payload: bytes, payload_type: str, signer: Signer) -> Envelope:
        """Sign a payload."""
        return cls(payload, payload_type, (signer.sign(pae(payload_type, payload)),))

    @classmethod
    def from_json(cls, value: Any) -> Envelope:
        """From its JSON object; raises CorruptContent."""
        try:
            kind, listed = value["payloadType"], value["signatures"]
            payload = base64.b64decode(value["payload"], validate=True)
            signatures = tuple(base64.b64decode(item["sig"], validate=True) for item in listed)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise CorruptContent("it is not a DSSE envelope", repr(error)[:120]) from error
        if not isinstance(kind, str) or not signatures:
            raise CorruptContent("it is not a DSSE envelope", "no type or no signature")
        return cls(payload, kind, signatures)

    def to_json(self) -> Mapping[str, Any]:
        """As its JSON object."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"sig": base64.b64encode(item).decode()} for item in self.signatures],
        }

    def signed_by(self, key: PublicKey) -> bool:
        """Whether one of the signatures is this key's."""
        message = pae(self.payload_type, self.payload)
        return any(key.verifies(item, message) for item in self.signatures)
