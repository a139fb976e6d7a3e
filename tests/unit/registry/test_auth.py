"""Who may do what: Basic, tokens, and the true cause behind a 401."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.challenge import (
    Permission,
    granted_by,
    parse_challenges,
    parse_token,
    scope_strings,
    why_unfit,
)
from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import ImgctlError, NotFound, RegistryError, Unauthorized
from registry.oci import Descriptor, sha256
from registry.retry import RetryPolicy
from tests.support.reqresp import Entry, Server, query_of, serve

USER = Credentials("user", "pass")
BASIC = "Basic " + base64.b64encode(b"user:pass").decode()
DIGEST = sha256(b"x")
BLOB = f"/v2/p/r/blobs/{DIGEST}"
BASIC_CHALLENGE = {"WWW-Authenticate": 'Basic realm="harbor"'}
BEARER_CHALLENGE = {
    "WWW-Authenticate": 'Bearer realm="{base}/service/token",service="harbor-registry"'
}
PULL = Permission("p/r", "pull")
PUSH = Permission("p/r", "push")


def client_for(credentials: Credentials | None = USER, **options: Any) -> RegistryClient:
    policy = RetryPolicy(attempts=3, first=0.001, longest=0.01)
    found = RegistryOptions(retry=policy, credentials=lambda host: credentials, **options)
    return RegistryClient(found)


def jwt(*access: tuple[str, Iterable[str]]) -> str:
    """An unsigned token as a token service makes them."""
    claims = {
        "access": [
            {"type": "repository", "name": name, "actions": list(actions)}
            for name, actions in access
        ]
    }
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def token(value: str, **more: Any) -> bytes:
    return json.dumps({"token": value, "expires_in": 1800, **more}).encode()


def token_entry(value: str = "t", **options: Any) -> Entry:
    return Entry("GET", "/service/token", content=token(value), **options)


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def bearer(server: Server) -> list[str]:
    return [seen.headers.get("authorization", "") for seen in server.requests]


# --- challenges and tokens as text ---


@pytest.mark.parametrize(
    ("header", "schemes"),
    [
        ("", []),
        ('Basic realm="harbor"', [("basic", {"realm": "harbor"})]),
        (
            'Bearer realm="https://h/t?a=b,c",service="x y",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://h/t?a=b,c",
                        "service": "x y",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'Negotiate, BASIC realm = plain , Bearer realm="q\\"q"',
            [("negotiate", {}), ("basic", {"realm": "plain"}), ("bearer", {"realm": 'q"q'})],
        ),
        ("=junk", []),
        ('Basic realm="open', [("basic", {})]),
    ],
)
def test_challenges(header: str, schemes: list[tuple[str, dict[str, str]]]) -> None:
    found = [(challenge.scheme, challenge.parameters) for challenge in parse_challenges(header)]
    assert found[: len(schemes)] == schemes


@given(st.text(max_size=80) | st.text(alphabet='ab=", \\', max_size=60))
def test_any_challenge_header_is_read(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()


def test_scopes_group_the_actions_of_a_repository() -> None:
    needs = {PUSH, PULL, Permission("base/x", "pull")}
    assert scope_strings(needs) == ["repository:base/x:pull", "repository:p/r:pull,push"]


def test_what_a_token_grants() -> None:
    assert granted_by(jwt(("p/r", ["pull"]))) == frozenset({PULL})
    assert granted_by(jwt(("p/r", ["*"]))) == frozenset({PULL, PUSH, Permission("p/r", "delete")})
    assert granted_by(jwt()) == frozenset()
    assert granted_by("opaque") is None


@given(
    st.text(max_size=40)
    | st.binary(max_size=30).map(
        lambda data: "e30." + base64.urlsafe_b64encode(data).decode() + ".x"
    )
)
def test_any_token_is_read_or_opaque(text: str) -> None:
    granted = granted_by(text)
    assert granted is None or all(isinstance(item, Permission) for item in granted)


def test_a_token_is_renewed_before_it_dies() -> None:
    found = parse_token({"access_token": "t", "expires_in": 100}, frozenset({PULL}), now=1000)
    assert found is not None
    assert found.serves(frozenset({PULL}), 1079)
    assert not found.serves(frozenset({PULL}), 1081)
    assert not found.serves(frozenset({PUSH}), 1001)


@pytest.mark.parametrize("value", [None, [], {}, {"token": 1}, {"token": ""}, {"token": "a\nb"}])
def test_a_reply_without_a_token(value: Any) -> None:
    assert parse_token(value, frozenset(), 0) is None


# --- Basic ---


def test_nothing_is_sent_before_it_is_asked_for() -> None:
    with (
        serve(Entry("HEAD", BLOB, headers={"authorization": None})) as server,
        client_for() as client,
    ):
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_basic_once_asked_for_goes_with_every_request() -> None:
    entries = (
        Entry(
            "HEAD",
            BLOB,
            headers={"authorization": None},
            status=401,
            reply=BASIC_CHALLENGE,
            once=True,
        ),
        Entry("HEAD", BLOB, headers={"authorization": BASIC}),
    )
    with serve(*entries) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")
        for _ in range(3):
            assert repository.blob_exists(DIGEST)
        assert client.requests == 4


def test_harbor_gets_basic_at_once_when_told_so() -> None:
    with (
        serve(Entry("HEAD", BLOB, headers={"authorization": BASIC})) as server,
        client_for() as client,
    ):
        client.prefer_basic(server.host)
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)
        assert client.requests == 1


def test_without_credentials_preferring_basic_changes_nothing() -> None:
    with (
        serve(Entry("HEAD", BLOB, headers={"authorization": None})) as server,
        client_for(None) as client,
    ):
        client.prefer_basic(server.host)
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_basic_gives_way_where_only_tokens_are_taken() -> None:
    entries = (
        Entry("HEAD", BLOB, headers={"authorization": BASIC}, status=401, reply=BEARER_CHALLENGE),
        token_entry(),
        Entry("HEAD", BLOB, headers={"authorization": "Bearer t"}),
    )
    with serve(*entries) as server, client_for() as client:
        client.prefer_basic(server.host)
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)


# --- tokens ---


def bearer_script(value: str = "t", **options: Any) -> tuple[Entry, ...]:
    return (
        Entry("HEAD", BLOB, headers={"authorization": None}, status=401, reply=BEARER_CHALLENGE),
        token_entry(value, **options),
        Entry("HEAD", BLOB, headers={"authorization": f"Bearer {value}"}),
    )


def test_a_token_is_fetched_once_and_used_again() -> None:
    with serve(*bearer_script(headers={"authorization": BASIC})) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")
        assert repository.blob_exists(DIGEST)
        assert repository.blob_exists(DIGEST)
        assert client.requests == 4
        asked = [line for line in server.lines if "/service/token" in line]
        assert query_of(asked[0]) == {"service": "harbor-registry", "scope": "repository:p/r:pull"}


def test_an_anonymous_token() -> None:
    with (
        serve(*bearer_script(headers={"authorization": None})) as server,
        client_for(None) as client,
    ):
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_what_will_be_done_later_is_asked_for_in_the_same_token() -> None:
    with serve(*bearer_script()) as server, client_for() as client:
        repository = client.repository(server.host, "p/r", push=True, mount_from=["base/x"])
        assert repository.blob_exists(DIGEST)
        asked = next(line for line in server.lines if "/service/token" in line)
        assert asked.count("scope=") == 2
        assert "scope=repository:base/x:pull&scope=repository:p/r:pull,push" in asked


def test_many_threads_share_one_token() -> None:
    with serve(*bearer_script(delay=0.05)) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")
        threads = [
            threading.Thread(target=repository.blob_exists, args=(DIGEST,)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum("/service/token" in line for line in server.lines) == 1


def test_a_token_no_longer_accepted_is_replaced_once() -> None:
    """Harbor answers an expired token with a Basic challenge, without realm or scope."""
    refused = Entry(
        "HEAD", BLOB, headers={"authorization": "Bearer t"}, status=401, reply=BASIC_CHALLENGE
    )
    entries = (
        *bearer_script("t", once=True)[:2],
        Entry("HEAD", BLOB, headers={"authorization": "Bearer t"}, once=True),
        refused,
        token_entry("t2"),
        Entry("HEAD", BLOB, headers={"authorization": "Bearer t2"}),
    )
    with serve(*entries) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")
        assert repository.blob_exists(DIGEST)
        assert repository.blob_exists(DIGEST)
        assert bearer(server)[-1] == "Bearer t2"


def test_a_token_about_to_expire_is_renewed_without_a_401() -> None:
    short = Entry("GET", "/service/token", content=token("t", expires_in=0.1), once=True)
    entries = (*bearer_script()[::2], short, *bearer_script("t2")[1:])
    with serve(*entries) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")
        assert repository.blob_exists(DIGEST)
        time.sleep(0.1)
        assert repository.blob_exists(DIGEST)
        assert bearer(server)[-1] == "Bearer t2"
        assert server.lines.count(f"HEAD {BLOB}") == 3


def test_a_busy_token_service_is_asked_again() -> None:
    entries = (Entry("GET", "/service/token", status=503, once=True), *bearer_script())
    with serve(*entries) as server, client_for() as client:
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_an_identity_token_is_exchanged_by_post() -> None:
    form = b"service=harbor-registry&scope=repository%3Ap%2Fr%3Apull&grant_type=refresh_token"
    form += b"&refresh_token=secret&client_id=imgctl"
    exchange = Entry("POST", "/service/token", body=form, content=b'{"access_token":"t"}')
    entries = (*bearer_script()[::2], exchange)
    with serve(*entries) as server, client_for(Credentials(identity_token="secret")) as client:
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_a_refused_identity_token_is_told_as_such() -> None:
    refused = Entry("POST", "/service/token", status=401)
    with (
        serve(*bearer_script()[::2], refused) as server,
        client_for(Credentials(identity_token="secret")) as client,
        pytest.raises(Unauthorized, match="does not accept the identity token"),
    ):
        client.repository(server.host, "p/r").blob_exists(DIGEST)


# --- where a password may go ---


def realm_elsewhere(realm: str) -> Entry:
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}
    return Entry("HEAD", BLOB, status=401, reply=challenge)


def test_a_password_never_goes_to_another_host_over_plain_http() -> None:
    with (
        serve(realm_elsewhere("http://thief.invalid/token")) as server,
        client_for() as client,
        pytest.raises(Unauthorized) as caught,
    ):
        client.repository(server.host, "p/r").blob_exists(DIGEST)
    assert "http://thief.invalid" in caught.value.what
    assert "plain HTTP" in caught.value.why


def test_a_realm_on_another_loopback_port_is_all_right() -> None:
    with serve(token_entry(headers={"authorization": BASIC})) as tokens:
        entries = (
            Entry("HEAD", BLOB, headers={"authorization": "Bearer t"}),
            realm_elsewhere(f"{tokens.base}/service/token"),
        )
        with serve(*entries) as server, client_for() as client:
            assert client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_a_realm_with_our_host_and_the_wrong_scheme_keeps_our_scheme() -> None:
    """Harbor behind a TLS proxy with a wrong external_url; here the other way round."""
    entries = (
        Entry("HEAD", BLOB, headers={"authorization": "Bearer t"}),
        Entry(
            "HEAD",
            BLOB,
            status=401,
            reply={"WWW-Authenticate": 'Bearer realm="https://{host}/service/token"'},
        ),
        token_entry(),
    )
    with serve(*entries) as server, client_for() as client:
        assert client.repository(server.host, "p/r").blob_exists(DIGEST)


# --- the cause of a 401 ---


def refused_push(*entries: Entry, credentials: Credentials | None = USER) -> ImgctlError:
    """The error that a push to p/r ends with."""
    with (
        serve(*entries) as server,
        client_for(credentials) as client,
        pytest.raises(ImgctlError) as caught,
    ):
        client.repository(server.host, "p/r").push_blob(
            Descriptor("application/x", sha256(b""), 0), lambda: nullcontext(iter(()))
        )
    return caught.value


UPLOADS = "/v2/p/r/blobs/uploads/"


@pytest.mark.parametrize("credentials", [USER, None])
def test_harbor_s_missing_project_comes_with_an_empty_challenge(
    credentials: Credentials | None,
) -> None:
    body = errors("UNAUTHORIZED", "project p not found: project p not found")
    missing = Entry("POST", UPLOADS, status=401, reply={"WWW-Authenticate": ""}, content=body)
    error = refused_push(missing, credentials=credentials)
    assert isinstance(error, NotFound)
    assert "project 'p' does not exist on 127.0.0.1" in error.what
    assert "--create-project" in error.hint


def test_a_missing_project_is_told_even_when_asked_with_head() -> None:
    body = errors("UNAUTHORIZED", "project p not found: project p not found")
    empty = {"WWW-Authenticate": ""}
    entries = (
        Entry("HEAD", BLOB, status=401, reply=empty),
        Entry("GET", BLOB, status=401, reply=empty, content=body),
    )
    with (
        serve(*entries) as server,
        client_for() as client,
        pytest.raises(NotFound, match="project 'p' does not exist"),
    ):
        client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_no_login() -> None:
    error = refused_push(
        Entry("POST", UPLOADS, status=401, reply=BASIC_CHALLENGE), credentials=None
    )
    assert isinstance(error, Unauthorized)
    assert "wants a login to push to 127.0.0.1" in error.what
    assert "imgctl login 127.0.0.1" in error.hint


def test_a_wrong_password_with_basic() -> None:
    error = refused_push(
        Entry("POST", UPLOADS, status=401, reply=BASIC_CHALLENGE),
        Entry("GET", "/v2/", headers={"authorization": BASIC}, status=401, reply=BASIC_CHALLENGE),
    )
    assert "does not accept the user name and password of 'user'" in error.what


def test_a_missing_permission_with_basic() -> None:
    body = errors("UNAUTHORIZED", "unauthorized to access repository: p/r, action: push")
    error = refused_push(
        Entry("POST", UPLOADS, status=401, reply=BASIC_CHALLENGE, content=body),
        Entry("GET", "/v2/", headers={"authorization": BASIC}),
    )
    assert "user is not allowed to push to 127.0.0.1" in error.what
    assert "push on p/r" in error.why


def harbor_tokens(granted: str, login: Entry) -> tuple[Entry, ...]:
    """Harbor's token service: 200 for any password where a scope is given."""
    scope = "service=harbor-registry&scope=repository:p/r:pull,push"
    return (
        Entry("POST", UPLOADS, headers={"authorization": None}, status=401, reply=BEARER_CHALLENGE),
        token_entry(granted, query=scope),
        login,
        Entry(
            "POST", UPLOADS, status=401, reply=BASIC_CHALLENGE, content=errors("UNAUTHORIZED", "no")
        ),
    )


def test_a_wrong_password_that_got_a_token_all_the_same() -> None:
    login = Entry("GET", "/service/token", "service=harbor-registry", status=401)
    error = refused_push(*harbor_tokens(jwt(("p/r", ["pull"])), login))
    assert "does not accept the user name and password of 'user'" in error.what


def test_a_missing_permission_with_a_token_is_named() -> None:
    login = token_entry("good", query="service=harbor-registry")
    error = refused_push(*harbor_tokens(jwt(("p/r", ["pull"])), login))
    assert isinstance(error, Unauthorized)
    assert "user is not allowed to push to" in error.what
    assert error.why == "missing permission: push on p/r"


def test_a_token_that_allows_it_and_is_not_taken_is_no_missing_permission() -> None:
    login = token_entry("good", query="service=harbor-registry")
    error = refused_push(*harbor_tokens(jwt(("p/r", ["pull", "push"])), login))
    assert isinstance(error, Unauthorized)
    assert "does not accept the token" in error.what
    assert "clocks" in error.hint


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "other"}, "it is for other, and the registry is harbor"),
        ({"aud": ["other", "harbor"]}, ""),
        ({"nbf": 1000 + 3600}, "it is valid only in 3600 s"),
        ({"nbf": 1030, "exp": 2000}, ""),
        ({"exp": 400}, "it had expired 600 s before"),
        ({"exp": "soon", "aud": None}, ""),
    ],
)
def test_what_speaks_against_a_token(claims: dict[str, object], why: str) -> None:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert why_unfit(f"head.{body}.signature", "harbor", 1000).startswith(why)
    assert why_unfit("opaque", "harbor", 1000) == ""


def test_a_password_the_token_service_refuses_is_tried_once() -> None:
    entries = (
        Entry("HEAD", BLOB, status=401, reply=BEARER_CHALLENGE),
        Entry("GET", "/service/token", status=401, content=b"unauthorized", delay=0.05),
    )
    failures: list[ImgctlError] = []
    with serve(*entries) as server, client_for() as client:
        repository = client.repository(server.host, "p/r")

        def ask() -> None:
            with pytest.raises(Unauthorized) as caught:
                repository.blob_exists(DIGEST)
            failures.append(caught.value)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum("/service/token" in line for line in server.lines) == 1
    assert len(failures) == 6
    assert all("does not accept" in error.what for error in failures)


@pytest.mark.parametrize("username", ["robot", "robot+ci", "robot4242ci"])
def test_a_robot_s_name_that_the_shell_has_eaten(username: str) -> None:
    error = refused_push(
        Entry("POST", UPLOADS, status=401, reply=BASIC_CHALLENGE),
        Entry("GET", "/v2/", status=401, reply=BASIC_CHALLENGE),
        credentials=Credentials(username, "p"),
    )
    assert "'robot$NAME'" in error.hint


@pytest.mark.parametrize(
    ("status", "content"), [(200, b"<html>portal</html>"), (200, b"{}"), (200, b"x"), (404, b"")]
)
def test_a_token_service_that_gives_none(status: int, content: bytes) -> None:
    entries = (
        Entry("HEAD", BLOB, status=401, reply=BEARER_CHALLENGE),
        Entry("GET", "/service/token", status=status, content=content),
    )
    with serve(*entries) as server, client_for() as client, pytest.raises(RegistryError):
        client.repository(server.host, "p/r").blob_exists(DIGEST)


def test_no_error_shows_the_password() -> None:
    secret = Credentials("user", "hunter2-hunter2")
    error = refused_push(
        Entry("POST", UPLOADS, status=401, reply=BASIC_CHALLENGE),
        Entry("GET", "/v2/", status=401),
        credentials=secret,
    )
    assert "hunter2" not in str(error)
