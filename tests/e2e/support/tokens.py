"""A token server as Harbor's /service/token: Basic in, signed access out."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.e2e.support.certificates import Certificate


@dataclass
class TokenServer:
    """Who may do what; granted counts tokens by scope."""

    realm: str
    service: str = "harbor-registry"
    users: dict[str, str] = field(default_factory=lambda: {"robot$ci": "S3cret-pass"})
    lifetime: int = 60
    granted: list[str] = field(default_factory=list)


@contextmanager
def token_server(pair: Certificate, port: int) -> Iterator[TokenServer]:
    """Serve tokens signed with pair on loopback until the block ends."""
    state = TokenServer(f"http://127.0.0.1:{port}/service/token")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    chain = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    handler = _handler(state, key, chain)
    httpd = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(10)


def _handler(
    state: TokenServer, key: ec.EllipticCurvePrivateKey, chain: x509.Certificate
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            scopes = [part for item in query.get("scope", []) for part in item.split()]
            user = self._user()
            if user is None and not scopes:
                self.send_error(401)
                return
            state.granted.extend(scopes)
            access = [_access(scope, bool(user)) for scope in scopes]
            token = _sign(_claims(state, user or "", access), key, chain)
            body = json.dumps(
                {"token": token, "access_token": token, "expires_in": state.lifetime}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _user(self) -> str | None:
            header = self.headers.get("Authorization", "")
            if not header.startswith("Basic "):
                return None
            name, _, password = base64.b64decode(header[6:]).decode().partition(":")
            return name if state.users.get(name) == password else None

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


def _access(scope: str, known: bool) -> dict[str, Any]:
    kind, name, actions = scope.rsplit(":", 2)[0].split(":", 1)[0], "", ""
    kind, rest = scope.split(":", 1)
    name, actions = rest.rsplit(":", 1)
    # As Harbor does: a wrong password still gets a token, with no rights in it.
    return {"type": kind, "name": name, "actions": actions.split(",") if known else []}


def _claims(state: TokenServer, user: str, access: list[dict[str, Any]]) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "imgctl-test",
        "sub": user,
        "aud": state.service,
        "iat": now,
        "nbf": now - 5,
        "exp": now + state.lifetime,
        "jti": str(time.monotonic_ns()),
        "access": access,
    }


def _sign(claims: dict[str, Any], key: ec.EllipticCurvePrivateKey, chain: x509.Certificate) -> str:
    der = base64.b64encode(chain.public_bytes(serialization.Encoding.DER)).decode()
    head = _encode(json.dumps({"typ": "JWT", "alg": "ES256", "x5c": [der]}).encode())
    signed = f"{head}.{_encode(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def registry_settings(folder: Path, state: TokenServer, pair: Certificate) -> dict[str, Any]:
    """The auth section that makes docker-registry ask this server."""
    return {
        "token": {
            "realm": state.realm,
            "service": state.service,
            "issuer": "imgctl-test",
            "rootcertbundle": str(pair.certificate),
        }
    }
