"""Key pairs: what signs, and what checks a signature.

ECDSA on P-256 with SHA-256 is what cosign makes; Ed25519, and RSA of 2048 bits or more with
PKCS #1 v1.5 and SHA-256, are taken as well, since key services offer them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from registry.errors import BadInput
from registry.signing import encrypted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import (
        PrivateKeyTypes,
        PublicKeyTypes,
    )

_LEAST_RSA = 2048  # bits
_PRIVATE = b"PRIVATE KEY-----"
_KINDS = "ECDSA P-256, Ed25519 and RSA of 2048 bits or more are taken"

AskPassword = Callable[[], bytes]
"""Asks for a key's password; called only when the key is encrypted."""


@dataclass(frozen=True)
class PublicKey:
    """A key that checks signatures. der: its SubjectPublicKeyInfo (RFC 5280)."""

    der: bytes
    _key: PublicKeyTypes = field(repr=False, compare=False)

    @classmethod
    def parse(cls, pem: bytes, place: str = "the key") -> PublicKey:
        """Read a PEM `PUBLIC KEY`; place names it in errors. Raises BadInput."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        if _PRIVATE in pem:
            hint = "name the public one, which `imgctl sign --generate-key` wrote as PREFIX.pub"
            raise BadInput(f"{place} is a private key", "a public one checks signatures", hint)
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadInput(f"{place} is not a public key in PEM", _short(error)) from error
        return cls.of(key, place)

    @classmethod
    def of(cls, key: PublicKeyTypes, place: str = "the key") -> PublicKey:
        """Wrap a key of `cryptography`; raises BadInput for kinds that are not taken."""
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        if isinstance(key, rsa.RSAPublicKey):
            taken = key.key_size >= _LEAST_RSA
        elif isinstance(key, ec.EllipticCurvePublicKey):
            taken = key.curve.name == "secp256r1"
        else:
            taken = isinstance(key, ed25519.Ed25519PublicKey)
        if not taken:
            raise BadInput(f"{place} is of a kind that is not taken", _KINDS)
        return cls(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), key)

    @property
    def hint(self) -> str:
        """What a bundle names the key by: the SHA-256 of its DER, in base64."""
        return base64.b64encode(hashlib.sha256(self.der).digest()).decode()

    @property
    def pem(self) -> bytes:
        """The key as PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            if isinstance(self._key, ec.EllipticCurvePublicKey):
                self._key.verify(signature, message, ec.ECDSA(SHA256()))
            elif isinstance(self._key, rsa.RSAPublicKey):
                self._key.verify(signature, message, padding.PKCS1v15(), SHA256())
            elif isinstance(self._key, ed25519.Ed25519PublicKey):
                if _is_prehashed(self._key.public_bytes_raw(), signature, message):
                    return True
                self._key.verify(signature, message)
            else:
                return False
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """What can sign: a key at hand, or a service that holds it (`CommandSigner`)."""

    @property
    def public(self) -> PublicKey:
        """The key that checks what this signs."""

    def sign(self, message: bytes) -> bytes:
        """The signature over a message: DER for ECDSA, raw otherwise."""


@dataclass(frozen=True)
class PrivateKey:
    """A Signer with the key in memory."""

    _key: PrivateKeyTypes = field(repr=False)

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new ECDSA P-256 key."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def parse(cls, pem: bytes, ask: AskPassword, place: str = "the key") -> PrivateKey:
        """Read a PEM private key: plain, encrypted PKCS #8, or encrypted by cosign.

        ask: gives the password when there is one to give. Raises BadInput when the key cannot be
        read, the password is wrong, or the kind is not taken.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import (
            load_der_private_key,
            load_pem_private_key,
        )

        if b"PUBLIC KEY-----" in pem and _PRIVATE not in pem:
            raise BadInput(f"{place} is a public key", "a private one signs")
        try:
            if encrypted.is_encrypted(pem):
                key = load_der_private_key(encrypted.decrypt(pem, ask(), place), None)
            elif b"ENCRYPTED" in pem:
                key = load_pem_private_key(pem, ask())
            else:
                key = load_pem_private_key(pem, None)
        except (TypeError, ValueError, UnsupportedAlgorithm) as error:
            if b"BEGIN ENCRYPTED PRIVATE KEY" in pem:
                # A wrong password may decrypt to rubbish as well as to nothing.
                why = "or the file is damaged"
                raise BadInput(f"the password of {place} is wrong", why) from error
            raise BadInput(f"{place} is not a private key in PEM", _short(error)) from error
        _ = PublicKey.of(key.public_key(), place)
        return cls(key)

    @property
    def public(self) -> PublicKey:
        """The other half of the pair."""
        return PublicKey.of(self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        """See Signer. The same message gives the same signature (ECDSA by RFC 6979), except with
        an OpenSSL older than 3.2."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256

        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            try:
                algorithm = ec.ECDSA(SHA256(), deterministic_signing=True)
            except UnsupportedAlgorithm:
                algorithm = ec.ECDSA(SHA256())
            return self._key.sign(message, algorithm)
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, padding.PKCS1v15(), SHA256())
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        raise BadInput("the key is of a kind that is not taken", _KINDS)

    def encrypted_pem(self, password: bytes) -> bytes:
        """The key as cosign keeps it, under a password."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        der = self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return encrypted.encrypt(der, password)


def write_pair(key: PrivateKey, prefix: Path, password: bytes) -> tuple[Path, Path]:
    """Write PREFIX.key, encrypted and for its owner alone, and PREFIX.pub; both paths.

    Raises BadInput when either is there already: a key is never overwritten.
    """
    private, public = Path(f"{prefix}.key"), Path(f"{prefix}.pub")
    for path in (private, public):
        if path.exists():
            hint = "choose another PREFIX, or move the old key away first"
            raise BadInput(f"{path} exists already", "a key is never overwritten", hint)
    if not prefix.parent.is_dir():
        raise BadInput(f"there is no folder {prefix.parent}")
    _write_new(private, key.encrypted_pem(password), 0o600)
    try:
        _write_new(public, key.public.pem, 0o644)
    except BaseException:
        private.unlink()
        raise
    return private, public


def _is_prehashed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the signature is Ed25519ph (RFC 8032), which cosign 3 makes of such keys.

    Nobody else does, and cosign reads plain Ed25519 just as well, so that is what we make.
    """
    from nacl import bindings
    from nacl.exceptions import CryptoError

    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, message)
    try:
        return bool(bindings.crypto_sign_ed25519ph_final_verify(state, signature, key))
    except (CryptoError, ValueError):
        return False


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all, never over another one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(mode)
        os.link(name, path)
    except FileExistsError as error:
        raise BadInput(f"{path} exists already", "a key is never overwritten") from error
    finally:
        Path(name).unlink()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
