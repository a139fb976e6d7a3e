"""Requests to Harbor's REST API v2.0 on one host, with what all of them have in common.

    with RegistryClient(options) as client:
        api = HarborApi(client, "harbor.example.com")
        print(api.version)
        projects.find(api, "algorithms")

User name and password go with every request as Basic, to that host only; no cookie is ever kept,
because Harbor refuses a change whose request carries one back without its CSRF token.
Paths, parameters and bodies: Harbor's OpenAPI file, api/v2.0/swagger.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from registry.answers import Answer
from registry.client import RegistryClient
from registry.errors import CorruptContent, ImgctlError, RegistryError
from registry.harbor.problems import not_harbor, problem
from registry.harbor.values import text
from registry.harbor.version import Version
from registry.reference import check_host
from registry.session import Call

ROOT = "/api/v2.0"
PAGE_SIZE = 100  # the most Harbor gives; above it answers 422
_MOST_PAGES = 10_000

Query = Mapping[str, str | int | bool]


@dataclass(frozen=True)
class SystemInfo:
    """GET /systeminfo. version: None for callers who may not know it. read_only: no changes now.

    auth_mode: `db_auth`, `ldap_auth`, `oidc_auth`, …
    """

    version: Version | None
    auth_mode: str
    read_only: bool
    raw: Mapping[str, Any]


class HarborApi:
    """The API on one host. Safe for threads, as the client beneath is."""

    def __init__(self, client: RegistryClient, host: str) -> None:
        """Nothing is asked yet. Repositories of that host that are used from now on authorise as
        it does, which saves requests. Raises BadInput for a host that cannot be one."""
        self.host = check_host(host)
        self.client = client
        client.prefer_basic(host)
        self._session = client.session(host)
        self._system: SystemInfo | None = None

    @property
    def user(self) -> str:
        """The user or robot account that asks; empty for nobody."""
        return self._session.authorizer.username

    def system(self) -> SystemInfo:
        """What Harbor says of itself, asked once; raises NotHarbor for a host that is none."""
        if self._system is None:
            self._system = self._ask_system()
        return self._system

    @property
    def version(self) -> Version:
        """Harbor's version; raises RegistryError where it is not told (2.10 and later tell it
        only to those who log in)."""
        version = self.system().version
        if version is None:
            raise RegistryError(
                f"{self.host} does not tell its version",
                "newer ones tell it only to those who log in",
                f"run: imgctl login {self.host}",
            )
        return version

    def check_login(self) -> None:
        """Check user name and password, for users and robot accounts alike.

        By GET /v2/: the API takes callers with a wrong password for anonymous ones, and robots
        may not ask /users/current. Raises Unauthorized.
        """
        call = Call("GET", "/v2/", f"use {self.host}")
        answer = self._session.call(call)
        if answer.status != 200:
            raise self._session.error(call, answer)

    def token(self, query: str) -> str:
        """A token of Harbor's token service, for looking into. query: as its URL has it."""
        call = Call("GET", f"/service/token?{query}", f"get a token of {self.host}", basic=True)
        answer = self._session.call(call)
        if answer.status != 200:
            raise self._error(call, answer)
        return text(as_object(answer.json(), call.doing), "token")

    def get(self, path: str, doing: str, query: Query | None = None) -> dict[str, Any]:
        """The JSON object at a path of the API.

        doing: the end of "cannot …" should it fail. Raises NotFound, Unauthorized and their kin.
        """
        call = self._call("GET", path, doing, query)
        answer = self._session.call(call)
        if answer.status != 200:
            raise self._error(call, answer)
        return as_object(answer.json(), doing)

    def find(self, path: str, doing: str, query: Query | None = None) -> dict[str, Any] | None:
        """As get; None when Harbor says that it, or its project, does not exist."""
        call = self._call("GET", path, doing, query)
        answer = self._session.call(call)
        if answer.status == 404 and answer.errors:
            return None
        if answer.status != 200:
            raise self._error(call, answer)
        return as_object(answer.json(), doing)

    def exists(self, path: str, doing: str, query: Query | None = None) -> bool:
        """Whether a HEAD finds something (200) or not (404)."""
        call = self._call("HEAD", path, doing, query)
        answer = self._session.call(call)
        if answer.status not in (200, 404):
            raise self._error(call, answer)
        return answer.status == 200

    def pages(self, path: str, doing: str, query: Query | None = None) -> Iterator[dict[str, Any]]:
        """The objects of a list, page after page.

        Harbor takes a field in `q` that it does not know for no filter at all: whoever deletes
        what comes from here looks at each object again.
        """
        seen = 0
        for page in range(1, _MOST_PAGES):
            asked = {**(query or {}), "page": page, "page_size": PAGE_SIZE}
            call = self._call("GET", path, doing, asked)
            answer = self._session.call(call)
            if answer.status != 200:
                raise self._error(call, answer)
            items = answer.json() or []
            if not isinstance(items, list):
                raise CorruptContent(f"{self.host} did not send a list", call.doing)
            yield from (as_object(item, doing) for item in items)
            seen += len(items)
            total = answer.headers.get("x-total-count", "")
            if len(items) < PAGE_SIZE or (total.isdigit() and seen >= int(total)):
                return

    def change(
        self,
        method: str,
        path: str,
        doing: str,
        body: Any = None,
        *,
        query: Query | None = None,
        also: tuple[int, ...] = (),
    ) -> Answer:
        """POST, PUT, PATCH or DELETE; the answer when it is 2xx or one of `also`.

        Repeated when the way to Harbor fails; a POST only where 409, "it is there already", is one
        of `also`, so that nothing is made twice.
        """
        call = self._call(method, path, doing, query, body)
        once = method == "POST" and 409 not in also
        answer = self._session.call_once(call) if once else self._session.call(call)
        if not answer.ok and answer.status not in also:
            raise self._error(call, answer)
        return answer

    def _ask_system(self) -> SystemInfo:
        answer = self._session.call(self._call("GET", "/systeminfo", f"use Harbor on {self.host}"))
        value = None
        if answer.status == 200 and not answer.is_html:
            try:
                value = answer.json()
            except CorruptContent:
                raise not_harbor(answer) from None
        if not isinstance(value, dict) or not {"auth_mode", "harbor_version"} & set(value):
            if answer.status >= 500:
                raise problem(answer, f"use Harbor on {self.host}", self.user)
            raise not_harbor(answer)
        version = value.get("harbor_version")
        return SystemInfo(
            Version(str(version)) if version else None,
            str(value.get("auth_mode", "")),
            value.get("read_only") is True,
            value,
        )

    def _call(
        self, method: str, path: str, doing: str, query: Query | None = None, body: Any = None
    ) -> Call:
        target = ROOT + path
        if query:
            pairs = {key: _in_query(value) for key, value in query.items()}
            target += "?" + urlencode(pairs)
        headers = {"Accept": "application/json"}
        if path.startswith("/projects/"):
            # Without it a project whose name is a number is looked up as an id.
            headers["X-Is-Resource-Name"] = "true"
        raw = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            raw = json.dumps(body, ensure_ascii=False).encode()
        elif method in ("POST", "PUT", "PATCH"):
            raw = b""
        return Call(method, target, doing, headers=headers, body=raw, basic=True)

    def _error(self, call: Call, answer: Answer) -> ImgctlError:
        if answer.status == 401:
            # As a GET: a HEAD would be asked again in full, and what Harbor takes differs there.
            error = self._session.error(replace(call, method="GET"), answer)
            sso = self._system is not None and self._system.auth_mode == "oidc_auth"
            if sso and self._session.authorizer.accepted:
                error.why = "a CLI secret of single sign-on is good for pushing and pulling alone"
                error.hint = "log in as a robot account that may do it"
            return error
        return problem(answer, call.doing, self.user)


def as_object(value: Any, doing: str) -> dict[str, Any]:
    """The value, if it is a JSON object; raises CorruptContent otherwise."""
    if not isinstance(value, dict):
        raise CorruptContent(
            f"cannot {doing}: the answer is not what Harbor sends", repr(value)[:120]
        )
    return value


def created_id(answer: Answer) -> int:
    """The number at the end of a 201's Location, which is a path; raises CorruptContent."""
    location = answer.headers.get("location", "")
    last = location.rstrip("/").rpartition("/")[2]
    if not last.isdigit():
        raise CorruptContent(
            f"{answer.url.netloc} did not say what it made", f"Location: {location[:200]}"
        )
    return int(last)


def _in_query(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
