"""One HTTP exchange with one host: connections, TLS, proxies, counting, and what can break.

Nothing here knows of registries, passwords or retries. Cookies are never kept: Harbor sets one on
every reply, and refuses the next unsafe request that carries it back without a CSRF token.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any, cast

import httpx

from registry.blobs import Chunk
from registry.errors import BadInput, RegistryError, Unreachable
from registry.proxies import Proxies
from registry.tls import explain_tls
from registry.url import Url
from registry.wire import WatchfulTransport

_POOL = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30)
_CONNECT_TIMEOUT = 15.0  # seconds; a host that is there answers a SYN long before


class ConnectionLost(Unreachable):
    """The connection broke or time ran out; asking again may work.

    timed_out: no answer came in time, so the server may still be at work on the request.
    """

    def __init__(self, what: str, why: str = "", hint: str = "", *, timed_out: bool = False):
        super().__init__(what, why, hint)
        self.timed_out = timed_out


class WrongScheme(Unreachable):
    """TLS was spoken to a plain port, or plain HTTP to a TLS port."""


@dataclass(frozen=True)
class Request:
    """One request. body: bytes, or chunks whose length in all the headers state.

    read_timeout: seconds to wait for the next bytes of the answer; None for the default.
    """

    method: str
    url: Url
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[Chunk] | None = None
    read_timeout: float | None = None


class Counters:
    """Requests made, and body bytes sent and received; counted from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.sent = 0
        self.received = 0

    def add(self, *, requests: int = 0, sent: int = 0, received: int = 0) -> None:
        """Add to the totals."""
        with self._lock:
            self.requests += requests
            self.sent += sent
            self.received += received


class Reply:
    """A response whose body is read once, as chunks or as a whole.

    headers: names in lower case.
    """

    def __init__(self, response: httpx.Response, url: Url, counters: Counters) -> None:
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.url = url
        self._response = response
        self._counters = counters
        self._body: bytes | None = None
        self._skip = 0

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives; raises ConnectionLost when it breaks off."""
        try:
            for chunk in self._response.iter_raw():
                self._counters.add(received=len(chunk))
                left_out = min(self._skip, len(chunk))
                self._skip -= left_out
                if left_out < len(chunk):
                    yield chunk[left_out:] if left_out else chunk
        except (httpx.TransportError, httpx.StreamError, ssl.SSLError) as error:
            raise explain(error, self.url, True, None) from error

    def read(self, limit: int) -> bytes:
        """The whole body, kept for the next time it is asked for; closes the response.

        Raises RegistryError for more than limit bytes.
        """
        if self._body is None:
            parts: list[bytes] = []
            length = 0
            try:
                for chunk in self.chunks():
                    parts.append(chunk)
                    length += len(chunk)
                    if length > limit:
                        what = f"{self.url.netloc} sent a document of more than {limit} bytes"
                        raise RegistryError(what, self.url.target)
            finally:
                self.close()
            self._body = b"".join(parts)
        return self._body

    def skip(self, length: int) -> None:
        """Read past the first bytes of the body; chunks() then begins after them."""
        self._skip = length

    def close(self) -> None:
        """Let go of the connection; what was not read is thrown away."""
        self._response.close()


class _NoCookies(CookieJar):
    """A jar that stays empty."""

    def set_cookie(self, cookie: Any) -> None:
        """Forget the cookie."""


class Connections:
    """Pooled connections, one httpx client per origin; safe to use from several threads."""

    def __init__(
        self,
        tls: Callable[[str], ssl.SSLContext],
        *,
        proxies: Proxies = Proxies(),  # noqa: B008 - a frozen value
        timeout: float = 60.0,
        user_agent: str = "imgctl",
    ) -> None:
        """tls: the TLS settings for a `host[:port]`, asked for only when https is spoken."""
        self._tls = tls
        self._proxies = proxies
        self._timeout = timeout
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], httpx.Client] = {}
        self._answered: set[str] = set()
        self.counters = Counters()

    def exchange(self, request: Request) -> Reply:
        """Send a request and return the reply with its body unread; the caller closes it.

        Raises Unreachable when there is no response, ConnectionLost when asking again may help.
        """
        client = self._client(request.url)
        read = request.read_timeout or self._timeout
        prepared = client.build_request(
            request.method,
            f"{request.url.scheme}://{request.url.netloc}/",
            headers=dict(request.headers),
            content=self._counted(request.body),
            timeout=httpx.Timeout(
                connect=min(self._timeout, _CONNECT_TIMEOUT),
                read=read,
                write=self._timeout,
                pool=None,
            ),
        )
        prepared.url = _ExactUrl(request.url)
        self.counters.add(requests=1)
        try:
            response = client.send(prepared, stream=True)
        except (httpx.TransportError, httpx.InvalidURL, ssl.SSLError) as error:
            raise self._explain(error, request.url) from error
        self._answered.add(request.url.netloc)
        return Reply(response, request.url, self.counters)

    def close(self) -> None:
        """Close every connection; requests under way in other threads end with an error."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    def _client(self, url: Url) -> httpx.Client:
        origin = (url.scheme, url.netloc)
        with self._lock:
            client = self._clients.get(origin)
            if client is None:
                client = self._clients[origin] = self._new_client(url)
            return client

    def _new_client(self, url: Url) -> httpx.Client:
        proxy = self._proxies.for_host(url.scheme, url.netloc)
        # A TLS context takes longer to make than most requests: none is made for plain HTTP.
        verify = self._tls(url.netloc) if url.scheme == "https" else False
        try:
            return httpx.Client(
                transport=WatchfulTransport(verify, proxy, _POOL),
                trust_env=False,
                cookies=_NoCookies(),
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise BadInput(
                f"the proxy set for {url.scheme} cannot be used", str(error).split("\n")[0]
            ) from error

    def _counted(self, body: bytes | Iterable[Chunk] | None) -> bytes | Iterable[bytes] | None:
        if body is None or isinstance(body, bytes):
            self.counters.add(sent=len(body or b""))
            return body
        # httpx hands on to its transport what it gets, and ours takes more than bytes.
        return cast(Iterator[bytes], self._count_chunks(body))

    def _count_chunks(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            yield chunk
            self.counters.add(sent=len(chunk))

    def _explain(self, error: Exception, url: Url) -> Unreachable:
        known = url.netloc in self._answered
        return explain(error, url, known, self._proxies.for_host(url.scheme, url.netloc))


class _ExactUrl(httpx.URL):
    """An httpx URL whose path and query go out byte for byte."""

    def __init__(self, url: Url) -> None:
        super().__init__(f"{url.scheme}://{url.netloc}/")
        self._target = url.target.encode("ascii")

    @property
    def raw_path(self) -> bytes:
        return self._target


def explain(error: Exception, url: Url, known: bool, proxy: str | None) -> Unreachable:
    """Turn what httpx raised into the cause; known: whether this host has answered before."""
    host = url.netloc
    if isinstance(error, httpx.ProxyError) or (proxy and isinstance(error, httpx.ConnectError)):
        where = httpx.URL(proxy).copy_with(userinfo=b"") if proxy else "the proxy"
        return Unreachable(
            f"the proxy {where} does not reach {host}",
            _cause(error),
            f"check HTTP_PROXY and HTTPS_PROXY, or add {host} to NO_PROXY",
        )
    tls = explain_tls(error, url)
    if tls is not None:
        return WrongScheme(*tls.lines) if tls.wrong_scheme else Unreachable(*tls.lines)
    if isinstance(error, httpx.TimeoutException):
        return ConnectionLost(f"{host} does not answer", "time ran out", timed_out=True)
    if isinstance(error, httpx.ConnectError) and not known:
        hint = "check the host's name, its port, and that the registry is running"
        return Unreachable(f"cannot connect to {host}", _cause(error), hint)
    if isinstance(error, httpx.RemoteProtocolError) and "status line" in str(error).lower():
        return WrongScheme(f"{host} does not speak plain HTTP", _cause(error)[:120])
    hint = ""
    if not known and url.scheme == "http":
        hint = f"if {host} speaks TLS, do not name it with --plain-http"
    return ConnectionLost(f"the connection to {host} broke", _cause(error), hint)


def _cause(error: BaseException) -> str:
    """The innermost reason, in words: httpx wraps httpcore wraps the operating system's."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
