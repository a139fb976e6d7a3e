"""A client for registries: the OCI distribution spec v1.1, over one set of connections.

with RegistryClient(RegistryOptions(credentials=find)) as client:
    repository = client.repository("harbor.example.com", "algorithms/mnist")
    document = repository.manifest("1.0.0")
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from registry.answers import not_a_registry
from registry.challenge import Permission
from registry.credentials import Credentials
from registry.http import Connections
from registry.progress import SILENT, Progress
from registry.proxies import Proxies
from registry.reference import check_host, check_repository
from registry.repository import Repository
from registry.retry import RetryPolicy
from registry.session import Call, Session
from registry.tls import TlsContexts, TlsSettings
from registry.upload import Uploads

__all__ = ["RegistryClient", "RegistryOptions", "Repository"]


def no_credentials(host: str) -> Credentials | None:
    """Nobody has a password for any host."""
    return None


@dataclass(frozen=True)
class RegistryOptions:
    """How to reach registries.

    plain_http: hosts named for plain HTTP; loopback is always allowed.
    ca_cert: PEM file of authorities added to the system's; trust_file: instead of the system's.
    certs_d: Docker's certs.d folders. credentials: user name and secret for a host, asked for at
    most once per host and only after a challenge. concurrency: blobs in flight at once.
    max_request_body: bytes; larger blobs go up in PATCHes of that size. timeout: seconds without
    any progress. proxies: from HTTP_PROXY and its kin.
    """

    plain_http: frozenset[str] = frozenset()
    ca_cert: Path | None = None
    trust_file: Path | None = None
    certs_d: tuple[Path, ...] = ()
    credentials: Callable[[str], Credentials | None] = no_credentials
    concurrency: int = 4
    max_request_body: int | None = None
    timeout: float = 60.0
    proxies: Proxies = field(default_factory=Proxies)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    user_agent: str = "imgctl"


class RegistryClient:
    """Registries by host, with shared connections, tokens and counters. Safe for threads."""

    def __init__(self, options: RegistryOptions, progress: Progress = SILENT) -> None:
        self.options = options
        self._progress = progress
        self._tls = TlsContexts(TlsSettings(options.ca_cert, options.trust_file, options.certs_d))
        self._connections = Connections(
            self._tls,
            proxies=options.proxies,
            timeout=options.timeout,
            user_agent=options.user_agent,
        )
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._uploads: dict[str, Uploads] = {}

    def repository(
        self, host: str, name: str, *, push: bool = False, mount_from: Iterable[str] = ()
    ) -> Repository:
        """A repository on a host (`name`, `name:port`); nothing is asked of the registry yet.

        push and mount_from (other repositories of that host) announce what will be done, so that
        one token serves for all of it. Raises BadInput for a host or name that cannot be one.
        """
        session = self.session(check_host(host))
        later = [Permission(check_repository(other), "pull") for other in mount_from]
        if push:
            later.append(Permission(name, "push"))
        uploads = self._uploads[host]
        return Repository(session, uploads, check_repository(name), also=frozenset(later))

    def prefer_basic(self, host: str) -> None:
        """Send user name and password to this host with every request, unasked.

        For hosts known to take them, as Harbor does: it saves two requests and never expires.
        """
        self.session(check_host(host)).authorizer.prefer_basic()

    def ping(self, host: str) -> None:
        """Check that a registry answers at host and accepts the credentials there are.

        Raises Unauthorized, Unreachable, or RegistryError when it is no registry.
        """
        session = self.session(check_host(host))
        call = Call("GET", "/v2/", f"use {host}")
        answer = session.call(call)
        if answer.status == 404 or (answer.is_html and answer.status < 500):
            raise not_a_registry(answer)
        if not answer.ok:
            raise session.error(call, answer)

    def check_login(self, host: str) -> bool:
        """Check user name and password with host, for users and robot accounts alike.

        False when the registry asks nobody for them, so that nothing could be checked. Raises
        Unauthorized when they are wrong, and as ping does.
        """
        self.ping(host)
        authorizer = self.session(host).authorizer
        if not authorizer.authenticated:
            # Some registries let anybody look and ask only who pushes: show the password unasked.
            authorizer.prefer_basic()
            self.ping(host)
            return False
        return True

    @property
    def requests(self) -> int:
        """HTTP requests made so far, token requests and retries included."""
        return self._connections.counters.requests

    @property
    def bytes_sent(self) -> int:
        """Bytes of request bodies sent so far, retries included."""
        return self._connections.counters.sent

    @property
    def bytes_received(self) -> int:
        """Bytes of response bodies received so far."""
        return self._connections.counters.received

    def session(self, host: str) -> Session:
        """The session with one host, made on first use; for the parts of registry that speak
        other APIs there (Harbor's)."""
        with self._lock:
            session = self._sessions.get(host)
            if session is None:
                session = self._sessions[host] = self._new_session(host)
                self._uploads[host] = Uploads(session, self.options.max_request_body)
            return session

    def close(self) -> None:
        """Close all connections; requests under way in other threads end with an error."""
        self._closed.set()
        self._connections.close()

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _new_session(self, host: str) -> Session:
        return Session(
            host,
            self._connections,
            self.options.retry,
            credentials=self.options.credentials,
            plain_http=self.options.plain_http,
            tls_expected=self._tls.has_own(host),
            closed=self._closed,
            say=self._progress.say,
        )
