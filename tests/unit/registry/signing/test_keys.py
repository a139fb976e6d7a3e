"""Keys: the kinds that are taken, cosign's own encryption, pairs on disk, commands that sign."""

from __future__ import annotations

import base64
import json
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from registry.errors import BadInput, ImgctlError
from registry.signing import encrypted
from registry.signing.command import CommandSigner
from registry.signing.keys import PrivateKey, PublicKey, write_pair
from tests.unit.registry.signing.support import key

MAKERS: dict[str, Callable[[], PrivateKeyTypes]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


def pem_of(made: PrivateKeyTypes, password: bytes = b"") -> bytes:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def never() -> bytes:
    raise AssertionError("nobody is to be asked for a password")


@pytest.mark.parametrize("kind", MAKERS)
def test_what_a_key_signs_its_public_half_verifies(kind: str) -> None:
    private = PrivateKey.parse(pem_of(MAKERS[kind]()), never)
    public = PublicKey.parse(private.public.pem)
    assert public == private.public
    signature = private.sign(b"message")
    assert public.verifies(signature, b"message")
    assert not public.verifies(signature, b"another message")
    assert not key("other").public.verifies(signature, b"message")
    assert not public.verifies(b"", b"message")


def test_ed25519_is_read_with_its_message_hashed_first_too() -> None:
    """So does cosign 3 sign with such a key."""
    made = ed25519.Ed25519PrivateKey.generate()
    public = PublicKey.of(made.public_key())
    _, secret = bindings.crypto_sign_seed_keypair(made.private_bytes_raw())
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, b"message")
    signature = bindings.crypto_sign_ed25519ph_final_create(state, secret)
    assert public.verifies(signature, b"message")
    assert not public.verifies(signature, b"another message")
    assert not public.verifies(b"short", b"message")
    with pytest.raises(InvalidSignature):
        made.public_key().verify(signature, b"message")


def test_signing_twice_gives_the_same_signature() -> None:
    assert key().sign(b"message") == key().sign(b"message")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 1024),
    ],
)
def test_other_kinds_are_refused_by_name(make: Callable[[], PrivateKeyTypes]) -> None:
    with pytest.raises(BadInput, match="not taken") as caught:
        PrivateKey.parse(pem_of(make()), never)
    assert "P-256" in caught.value.why


def test_an_encrypted_pkcs8_key_asks_for_its_password() -> None:
    pem = pem_of(MAKERS["p256"](), b"right")
    assert PrivateKey.parse(pem, lambda: b"right").public
    for number in range(600):
        # One wrong password in 256 decrypts to rubbish with a good ending.
        wrong = b"wrong %d" % number
        with pytest.raises(BadInput, match=r"password of release\.key is wrong"):
            PrivateKey.parse(pem, partial(bytes, wrong), "release.key")


def test_halves_of_a_pair_are_not_taken_for_each_other() -> None:
    with pytest.raises(BadInput, match="k is a private key"):
        PublicKey.parse(pem_of(MAKERS["p256"]()), "k")
    with pytest.raises(BadInput, match="k is a public key"):
        PrivateKey.parse(key().public.pem, never, "k")


@given(st.binary(max_size=300))
def test_anything_else_is_bad_input_and_nothing_worse(content: bytes) -> None:
    for text in (content, b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n" + content):
        with pytest.raises(BadInput):
            PublicKey.parse(text)
        with pytest.raises(BadInput):
            PrivateKey.parse(text, lambda: b"")


def test_cosigns_encryption_there_and_back() -> None:
    pem = key().encrypted_pem(b"pass word")
    assert encrypted.is_encrypted(pem)
    assert PrivateKey.parse(pem, lambda: b"pass word").public == key().public
    older = pem.replace(b"SIGSTORE", b"COSIGN")
    assert PrivateKey.parse(older, lambda: b"pass word").public == key().public
    with pytest.raises(BadInput, match=r"password of my\.key is wrong"):
        PrivateKey.parse(pem, lambda: b"other", "my.key")


def changed(pem: bytes, change: Callable[[dict[str, dict[str, object]]], None]) -> bytes:
    """The same block with something else in its JSON."""
    lines = pem.splitlines()
    value = json.loads(base64.b64decode(b"".join(lines[1:-1])))
    change(value)
    body = base64.b64encode(json.dumps(value).encode())
    return b"\n".join([lines[0], body, lines[-1], b""])


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["kdf"].update(name="argon2"),
        lambda value: value["kdf"].update(params={"N": 1 << 30, "r": 8, "p": 1}),
        lambda value: value["kdf"].update(params={"N": 65537, "r": 8, "p": 1}),
        lambda value: value["kdf"].update(params={"N": "65536", "r": 8, "p": 1}),
        lambda value: value["cipher"].update(name="aes"),
        lambda value: value["cipher"].update(nonce="AAAA"),
        lambda value: value.pop("ciphertext"),
    ],
)
def test_a_block_that_asks_for_something_else_is_refused(
    change: Callable[[dict[str, dict[str, object]]], None],
) -> None:
    pem = changed(key().encrypted_pem(b""), change)
    with pytest.raises(BadInput, match="not a key as cosign writes it"):
        PrivateKey.parse(pem, lambda: b"")


def test_a_pair_is_written_for_its_owner_and_never_over_another(tmp_path: Path) -> None:
    private, public = write_pair(key(), tmp_path / "release", b"pw")
    assert (private.name, public.name) == ("release.key", "release.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert PrivateKey.parse(private.read_bytes(), lambda: b"pw").public == key().public
    assert PublicKey.parse(public.read_bytes()) == key().public
    before = private.read_bytes()
    with pytest.raises(BadInput, match=r"release\.key exists already"):
        write_pair(key("other"), tmp_path / "release", b"pw")
    private.unlink()
    with pytest.raises(BadInput, match=r"release\.pub exists already"):
        write_pair(key("other"), tmp_path / "release", b"pw")
    assert [path.name for path in tmp_path.iterdir()] == ["release.pub"]
    assert before
    with pytest.raises(BadInput, match="there is no folder"):
        write_pair(key(), tmp_path / "nowhere" / "k", b"")


SERVICE = """
import base64, sys
sys.path[:0] = {paths!r}
from registry.signing.keys import PrivateKey
pem = open(sys.argv[1], "rb").read()
print(base64.b64encode(PrivateKey.parse(pem, lambda: b"").sign(sys.stdin.buffer.read())).decode())
"""


def service(folder: Path, code: str = SERVICE) -> str:
    """A key service's command line, with the key `ours`."""
    (folder / "service.py").write_text(code.replace("{paths!r}", repr(sys.path)))
    (folder / "its.key").write_bytes(key().encrypted_pem(b""))
    return f"{sys.executable} '{folder / 'service.py'}' {folder / 'its.key'}"


def test_a_command_signs_where_the_key_never_leaves_its_service(tmp_path: Path) -> None:
    signer = CommandSigner(service(tmp_path), key().public, {})
    assert key().public.verifies(signer.sign(b"message"), b"message")


def test_a_signature_that_the_public_key_does_not_accept_is_never_used(tmp_path: Path) -> None:
    signer = CommandSigner(service(tmp_path), key("other").public, {})
    with pytest.raises(ImgctlError, match="does not accept") as caught:
        signer.sign(b"message")
    assert "--key" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('no base64!')", "printed no signature"),
        ("raise SystemExit('no such key in the vault')", "failed; no such key in the vault"),
    ],
)
def test_a_command_that_fails_says_why(tmp_path: Path, code: str, said: str) -> None:
    signer = CommandSigner(service(tmp_path, code), key().public, {})
    with pytest.raises(ImgctlError, match=said):
        signer.sign(b"message")


@pytest.mark.parametrize("command", ["", "'open", "/no/such/program"])
def test_a_command_that_is_none_is_bad_input(command: str) -> None:
    with pytest.raises(BadInput, match="key command"):
        CommandSigner(command, key().public, {}).sign(b"message")


def test_a_service_that_takes_digests_is_fed_the_digest(tmp_path: Path) -> None:
    code = SERVICE.replace(
        "sign(sys.stdin.buffer.read())",
        "_key.sign(sys.stdin.buffer.read(), ec.ECDSA(utils.Prehashed(SHA256())))",
    ).replace(
        "from registry",
        "from cryptography.hazmat.primitives.asymmetric import ec, utils\n"
        "from cryptography.hazmat.primitives.hashes import SHA256\nfrom registry",
    )
    signer = CommandSigner(service(tmp_path, code), key().public, {}, "digest")
    assert key().public.verifies(signer.sign(b"message"), b"message")
