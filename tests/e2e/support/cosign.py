"""The real cosign, without internet: major version 2 or 3, whichever is installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.support.processes import tool

PASSWORD = "hunter2 of the tests"
# A trusted root without any authority: with a key pair there is nothing to look up in it.
_TRUSTED_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
_OFFLINE = ("--allow-http-registry",)
_PRIVATE = ("--private-infrastructure", *_OFFLINE)


@dataclass(frozen=True)
class Cosign:
    """cosign run in a folder. newer: version 3, whose default form is the bundle."""

    folder: Path
    newer: bool

    @classmethod
    def installed(cls, folder: Path) -> Cosign:
        """The one on PATH."""
        done = subprocess.run(
            [tool("cosign"), "sign", "--help"], capture_output=True, text=True, check=True
        )
        return cls(folder, "--use-signing-config" in done.stdout)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; its way of ending is for the caller to look at."""
        return subprocess.run(
            [tool("cosign"), *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "COSIGN_PASSWORD": PASSWORD, "COSIGN_YES": "true",
                 "HOME": str(self.folder)},
            timeout=60,
            check=False,
        )  # fmt: skip

    def check(self, *arguments: str) -> str:
        """Run it and fail with what it says unless it succeeds; its stdout."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def generate(self, name: str) -> None:
        """A pair NAME.key, NAME.pub."""
        self.check("generate-key-pair", "--output-key-prefix", name)

    def sign(self, key: str, reference: str, *, bundle: bool) -> None:
        """Sign an image. Version 2 signs under tags only."""
        self.check("sign", "--key", key, *self._how(bundle), *_OFFLINE, reference)

    def attest(self, key: str, reference: str, kind: str, predicate: Path, *, bundle: bool) -> None:
        """Attach a predicate of a type by cosign's name for it, or its URI."""
        about = ["--type", kind, "--predicate", str(predicate)]
        how = self._how(bundle)
        if bundle and not self.newer:
            how = ("--new-bundle-format", "--tlog-upload=false")
        self.check("attest", "--key", key, *about, *how, *_OFFLINE, reference)

    def verify(self, key: str, reference: str) -> subprocess.CompletedProcess[str]:
        """Look for a signature: version 3 for a bundle, then under the tag; version 2 there."""
        return self.run("verify", "--key", key, *_PRIVATE, reference)

    def verify_attestation(
        self, key: str, reference: str, kind: str, *, bundle: bool
    ) -> subprocess.CompletedProcess[str]:
        """Look for an attestation in one form."""
        how: Sequence[str] = ()
        if bundle and not self.newer:
            root = self.folder / "trusted-root.json"
            root.write_text(_TRUSTED_ROOT)
            how = ("--new-bundle-format", "--trusted-root", str(root))
        return self.run("verify-attestation", "--key", key, "--type", kind, *how, *_PRIVATE,
                        reference)  # fmt: skip

    def _how(self, bundle: bool) -> tuple[str, ...]:
        if not self.newer:
            return ("--tlog-upload=false",)
        if bundle:
            self.check("signing-config", "create", "--out", "signing.json")
            return ("--signing-config", "signing.json")
        return ("--use-signing-config=false", "--new-bundle-format=false", "--tlog-upload=false")
