"""Harbor's API: recognised, spoken to as it wants, and its refusals put in words."""

from __future__ import annotations

import base64
import json

import pytest

from registry.errors import CorruptContent, NotFound, Refused, RegistryError, Unauthorized
from registry.harbor import artifacts, projects
from registry.harbor.api import HarborApi, created_id
from registry.harbor.problems import Conflict, NotHarbor
from registry.harbor.version import SBOM, Version
from tests.support.reqresp import Entry
from tests.unit.registry.harbor.scripted import (
    ROBOT,
    ROOT,
    failure,
    harbor,
    refusal,
    reply,
    system,
)

BASIC = "Basic " + base64.b64encode(f"{ROBOT.username}:{ROBOT.password}".encode()).decode()
HTML = {"Content-Type": "text/html"}
PORTAL = b"<!doctype html><html><title>Harbor</title></html>"


# --- which host, which version ---


def test_harbor_is_recognised_once() -> None:
    with harbor(system()) as (api, server):
        assert str(api.version) == "v2.9.5"
        assert api.system().auth_mode == "db_auth"
        assert server.lines == [f"GET {ROOT}/systeminfo"]


def test_a_harbor_that_does_not_tell_its_version_to_everybody() -> None:
    anonymous = reply("GET", "/systeminfo", {"auth_mode": "db_auth"})
    with harbor(anonymous, credentials=None) as (api, _):
        assert api.system().version is None
        with pytest.raises(RegistryError, match="does not tell its version"):
            assert api.version


@pytest.mark.parametrize(
    "answer",
    [
        Entry("GET", f"{ROOT}/systeminfo", reply=HTML, content=PORTAL),
        Entry("GET", f"{ROOT}/systeminfo", status=404, content=b"404 page not found\n"),
        reply("GET", "/systeminfo", {"name": "something else"}),
        reply("GET", "/systeminfo", ["a", "list"]),
        Entry("GET", f"{ROOT}/systeminfo", content=b"{junk"),
    ],
)
def test_a_host_that_is_no_harbor(answer: Entry) -> None:
    error = failure(lambda api: api.system(), answer)
    assert isinstance(error, NotHarbor)
    assert "is not a Harbor" in error.what
    assert "--registry" in error.hint


def test_a_harbor_that_is_down_is_no_other_host() -> None:
    down = Entry("GET", f"{ROOT}/systeminfo", status=502, reply=HTML, content=b"<html>502</html>")
    error = failure(lambda api: api.system(), down)
    assert not isinstance(error, NotHarbor)
    assert "502" in error.what


@pytest.mark.parametrize(
    ("text", "newer"),
    [("v2.9.5-abc", False), ("v2.11.0", True), ("v3.0.0-rc1", True), ("v2.10.9", False),
     ("dev", True)],
)  # fmt: skip
def test_versions_are_numbers_and_not_text(text: str, newer: bool) -> None:
    assert Version(text).at_least(SBOM) is newer


# --- what goes with every request ---


def test_the_password_goes_along_unasked_and_no_cookie_ever_comes_back() -> None:
    plain = {"authorization": BASIC, "cookie": None}
    made = reply("POST", "/projects", status=201, headers=plain, once=True)
    again = refusal("POST", "/projects", 409, "CONFLICT", "exists", headers=plain)
    with harbor(made, again) as (api, server):
        assert projects.create(api, "p", projects.ProjectPolicy())
        assert not projects.create(api, "p", projects.ProjectPolicy())
        assert len(server.requests) == 2


def test_a_project_named_by_a_number_is_not_taken_for_an_id() -> None:
    found = reply(
        "GET", "/projects/2024", {"project_id": 7, "name": "2024"},
        headers={"x-is-resource-name": "true"},
    )  # fmt: skip
    with harbor(found) as (api, _):
        assert projects.get(api, "2024").id == 7


def test_names_of_repositories_are_escaped_twice() -> None:
    path = "/projects/p/repositories/a%252Fb%252Fc/artifacts/1.0"
    with harbor(reply("GET", path, {"digest": "sha256:00"})) as (api, _):
        assert artifacts.get(api, "p", "a/b/c", "1.0").digest == "sha256:00"


def test_lists_are_read_page_by_page_of_at_most_100() -> None:
    path, total = "/projects/p/repositories", {"X-Total-Count": "101"}
    first = [{"name": f"p/r{number}"} for number in range(100)]
    with harbor(
        reply("GET", path, first, query="page=1&page_size=100", reply=total),
        reply("GET", path, [{"name": "p/last"}], query="page=2&page_size=100", reply=total),
    ) as (api, _):
        names = projects.repositories(api, "p")
    assert (len(names), names[0], names[-1]) == (101, "r0", "last")


def test_an_empty_list_may_be_null() -> None:
    with harbor(Entry("GET", f"{ROOT}/projects/p/repositories", content=b"null")) as (api, _):
        assert projects.repositories(api, "p") == []


def test_a_list_that_is_none() -> None:
    odd = reply("GET", "/projects/p/repositories", {"name": "p/r"})
    assert isinstance(failure(lambda api: projects.repositories(api, "p"), odd), CorruptContent)


@pytest.mark.parametrize("junk", [["p"], "p", 1, None])
def test_answers_that_are_not_what_harbor_sends(junk: object) -> None:
    for odd, work in (
        (reply("GET", "/projects/p", junk), lambda api: projects.get(api, "p")),
        (
            reply("GET", "/projects/p/repositories", [junk]),
            lambda api: projects.repositories(api, "p"),
        ),
    ):
        assert isinstance(failure(work, odd), RegistryError)


def test_a_change_is_not_made_twice_when_the_connection_breaks() -> None:
    broken = Entry("POST", f"{ROOT}/robots", drop=True)
    with harbor(broken) as (api, server):
        with pytest.raises(RegistryError):
            api.change("POST", "/robots", "make a robot account", {"name": "ci"})
        assert len(server.requests) == 1


def test_a_change_that_cannot_be_made_twice_is_tried_again() -> None:
    lost = Entry("POST", f"{ROOT}/projects", drop=True, once=True)
    there = refusal("POST", "/projects", 409, "CONFLICT", "The project named p already exists")
    with harbor(lost, there) as (api, server):
        assert not projects.create(api, "p", projects.ProjectPolicy())
        assert len(server.requests) == 2


def test_what_can_be_asked_again_is() -> None:
    busy = refusal("GET", "/projects/p", 500, "UNKNOWN", "internal server error", once=True)
    with harbor(busy, reply("GET", "/projects/p", {"name": "p"})) as (api, _):
        assert projects.get(api, "p").name == "p"


def test_the_number_of_what_was_made_is_in_its_location() -> None:
    made = reply("POST", "/projects", status=201, reply={"Location": "/api/v2.0/projects/12"})
    odd = reply("POST", "/robots", status=201, reply={"Location": "/"})
    with harbor(made, odd) as (api, _):
        assert created_id(api.change("POST", "/projects", "make p", {})) == 12
        with pytest.raises(CorruptContent):
            created_id(api.change("POST", "/robots", "make a robot account", {}))


# --- who may ---


def test_a_wrong_password_is_told_from_a_missing_permission() -> None:
    asked = refusal("HEAD", "/projects", 401, "UNAUTHORIZED", "unauthorized")
    challenge = {"Www-Authenticate": 'Basic realm="harbor"'}
    wrong = Entry("GET", "/v2/", status=401, reply=challenge)
    error = failure(lambda api: projects.exists(api, "p"), asked, wrong)
    assert isinstance(error, Unauthorized)
    assert "does not accept the user name and password of 'robot$ci'" in error.what


def test_a_user_of_single_sign_on_may_ask_only_by_get() -> None:
    asked = refusal("HEAD", "/projects", 401, "UNAUTHORIZED", "unauthorized")
    listed = reply("GET", "/projects", [{"name": "p2"}, {"name": "p"}])
    for name, there in (("p", True), ("q", False)):
        with harbor(asked, Entry("GET", "/v2/"), listed) as (api, _):
            assert projects.exists(api, name) is there


def test_who_has_no_login_is_told_to_log_in() -> None:
    asked = refusal("HEAD", "/projects", 401, "UNAUTHORIZED", "unauthorized")
    error = failure(lambda api: projects.exists(api, "p"), asked, credentials=None)
    assert "imgctl login" in error.hint


def test_a_permission_that_is_missing_names_who_and_what() -> None:
    no = refusal("GET", "/robots", 403, "FORBIDDEN", "forbidden")
    error = failure(lambda api: list(api.pages("/robots", "list robot accounts")), no)
    assert isinstance(error, Unauthorized)
    assert error.what == "robot$ci is not allowed to list robot accounts"


def test_who_is_nobody_is_told_to_log_in_where_harbor_says_forbidden() -> None:
    no = refusal("GET", "/projects/p", 403, "FORBIDDEN", "forbidden")
    error = failure(lambda api: projects.get(api, "p"), no, credentials=None)
    assert "wants a login" in error.what
    assert "imgctl login" in error.hint


def test_a_login_is_checked_where_robots_may_ask() -> None:
    with harbor(Entry("GET", "/v2/", headers={"authorization": BASIC})) as (api, _):
        api.check_login()


# --- refusals ---


def test_a_missing_project_is_named() -> None:
    path = "/projects/nope/repositories/r/artifacts/1.0"
    said = "project nope not found: nope"
    no = refusal("GET", path, 404, "NOT_FOUND", said)
    error = failure(lambda api: artifacts.get(api, "nope", "r", "1.0"), no)
    assert isinstance(error, NotFound)
    assert "project 'nope' does not exist on 127.0.0.1" in error.what
    assert "--create-project" in error.hint


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(409, "CONFLICT", Conflict), (412, "PRECONDITION", Refused), (404, "NOT_FOUND", NotFound),
     (400, "BAD_REQUEST", RegistryError), (422, "UNPROCESSABLE_ENTITY", RegistryError)],
)  # fmt: skip
def test_refusals_by_their_code(status: int, code: str, kind: type[Exception]) -> None:
    no = refusal("POST", "/robots", status, code, "as Harbor puts it")
    error = failure(lambda api: api.change("POST", "/robots", "make a robot account", {}), no)
    assert type(error) is kind
    assert "make a robot account" in error.what
    assert "as Harbor puts it" in error.why


def test_an_error_that_harbor_keeps_to_itself_can_be_found_in_its_log() -> None:
    no = refusal("GET", "/projects/p", 500, "UNKNOWN", "internal server error",
                 reply={"X-Request-Id": "9f8e"})  # fmt: skip
    error = failure(lambda api: projects.get(api, "p"), no)
    assert "internal server error (request 9f8e)" in error.why
    assert "log" in error.hint


def test_a_proxy_that_answers_for_harbor_with_a_web_page() -> None:
    large = Entry("POST", f"{ROOT}/robots", status=413, reply=HTML, content=b"<html>413</html>")
    error = failure(lambda api: api.change("POST", "/robots", "make a robot account", {}), large)
    assert "client_max_body_size" in error.hint


def test_a_project_that_is_not_there_is_made_private() -> None:
    body = {"project_name": "p", "metadata": {"public": "false", "auto_scan": "true"}}
    made = reply("POST", "/projects", status=201, body=json.dumps(body).encode())
    with harbor(made) as (api, _):
        assert projects.create(api, "p", projects.ProjectPolicy())


def test_what_only_newer_versions_know_is_not_sent_to_older_ones() -> None:
    policy = projects.ProjectPolicy(auto_sbom=True)
    for version, knows in (("v2.10.3", False), ("v2.11.0", True)):
        with harbor(system(version)) as (api, _):
            assert ("auto_sbom_generation" in policy.metadata(api)) is knows


def test_a_host_given_twice_is_the_same_session() -> None:
    with harbor(system()) as (api, server):
        assert isinstance(api, HarborApi)
        assert api.host == server.host
        assert api.user == "robot$ci"
