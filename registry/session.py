"""Requests to one registry: address and scheme, authorisation, redirects, retries.

A retry happens only for calls whose repetition does no harm; streamed uploads are sent once, and
registry.upload decides what to do when they fail.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from registry.answers import Answer, error_for, project_missing
from registry.auth import Authorizer, Permission
from registry.blobs import Chunk
from registry.credentials import Credentials
from registry.errors import ImgctlError, RegistryError, Unreachable
from registry.http import ConnectionLost, Connections, Reply, Request, WrongScheme
from registry.retry import RETRIED, RetryPolicy
from registry.url import Url, is_loopback

_DOCUMENT_LIMIT = 16 << 20  # bytes; far above any manifest, index or list
_REDIRECTS = 5
_WORTH_TELLING = 1.0  # seconds
_AUTHORISATIONS = 3  # unauthorised, with a token, with a fresh token
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
# Docker Hub's name in references is not where its registry is.
_API_HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One request as a repository sees it.

    target: path and query, or a whole URL the registry gave. doing: the end of "cannot …" should
    it fail. needs: the permissions it takes; also: those that later calls will take, asked for in
    the same token. basic: for an API beside the registry's, which takes no registry tokens.
    """

    method: str
    target: str | Url
    doing: str
    needs: frozenset[Permission] = frozenset()
    also: frozenset[Permission] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[Chunk] | None = None
    read_timeout: float | None = None
    basic: bool = False


class Session:
    """A registry host, spoken to from any number of threads."""

    def __init__(
        self,
        host: str,
        connections: Connections,
        policy: RetryPolicy,
        *,
        credentials: Callable[[str], Credentials | None],
        plain_http: frozenset[str],
        tls_expected: bool,
        closed: threading.Event,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """plain_http: hosts the user named for it. tls_expected: certificates are set up for this
        host, so that even loopback is spoken to over TLS. say: hears of waits worth telling."""
        self.host = host
        self.connections = connections
        self.policy = policy
        self._plain_http = plain_http
        use_http = host in plain_http or (is_loopback(host) and not tls_expected)
        self.base = Url("http" if use_http else "https", _API_HOSTS.get(host, host).lower())
        self._closed = closed
        self._say = say
        self._told = 0.0
        self._answered = False
        self._scheme_known = False
        self._finding_out = threading.Lock()
        self.authorizer = Authorizer(
            host,
            base=lambda: self.base,
            fetch=self._fetch,
            locate=lambda realm: self.locate(realm, self.base),
            trusted=self._trusted,
            credentials=credentials,
        )

    @property
    def answered(self) -> bool:
        """Whether the host has answered anything yet."""
        return self._answered

    def call(self, call: Call) -> Answer:
        """Make a repeatable request and return the whole answer, whatever its status.

        Raises Unreachable when no attempt brought an answer.
        """
        return self._retrying(lambda: self._exchange(call, replay=True), read_answer)

    def expect(self, call: Call, *statuses: int) -> Answer:
        """Make a repeatable request; raise the error behind any status but those given."""
        answer = self.call(call)
        if answer.status not in statuses:
            raise self.error(call, answer)
        return answer

    def call_once(self, call: Call) -> Answer:
        """Make a request whose body can be sent only once; authorised, but never repeated."""
        return read_answer(self._exchange(call, replay=False))

    def open(self, call: Call) -> Reply:
        """Make a repeatable request and return the reply, whatever its status, with its body
        unread; the caller closes it."""
        return self._retrying(lambda: self._exchange(call, replay=True), lambda reply: reply)

    def wait(self, attempt: int, retry_after: str | None = None, why: str = "") -> None:
        """Wait before the next attempt; raises Unreachable when the client is closed meanwhile.

        why: what went wrong, told to the user unless it is likely over at once.
        """
        delay = self.policy.delay(attempt, retry_after)
        if why and (attempt > 1 or delay >= _WORTH_TELLING):
            when = f" in {delay:.0f} s" if delay >= _WORTH_TELLING else ""
            self._tell(f"{why}; trying again{when}")
        if self._closed.wait(delay):
            raise Unreachable(f"stopped waiting for {self.host}", "the client was closed")

    def _tell(self, line: str) -> None:
        """Say it, unless another thread has just said as much."""
        now = time.monotonic()
        if now - self._told >= _WORTH_TELLING:
            self._told = now
            self._say(line)

    def error(self, call: Call, answer: Answer) -> ImgctlError:
        """The cause behind an answer, asking again with GET where HEAD had no room to say it."""
        if call.method == "HEAD" and answer.status in (400, 401, 403, 412):
            asked = replace(call, method="GET", headers=dict(call.headers))
            reply = self._exchange(asked, replay=True)
            if reply.status >= 400:
                answer = read_answer(reply)
            reply.close()
        if answer.status == 401:
            missing = project_missing(answer)
            return missing or self.authorizer.denied(answer, call.doing, call.needs)
        return error_for(answer, call.doing)

    def locate(self, location: str, seen_at: Url) -> Url:
        """Where a Location header points; on our own host the scheme stays ours.

        Behind a proxy that loses X-Forwarded-Proto, Harbor hands out http:// for https://.
        """
        url = seen_at.follow(location)
        if url.same_host(self.base):
            return replace(url, scheme=self.base.scheme, netloc=self.base.netloc)
        return url

    def is_own(self, url: Url) -> bool:
        """Whether a URL is on this registry's host, and so may see its credentials."""
        return url.scheme == self.base.scheme and url.netloc == self.base.netloc

    def _fetch(self, request: Request) -> Answer:
        """A request as it is, for the token service; repeated when the service is busy."""
        return self._retrying(lambda: self.connections.exchange(request), read_answer)

    def _trusted(self, url: Url) -> bool:
        """Whether a password may be sent to an address a registry named."""
        plain = is_loopback(url.netloc) or url.netloc in self._plain_http or self.is_own(url)
        return url.scheme == "https" or plain

    def _retrying(self, send: Callable[[], Reply], read: Callable[[Reply], T]) -> T:
        for attempt in range(1, self.policy.attempts + 1):
            last = attempt == self.policy.attempts
            try:
                reply = send()
                if last or reply.status not in RETRIED:
                    return read(reply)
            except ConnectionLost as error:
                if last or self._closed.is_set():
                    raise
                if error.timed_out:
                    self._tell(f"{error.what}; trying again")
                self.wait(attempt, why=error.what)
                continue
            reply.close()
            why = f"{reply.url.netloc} answered {reply.status}"
            self.wait(attempt, reply.headers.get("retry-after"), why)
        raise AssertionError("the last attempt returns or raises")

    def _exchange(self, call: Call, *, replay: bool) -> Reply:
        """One request with its authorisation; a 401 is answered by authorising and asking again."""
        for _ in range(_AUTHORISATIONS):
            url = self._url(call.target)
            own = self.is_own(url)
            header = self._header(call) if own else None
            reply = self._follow(call, url, header)
            if reply.status != 401 or not self.is_own(reply.url) or call.basic:
                break
            again = self.authorizer.challenged(read_answer(reply), header)
            if not (again and replay):
                break
        return reply

    def _header(self, call: Call) -> str | None:
        if call.basic:
            return self.authorizer.basic()
        return self.authorizer.header(call.needs, call.also)

    def _follow(self, call: Call, url: Url, header: str | None) -> Reply:
        """Send, and follow redirects of GET and HEAD; the password stays with its own host."""
        for _ in range(_REDIRECTS + 1):
            headers = dict(call.headers)
            if header is not None and self.is_own(url):
                headers["Authorization"] = header
            reply = self._send(Request(call.method, url, headers, call.body, call.read_timeout))
            location = reply.headers.get("location")
            redirected = reply.status in _REDIRECT_STATUS and location is not None
            if not redirected or call.method not in ("GET", "HEAD"):
                return reply
            reply.close()
            target = self.locate(location or "", reply.url)
            _check_downgrade(reply.url, target)
            url = target
        raise RegistryError(f"cannot {call.doing}: {self.host} redirects without end")

    def _send(self, request: Request) -> Reply:
        """Send as it is, or over TLS after all where loopback turns out to speak it."""
        if not self._scheme_known and self._may_switch(request):
            with self._finding_out:
                if not self._scheme_known:
                    return self._send_first(request)
        if request.url.netloc == self.base.netloc:
            # What another thread found out meanwhile holds for this request too.
            request = replace(request, url=replace(request.url, scheme=self.base.scheme))
        reply = self.connections.exchange(request)
        self._answered = self._scheme_known = True
        if _asks_for_tls(request, reply):
            raise _speaks_tls(request)
        return reply

    def _send_first(self, request: Request) -> Reply:
        """Send over plain HTTP, and by how that ends find out whether TLS is spoken."""
        try:
            reply = self.connections.exchange(request)
        except (WrongScheme, ConnectionLost) as error:
            if isinstance(error, ConnectionLost) and error.timed_out:
                self._scheme_known = True  # as far as it can be; others need not wait to learn it
                raise
            return self._over_tls(request, error)
        if _asks_for_tls(request, reply):
            return self._over_tls(request, _speaks_tls(request))
        if _may_ask_for_tls(request, reply):
            no_tls = Unreachable(f"{self.host} speaks no TLS")
            try:
                return self._over_tls(request, no_tls)
            except Unreachable as error:
                if error is not no_tls:  # but a certificate that is not trusted
                    raise
        self._answered = self._scheme_known = True
        return reply

    def _over_tls(self, request: Request, otherwise: Unreachable) -> Reply:
        """Send a request over TLS, and all that follow; raise `otherwise` if that is not spoken."""
        secured = replace(request, url=replace(request.url, scheme="https"))
        try:
            reply = self.connections.exchange(secured)
        except (WrongScheme, ConnectionLost):
            raise otherwise from None
        self.base = replace(self.base, scheme="https")
        self._answered = self._scheme_known = True
        return reply

    def _may_switch(self, request: Request) -> bool:
        """Loopback not named for plain HTTP may turn out to speak TLS; nothing else changes."""
        repeatable = request.body is None or isinstance(request.body, bytes)
        may = self.host not in self._plain_http and repeatable and self.is_own(request.url)
        return may and request.url.scheme == "http"

    def _url(self, target: str | Url) -> Url:
        return target if isinstance(target, Url) else self.base.at(target)


def _check_downgrade(source: Url, target: Url) -> None:
    """Refuse to be sent from TLS to plain HTTP, where anybody could answer."""
    if source.scheme == "https" and target.scheme == "http" and not is_loopback(target.netloc):
        where = str(target).split("?")[0]
        raise RegistryError(f"{source.netloc} redirects to plain HTTP", where)


def read_answer(reply: Reply) -> Answer:
    """The whole of a reply."""
    return Answer(reply.status, reply.headers, reply.read(_DOCUMENT_LIMIT), reply.url)


def _may_ask_for_tls(request: Request, reply: Reply) -> bool:
    """Whether a 400 may say what _asks_for_tls looks for: the answer to a HEAD has no words."""
    return reply.status == 400 and request.method == "HEAD" and request.url.scheme == "http"


def _speaks_tls(request: Request) -> WrongScheme:
    hint = "do not name it with --plain-http"
    return WrongScheme(f"{request.url.netloc} speaks TLS, not plain HTTP", "", hint)


def _asks_for_tls(request: Request, reply: Reply) -> bool:
    """Whether a 400 says that plain HTTP came to a TLS port, as Go and nginx say it."""
    if reply.status != 400 or request.url.scheme != "http":
        return False
    said = reply.read(_DOCUMENT_LIMIT).lower()
    return b"https server" in said or b"https port" in said
