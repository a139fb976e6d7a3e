"""Authorisation at one registry: Basic where it is asked for, tokens elsewhere.

Ways of Harbor's that shape this: a request with a token that is not good enough is answered with
a Basic challenge, so realm and service are remembered from the first one; the token service gives
a token even for a wrong password, carrying the anonymous caller's rights; and one failed password
locks a user out for 1.5 s, so no refused password is ever tried again in parallel.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

from registry.answers import Answer
from registry.challenge import (
    Challenge,
    Permission,
    Token,
    parse_challenges,
    parse_token,
    scope_strings,
    why_unfit,
)
from registry.credentials import Credentials
from registry.errors import CorruptContent, RegistryError, Unauthorized
from registry.http import Request
from registry.url import Url

# Harbor's words; it names the one permission that its challenge leaves out.
_NAMED = re.compile(r"unauthorized to access repository: (\S+), action: (\w+)")
# `robot$PROJECT+NAME`; what comes before the project is up to each Harbor's settings.
_PROJECT_ROBOT = re.compile(r".*\$([a-z0-9._-]+)\+[a-z0-9._-]+")

__all__ = ["Authorizer", "Permission"]


class Authorizer:
    """Finds the Authorization header for requests to one host; safe to use from several threads."""

    def __init__(
        self,
        host: str,
        *,
        base: Callable[[], Url],
        fetch: Callable[[Request], Answer],
        locate: Callable[[str], Url],
        trusted: Callable[[Url], bool],
        credentials: Callable[[str], Credentials | None],
    ) -> None:
        """base: the registry's own address. fetch: sends a request as it is, with retries.
        locate: where a realm is, corrected for proxies. trusted: whether a password may be sent
        to an address. credentials: asked at most once."""
        self.host = host
        self._base = base
        self._fetch = fetch
        self._locate = locate
        self._trusted = trusted
        self._find_credentials = credentials
        self._lock = threading.RLock()
        self._known: Credentials | None = None
        self._asked_for_credentials = False
        self._scheme = ""
        self._challenge = Challenge("", {})
        self._tokens: list[Token] = []
        self._password_good: bool | None = None
        self._rejected: Unauthorized | None = None

    def prefer_basic(self) -> None:
        """Send user name and password with every request without waiting for a challenge.

        For hosts known to take them, like Harbor: it saves two requests, and nothing expires.
        """
        with self._lock:
            credentials = self._credentials()
            if credentials is not None and not credentials.identity_token and not self._scheme:
                self._scheme = "basic"

    def basic(self) -> str | None:
        """User name and password as a header, whatever the host has asked for; None without."""
        with self._lock:
            credentials = self._credentials()
            return self._basic() if credentials and not credentials.identity_token else None

    def header(
        self, needs: frozenset[Permission], also: frozenset[Permission] = frozenset()
    ) -> str | None:
        """The Authorization header for a request; None as long as the host has not asked for one.

        needs: what the request needs. also: what later ones will, asked for in the same token.
        """
        with self._lock:
            if self._scheme == "basic":
                return self._basic()
            if self._scheme == "bearer":
                return "Bearer " + self._token(needs, also).value
            return None

    def challenged(self, answer: Answer, sent: str | None) -> bool:
        """After a 401 for a request with header `sent`: whether another header may do better."""
        offers = parse_challenges(answer.headers.get("www-authenticate", ""))
        with self._lock:
            if sent is None:
                return bool(self._scheme) or self._adopt(offers)
            if sent.startswith("Bearer "):
                self._tokens = [item for item in self._tokens if item.value != sent[7:]]
                return True
            if self._scheme == "basic":
                bearer = [offer for offer in offers if offer.scheme == "bearer"]
                return bool(bearer) and self._adopt(bearer)
            return True

    def denied(self, answer: Answer, doing: str, needs: frozenset[Permission]) -> RegistryError:
        """The cause of a 401 that stays: no login, a wrong password, or a missing permission."""
        with self._lock:
            credentials = self._credentials()
            if credentials is None:
                return self._wants_login(f"{self.host} wants a login to {doing}", answer.message)
            if not self._password_is_good():
                return self._wrong_password(credentials)
            who = credentials.username or "the identity token"
            missing = needs
            if self._scheme == "bearer":
                token = self._token(needs)
                missing = needs - (token.granted or frozenset())
                if token.granted and not missing:
                    return self._token_refused(token, doing, answer.message)
        said = answer.message
        named = _NAMED.search(said)
        if named and Permission(*named.groups()) in needs:
            missing = frozenset((Permission(*named.groups()),))
        scopes = ", ".join(f"{action} on {name}" for name, action in sorted(missing))
        return Unauthorized(
            f"{who} is not allowed to {doing}",
            f"missing permission: {scopes}" if scopes else said,
            project_hint(who, missing) or f"give {who} that permission, or log in as another user",
            status=401,
        )

    def _token_refused(self, token: Token, doing: str, said: str) -> Unauthorized:
        """A token that allows what was asked, fresh from its service, and is not taken."""
        service = self._challenge.parameters.get("service", "")
        why = why_unfit(token.value, service, time.time())
        return Unauthorized(
            f"{self.host} does not accept the token of its own token service to {doing}",
            why or said,
            "the clocks or the settings (service, issuer, certificate) of registry and token "
            "service do not agree; its administrator can tell",
            status=401,
        )

    @property
    def username(self) -> str:
        """Who is known to ask; empty for nobody, and for an identity token."""
        with self._lock:
            credentials = self._credentials()
        return credentials.username if credentials else ""

    @property
    def accepted(self) -> bool:
        """Whether the host was asked about user name and password, and found them good."""
        return self._password_good is True

    @property
    def authenticated(self) -> bool:
        """Whether user name and password are in use with this host."""
        with self._lock:
            return bool(self._scheme) and self._credentials() is not None

    def _credentials(self) -> Credentials | None:
        if not self._asked_for_credentials:
            self._known = self._find_credentials(self.host)
            self._asked_for_credentials = True
        return self._known

    def _adopt(self, offers: list[Challenge]) -> bool:
        """Choose how to authorise from now on; False when nothing on offer can be done."""
        for offer in offers:
            if offer.scheme == "bearer" and offer.parameters.get("realm"):
                self._scheme, self._challenge = "bearer", offer
                return True
        credentials = self._credentials()
        if credentials is None or credentials.identity_token:
            return False
        if any(offer.scheme == "basic" for offer in offers):
            self._scheme = "basic"
            return True
        return False

    def _basic(self) -> str:
        credentials = self._credentials() or Credentials()
        pair = f"{credentials.username}:{credentials.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    def _token(
        self, needs: frozenset[Permission], also: frozenset[Permission] = frozenset()
    ) -> Token:
        """A token from the cache, or a new one: fetched once, while other threads wait for it."""
        if self._rejected is not None:
            raise self._rejected
        now = time.monotonic()
        for token in self._tokens:
            if token.serves(needs, now):
                return token
        token = self._new_token(needs | also)
        self._tokens = [item for item in self._tokens if now < item.expires] + [token]
        return token

    def _new_token(self, asked: frozenset[Permission]) -> Token:
        answer = self._ask_token(scope_strings(asked))
        if answer.status == 401:
            credentials = self._credentials()
            self._rejected = (
                self._wrong_password(credentials)
                if credentials
                else self._wants_login(f"{self.host} wants a login", answer.message)
            )
            raise self._rejected
        if not answer.ok:
            raise Unauthorized(
                f"{self.host} gave no token: its token service answered {answer.status}",
                answer.message,
                f"check the login: imgctl login {self.host}",
                status=answer.status,
            )
        token = parse_token(answer.json(), asked, time.monotonic())
        if token is None:
            raise CorruptContent(f"the token service of {self.host} sent no token")
        return token

    def _ask_token(self, scopes: list[str]) -> Answer:
        realm = self._realm()
        credentials = self._credentials()
        service = self._challenge.parameters.get("service", "")
        pairs = [("service", service)] if service else []
        pairs += [("scope", scope) for scope in scopes]
        if credentials is not None and credentials.identity_token:
            form = [
                *pairs,
                ("grant_type", "refresh_token"),
                ("refresh_token", credentials.identity_token),
                ("client_id", "imgctl"),
            ]
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._fetch(Request("POST", realm, headers, urlencode(form).encode()))
        headers = {} if credentials is None else {"Authorization": self._basic()}
        query = urlencode(pairs, safe=":/,", quote_via=quote)
        return self._fetch(Request("GET", realm.with_query(query) if query else realm, headers))

    def _realm(self) -> Url:
        """The token service; it may be on another host, but a password goes there only by TLS."""
        realm = self._locate(self._challenge.parameters["realm"])
        if self._credentials() is not None and not self._trusted(realm):
            raise Unauthorized(
                f"{self.host} wants the password sent to {realm.scheme}://{realm.netloc}",
                "that is plain HTTP to another host",
                f"set the registry's external address to https, or add --plain-http {realm.netloc}",
            )
        return realm

    def _password_is_good(self) -> bool:
        """Ask once, without naming a repository: only then is a wrong password told as such."""
        if self._password_good is None:
            if self._scheme == "bearer":
                answer = self._ask_token([])
            else:
                headers = {"Authorization": self._basic()}
                answer = self._fetch(Request("GET", self._base().at("/v2/"), headers))
            self._password_good = answer.status != 401
        return self._password_good

    def _wants_login(self, what: str, why: str) -> Unauthorized:
        return Unauthorized(what, why, f"run: imgctl login {self.host}", status=401)

    def _wrong_password(self, credentials: Credentials) -> Unauthorized:
        hint = shell_hint(credentials.username) or f"log in again: imgctl login {self.host}"
        if credentials.identity_token:
            what = f"{self.host} does not accept the identity token that Docker keeps for it"
            return Unauthorized(what, "", hint, status=401)
        robot = credentials.username.startswith("robot$")
        why = "an account that has expired or is disabled is refused so too" if robot else ""
        return Unauthorized(
            f"{self.host} does not accept the user name and password of {credentials.username!r}",
            why,
            hint,
            status=401,
        )


def shell_hint(username: str) -> str:
    """What to do about a robot account's name that lost its `$…` to the shell; else nothing."""
    if username.startswith("robot") and "$" not in username:
        return (
            "the shell has probably replaced the $… of a robot account's name: "
            "write it in single quotes, 'robot$NAME'"
        )
    if username.startswith("robot$$"):
        return "a robot account's name has one $: $$ is for Makefiles and Compose files alone"
    return ""


def project_hint(username: str, missing: frozenset[Permission]) -> str:
    """What to do where a robot account of one Harbor project is to pull from another; else nothing.

    It cannot be given that: its permissions are for its own project.
    """
    found = _PROJECT_ROBOT.fullmatch(username)
    others = sorted({repository.partition("/")[0] for repository, action in missing
                     if action == "pull" and "/" in repository})  # fmt: skip
    if found is None or not others or found[1] in others:
        return ""
    return (
        f"an account of project {found[1]} sees public projects besides: make {others[0]} public, "
        "or log in as somebody who may pull there"
    )
