"""Upload sessions as distribution 2.8 keeps them, in memory.

A session's address carries a signed `_state` with the offset it was handed out at. An address that
is not the newest one, and a PATCH that broke after its first byte, both end the session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass, field

from registry.sandbox.replies import Problem


@dataclass
class Upload:
    """One session: what has come so far. broken: only good for being refused."""

    repository: str
    identity: str
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    broken: bool = False

    def append(self, chunk: bytes) -> None:
        """Take the next bytes, wherever the client believes they belong."""
        self.chunks.append(chunk)
        self.size += len(chunk)

    @property
    def range(self) -> str:
        """The Range header; distribution says 0-0 also for an empty session."""
        return f"0-{max(self.size - 1, 0)}"

    def content(self, digest: str) -> bytes:
        """All of it; raises Problem when it is not the digest's."""
        algorithm, _, wanted = digest.partition(":")
        data = b"".join(self.chunks)
        if hashlib.new(algorithm, data).hexdigest() != wanted:
            raise Problem(
                400, "DIGEST_INVALID", "provided digest did not match uploaded content", digest
            )
        return data


class Uploads:
    """Every open session of a registry."""

    def __init__(self) -> None:
        self._sessions: dict[str, Upload] = {}
        self._secret = secrets.token_bytes(32)

    def begin(self, repository: str) -> Upload:
        """A new, empty session."""
        upload = Upload(repository, str(uuid.uuid4()))
        self._sessions[upload.identity] = upload
        return upload

    def find(self, repository: str, identity: str, state: str) -> Upload:
        """The session behind an address; raises Problem when the address is stale or made up."""
        upload = self._sessions.get(identity)
        if upload is None or upload.repository != repository:
            raise Problem(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if upload.broken or not hmac.compare_digest(state, self.state(upload)):
            upload.broken = True
            upload.chunks.clear()
            raise Problem(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")
        return upload

    def end(self, upload: Upload) -> None:
        """Forget a session."""
        self._sessions.pop(upload.identity, None)

    def state(self, upload: Upload) -> str:
        """The signed `_state` for a session as it is now."""
        value = {"Name": upload.repository, "UUID": upload.identity, "Offset": upload.size}
        body = json.dumps(value).encode()
        mac = hmac.new(self._secret, body, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac + body).decode()
