"""TLS: which authorities and client certificates a host gets, and what went wrong in plain words.

Trust is the system's, plus `--ca-cert`, plus Docker's certs.d (`HOST[:PORT]/*.crt` authorities,
`*.cert` with `*.key` client pairs). https://docs.docker.com/engine/security/certificates/
"""

from __future__ import annotations

import os
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput
from registry.url import Url

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _UNKNOWN_ISSUER, _UNVERIFIED_LEAF = 18, 19, 20, 21
_WRONG_HOST, _WRONG_ADDRESS = 62, 64


@dataclass(frozen=True)
class TlsSettings:
    """Where trust comes from.

    ca_cert: authorities added to the system's. trust_file: authorities instead of the system's
    (SSL_CERT_FILE). certs_d: Docker's certificate folders, later ones adding to earlier ones.
    """

    ca_cert: Path | None = None
    trust_file: Path | None = None
    certs_d: tuple[Path, ...] = ()


class TlsContexts:
    """TLS contexts by host; hosts without certificates of their own share one."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}

    def __call__(self, netloc: str) -> ssl.SSLContext:
        """The context for `host[:port]`; raises BadInput for a file that is no certificate."""
        folders = self._own(netloc)
        key = netloc if folders else ""
        with self._lock:
            if key not in self._contexts:
                self._contexts[key] = self._make(folders)
            return self._contexts[key]

    def has_own(self, netloc: str) -> bool:
        """Whether certs.d has a folder for `host[:port]`: a sign that it speaks TLS."""
        return bool(self._own(netloc))

    def _own(self, netloc: str) -> list[Path]:
        # os.path, which takes a folder that this user may not look into for none: /etc/docker is
        # root's alone on some machines.
        folders = (root / netloc for root in self._settings.certs_d)
        return [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112

    def _make(self, folders: list[Path]) -> ssl.SSLContext:
        settings = self._settings
        if settings.trust_file is not None:
            _check_readable(settings.trust_file, "SSL_CERT_FILE")
            context = ssl.create_default_context(cafile=str(settings.trust_file))
        else:
            context = ssl.create_default_context()
            _trust_bundle_if_empty(context)
        # Python 3.13 began to refuse what many private authorities leave out (RFC 5280's key
        # identifiers), and what Docker and every other client of the registry accept.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if settings.ca_cert is not None:
            _add_authority(context, settings.ca_cert, "--ca-cert")
        for folder in folders:
            for authority in sorted(folder.glob("*.crt")):
                _add_authority(context, authority, "certs.d")
            for certificate in sorted(folder.glob("*.cert")):
                _add_client_pair(context, certificate)
        return context


def _trust_bundle_if_empty(context: ssl.SSLContext) -> None:
    """Use certifi's authorities where this Python was built without a way to the system's."""
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        import certifi

        context.load_verify_locations(cafile=certifi.where())


def _check_readable(path: Path, option: str) -> None:
    if not path.is_file():
        raise BadInput(f"{option}: {path} is not a file", "", "give a file of PEM certificates")


def _add_authority(context: ssl.SSLContext, path: Path, option: str) -> None:
    _check_readable(path, option)
    try:
        context.load_verify_locations(cafile=str(path))
    except (ssl.SSLError, OSError) as error:
        raise BadInput(
            f"{option}: {path} holds no certificate that can be read",
            str(error),
            "give a file of PEM certificates (-----BEGIN CERTIFICATE-----)",
        ) from error


def _add_client_pair(context: ssl.SSLContext, certificate: Path) -> None:
    key = certificate.with_suffix(".key")
    if not key.is_file():
        raise BadInput(f"certs.d: {certificate} has no key beside it", f"{key} is missing")
    try:
        context.load_cert_chain(str(certificate), str(key))
    except (ssl.SSLError, OSError) as error:
        raise BadInput(
            f"certs.d: {certificate} and {key.name} are not a certificate and its key", str(error)
        ) from error


@dataclass(frozen=True)
class TlsProblem:
    """A TLS failure in words: what, why, hint; wrong_scheme when the port does not speak TLS."""

    lines: tuple[str, str, str]
    wrong_scheme: bool = False


def explain_tls(error: BaseException, url: Url) -> TlsProblem | None:
    """What a failed connection says about TLS; None when TLS has no part in it."""
    failure = _find_ssl_error(error)
    if failure is None:
        return None
    host = url.netloc
    if isinstance(failure, ssl.SSLCertVerificationError):
        return TlsProblem(_certificate_lines(failure, host))
    reason = (failure.reason or "").upper()
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        hint = f"name it with --plain-http {host} if that is meant"
        return TlsProblem((f"{host} speaks plain HTTP, not TLS", "", hint), wrong_scheme=True)
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "ALERT" in reason:
        hint = f"put client.cert and client.key into certs.d/{host}/ if it asks for them"
        return TlsProblem((f"{host} refused the TLS handshake", str(failure), hint))
    if isinstance(failure, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return None  # a connection that broke, as any other
    return TlsProblem((f"TLS with {host} failed", str(failure), ""))


def _certificate_lines(failure: ssl.SSLCertVerificationError, host: str) -> tuple[str, str, str]:
    what = f"the certificate of {host} is not to be trusted"
    code = failure.verify_code
    if code == _EXPIRED:
        return what, "it has expired", "renew the registry's certificate (or set this clock right)"
    if code == _NOT_YET_VALID:
        return what, "it is not valid yet", "set this machine's clock right"
    if code in (_WRONG_HOST, _WRONG_ADDRESS):
        hint = "use the name the certificate was made for, or make one that carries this name"
        return what, f"it is for another name ({failure.verify_message})", hint
    hint = f"give its authority with --ca-cert FILE or as certs.d/{host}/ca.crt"
    if code == _SELF_SIGNED:
        return what, "it is self-signed", hint
    if code in (_SELF_SIGNED_IN_CHAIN, _UNKNOWN_ISSUER, _UNVERIFIED_LEAF):
        return what, "its authority is not known to this machine", hint
    return what, failure.verify_message, hint


def _find_ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None
