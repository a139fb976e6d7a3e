"""Keys that never leave a key service: a command signs, we check what it gives.

The command reads the message, or its SHA-256 digest, from stdin and prints the signature in
base64. That is enough for the command lines of cloud key services, HSMs and OpenSSL.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from registry.errors import BadInput, ImgctlError
from registry.signing.keys import PublicKey

Feed = Literal["message", "digest"]
"""What the command gets: the whole message, or the 32 bytes of its SHA-256 digest."""

_SECONDS = 60


@dataclass(frozen=True)
class CommandSigner:
    """A Signer whose key a command holds.

    command: program and arguments, quoted as for a shell but run without one. public: the other
    half of the pair. environment: the command's own.
    """

    command: str
    public: PublicKey
    environment: Mapping[str, str] = field(repr=False, hash=False)
    feed: Feed = "message"

    def sign(self, message: bytes) -> bytes:
        """See Signer. Raises BadInput when there is no such command, ImgctlError when it fails or
        prints something that the public key does not accept."""
        name, output = self._run(message)
        try:
            signature = base64.b64decode(b"".join(output.split()), validate=True)
        except binascii.Error as error:
            raise ImgctlError(
                f"the key command {name} printed no signature",
                f"its {len(output)} bytes are not base64",
                "it must print the signature in base64 and nothing else",
            ) from error
        if not self.public.verifies(signature, message):
            other = "digest" if self.feed == "message" else "message"
            raise ImgctlError(
                f"the key command {name} printed a signature that the public key does not accept",
                f"it was given the {self.feed}",
                f"name the public half of its key with --key, or try --key-command-input {other}",
            )
        return signature

    def _run(self, message: bytes) -> tuple[str, bytes]:
        try:
            arguments = shlex.split(self.command)
        except ValueError as error:
            raise BadInput("the key command is not quoted right", str(error)) from error
        if not arguments:
            raise BadInput("the key command is empty")
        fed = message if self.feed == "message" else hashlib.sha256(message).digest()
        try:
            done = subprocess.run(
                arguments,
                input=fed,
                capture_output=True,
                timeout=_SECONDS,
                env=dict(self.environment),
                check=False,
            )
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise BadInput(f"cannot run the key command {arguments[0]!r}", why) from error
        except subprocess.TimeoutExpired as error:
            raise ImgctlError(f"the key command did not answer in {_SECONDS} s") from error
        if done.returncode != 0:
            said = " ".join(done.stderr.decode(errors="replace").split())[-300:]
            raise ImgctlError(f"the key command {arguments[0]} failed", said)
        return arguments[0], done.stdout
