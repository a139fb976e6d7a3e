"""Private keys as cosign encrypts them: scrypt makes the key of a NaCl secret box.

The PEM block holds JSON that names its own parameters; inside the box is PKCS #8 in DER. cosign
writes the block as `ENCRYPTED SIGSTORE PRIVATE KEY`, older versions as `ENCRYPTED COSIGN …`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from typing import Any

from registry.errors import BadInput

_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_BLOCK = re.compile(
    rb"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----"
)
_N, _R, _P = 65536, 8, 1  # scrypt's cost as cosign sets it: 64 MiB and some 0.2 s
# A file may ask for any cost; above this one it would only waste our memory.
_MOST_MEMORY = 1 << 30  # bytes
_KEY, _SALT = 32, 32  # bytes


def is_encrypted(pem: bytes) -> bool:
    """Whether a PEM file holds a key in cosign's own form."""
    return _BLOCK.search(pem) is not None


def encrypt(der: bytes, password: bytes) -> bytes:
    """The PEM block of a key under a password."""
    from nacl.secret import SecretBox

    salt, nonce = os.urandom(_SALT), os.urandom(SecretBox.NONCE_SIZE)
    box = SecretBox(_derive(password, salt, _N, _R, _P))
    value = {
        "kdf": {
            "name": "scrypt",
            "params": {"N": _N, "r": _R, "p": _P},
            "salt": base64.b64encode(salt).decode(),
        },
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(box.encrypt(der, nonce).ciphertext).decode(),
    }
    body = base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {_LABEL}-----", *lines, f"-----END {_LABEL}-----", ""]).encode()


def decrypt(pem: bytes, password: bytes, place: str) -> bytes:
    """The key inside, as PKCS #8 in DER; place names the file in errors.

    Raises BadInput when the password is wrong or the block is not what cosign writes.
    """
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    try:
        value = json.loads(base64.b64decode(_block(pem)))
        salt, cost = _parameters(value)
        nonce = base64.b64decode(value["cipher"]["nonce"], validate=True)
        sealed = base64.b64decode(value["ciphertext"], validate=True)
        if value["cipher"]["name"] != "nacl/secretbox" or len(nonce) != SecretBox.NONCE_SIZE:
            raise ValueError("another cipher than nacl/secretbox")
    except (KeyError, TypeError, ValueError, RecursionError, binascii.Error) as error:
        why = " ".join(str(error).split())[:120]
        raise BadInput(f"{place} is not a key as cosign writes it", why) from error
    try:
        return bytes(SecretBox(_derive(password, salt, *cost)).decrypt(sealed, nonce))
    except CryptoError as error:
        hint = "set IMGCTL_KEY_PASSWORD or COSIGN_PASSWORD to the right one"
        raise BadInput(f"the password of {place} is wrong", "", hint) from error


def _block(pem: bytes) -> bytes:
    found = _BLOCK.search(pem)
    if found is None:
        raise ValueError("no block of an encrypted key")
    return found[2]


def _parameters(value: Any) -> tuple[bytes, tuple[int, int, int]]:
    """Salt and cost of the key derivation; raises ValueError, KeyError or TypeError."""
    kdf = value["kdf"]
    params = kdf["params"]
    n, r, p = (params[name] for name in ("N", "r", "p"))
    whole = all(isinstance(item, int) and not isinstance(item, bool) for item in (n, r, p))
    if kdf["name"] != "scrypt" or not whole:
        raise ValueError("another key derivation than scrypt")
    if n < 2 or n & (n - 1) or r < 1 or p < 1 or p > 16 or 128 * n * r > _MOST_MEMORY:
        raise ValueError(f"scrypt with N={n}, r={r}, p={p}")
    return base64.b64decode(kdf["salt"], validate=True), (n, r, p)


def _derive(password: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=_KEY, n=n, r=r, p=p).derive(password)
