"""What trips clients of Harbor up, and so must trip them up on its double."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.cookiejar import CookieJar

import httpx
import pytest

from registry.oci import OCI_MANIFEST, sha256
from registry.sandbox.harbor.access import Caller, make_token
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from registry.sandbox.harbor.state import User
from tests.unit.registry.harbor.doubled import add_robot

API = "/api/v2.0"
CONFIG = b'{"architecture":"arm64","os":"linux"}'


@pytest.fixture
def running() -> Iterator[RunningHarbor]:
    with harbor_double(projects=("p",)) as running:
        yield running


class NoCookies(CookieJar):
    def set_cookie(self, cookie: object) -> None:
        return


def client(
    running: RunningHarbor, password: str | None = None, user: str = "admin"
) -> httpx.Client:
    auth = (user, running.password if password is None else password) if user else None
    base = f"http://{running.host}"
    return httpx.Client(base_url=base, auth=auth, cookies=NoCookies(), trust_env=False)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


def message(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["message"])


def push_blob(http: httpx.Client, content: bytes, repository: str = "p/r") -> None:
    begun = http.post(f"/v2/{repository}/blobs/uploads/")
    assert begun.status_code == 202
    where = f"{begun.headers['location']}&digest={sha256(content)}"
    assert http.put(where, content=content).status_code == 201


def manifest(*layers: bytes, config: bytes = CONFIG) -> bytes:
    def entry(content: bytes, kind: str) -> dict[str, object]:
        media_type = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media_type, "digest": sha256(content), "size": len(content)}

    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": entry(config, "config.v1+json"),
        "layers": [entry(layer, "layer.v1.tar+gzip") for layer in layers],
    }
    return json.dumps(value).encode()


def put_manifest(
    http: httpx.Client, raw: bytes, tag: str, repository: str = "p/r"
) -> httpx.Response:
    headers = {"Content-Type": OCI_MANIFEST}
    return http.put(f"/v2/{repository}/manifests/{tag}", content=raw, headers=headers)


def push_image(http: httpx.Client, *tags: str, repository: str = "p/r", layer: bytes = b"l") -> str:
    raw = manifest(layer)
    for content in (CONFIG, layer):
        push_blob(http, content, repository)
    for tag in tags:
        assert put_manifest(http, raw, tag, repository).status_code == 201
    return sha256(raw)


# --- cookies ---


@pytest.mark.parametrize("path", ["/v2/", "/v2/p/r/tags/list", f"{API}/projects", "/service/token"])
def test_every_reply_sets_a_cookie(running: RunningHarbor, path: str) -> None:
    with client(running) as http:
        assert http.get(path).headers["set-cookie"].startswith("sid=")


def test_a_change_with_the_cookie_is_refused_and_a_look_is_not(running: RunningHarbor) -> None:
    cookie = {"Cookie": "sid=0123"}
    with client(running) as http:
        for path in (f"{API}/projects", "/v2/p/r/blobs/uploads/"):
            refused = http.post(path, json={"project_name": "q"}, headers=cookie)
            assert (refused.status_code, code(refused)) == (403, "FORBIDDEN")
            assert message(refused) == "CSRF token invalid"
        assert http.get(f"{API}/projects", headers=cookie).status_code == 200


# --- 401 and tokens ---


@pytest.mark.parametrize("user", ["admin", ""])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_missing_project_is_401_with_an_empty_challenge(
    running: RunningHarbor, user: str, method: str
) -> None:
    with client(running, user=user) as http:
        answer = http.request(method, "/v2/nope/r/blobs/uploads/")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == ""
        assert message(answer).startswith("project nope not found")


def test_who_shows_nothing_is_asked_for_a_token_and_who_shows_too_little_for_a_password(
    running: RunningHarbor,
) -> None:
    with client(running, user="") as http:
        bare = http.get("/v2/p/r/tags/list").headers["www-authenticate"]
        assert bare == (
            f'Bearer realm="http://{running.host}/service/token",service="harbor-registry",'
            'scope="repository:p/r:pull"'
        )
        for header in ("Bearer x.y.z", "Basic " + base64.b64encode(b"admin:wrong").decode()):
            answer = http.get("/v2/p/r/tags/list", headers={"Authorization": header})
            assert answer.headers["www-authenticate"] == 'Basic realm="harbor"'


def test_a_wrong_password_gets_a_token_without_rights(running: RunningHarbor) -> None:
    asked = {"scope": ["repository:p/r:pull,push", "repository:library/r:pull"]}
    with client(running, "wrong") as http:
        answer = http.get("/service/token", params=asked)
        assert answer.status_code == 200
        claims = answer.json()["token"].split(".")[1]
        access = json.loads(base64.urlsafe_b64decode(claims + "=="))["access"]
        assert [item["actions"] for item in access] == [[], ["pull"]]
        assert http.get("/service/token").status_code == 401
        assert http.post("/service/token", params=asked).status_code == 405


def test_a_token_carries_all_that_its_owner_may_do_and_ends(running: RunningHarbor) -> None:
    with client(running) as http:
        answer = http.get("/service/token", params={"scope": "repository:p/r:pull"})
        token = answer.json()["token"]
    with client(running, user="") as http:
        http.headers["Authorization"] = f"Bearer {token}"
        assert http.post("/v2/p/r/blobs/uploads/").status_code == 202
        assert http.post("/v2/p/other/blobs/uploads/").status_code == 401
        state = running.double.state
        state.token_lifetime = -1
        expired = make_token(state, Caller(state.users["admin"]), ["repository:p/r:pull"])
        http.headers["Authorization"] = f"Bearer {expired}"
        assert http.get("/v2/p/r/tags/list").status_code == 401


def test_the_list_of_projects_is_no_check_of_a_password(running: RunningHarbor) -> None:
    with client(running, "wrong") as http:
        answer = http.get(f"{API}/projects")
        assert [item["name"] for item in answer.json()] == ["library"]
        assert http.head(f"{API}/projects", params={"project_name": "p"}).status_code == 401


def test_a_wrong_password_locks_a_user_for_a_moment_and_no_robot(running: RunningHarbor) -> None:
    robot = add_robot(running.double, "repository:pull", project="p")
    with client(running, "wrong", robot.username) as http:
        assert http.get("/v2/").status_code == 401
    with client(running, robot.password, robot.username) as http:
        assert http.get("/v2/").status_code == 200
    with client(running, "wrong") as http:
        assert http.get("/v2/").status_code == 401
    with client(running) as http:
        assert http.get("/v2/").status_code == 401
        running.double.state.users["admin"].locked_until = 0.0
        assert http.get("/v2/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "good"),
    [
        ("GET", "/v2/p/r/tags/list", True),
        ("GET", f"{API}/projects", True),
        ("GET", f"{API}/projects/p/repositories/r/artifacts", True),
        ("GET", f"{API}/projects/p/repositories/r/artifacts/1.0", False),
        ("GET", f"{API}/projects/p", False),
        ("HEAD", f"{API}/projects?project_name=p", False),
        ("POST", f"{API}/projects/p/repositories/r/artifacts/1.0/scan", False),
        ("DELETE", f"{API}/projects/p/repositories/r/artifacts/1.0/tags/1.0", True),
    ],
)
def test_a_cli_secret_of_single_sign_on_is_good_for_little(
    running: RunningHarbor, method: str, path: str, good: bool
) -> None:
    state = running.double.state
    state.users["dev"] = User(9, "dev", "cli-secret", single_sign_on=True)
    state.projects["p"].owner = "dev"
    with client(running) as http:
        push_image(http, "1.0")
    with client(running, "cli-secret", "dev") as http:
        answer = http.request(method, path)
        assert (answer.status_code != 401) is good
        if path == f"{API}/projects":
            assert "p" in [item["name"] for item in answer.json()]
        assert http.get(f"{API}/systeminfo").json()["auth_mode"] == "oidc_auth"


# --- blobs ---


def test_the_size_of_a_blob_is_what_the_put_says(running: RunningHarbor) -> None:
    first, last = b"a" * 700, b"b" * 300
    with client(running) as http:
        for content, in_put in ((first + last, last), (last + first, b"")):
            begun = http.post("/v2/p/r/blobs/uploads/").headers["location"]
            part = content if not in_put else content[: -len(in_put)]
            patched = http.patch(begun, content=part).headers["location"]
            done = http.put(f"{patched}&digest={sha256(content)}", content=in_put)
            assert done.status_code == 201
        chunked = http.post("/v2/p/r/blobs/uploads/").headers["location"]
        done = http.put(f"{chunked}&digest={sha256(b'xyz')}", content=iter([b"x", b"yz"]))
        assert done.status_code == 201
    blobs = running.double.state.projects["p"].blobs
    assert blobs[sha256(first + last)] == 300  # as Harbor has it: wrong, and for good
    assert blobs[sha256(last + first)] == 1000
    assert blobs[sha256(b"xyz")] == 0


def test_content_range_is_not_looked_at(running: RunningHarbor) -> None:
    with client(running) as http:
        begun = http.post("/v2/p/r/blobs/uploads/").headers["location"]
        answer = http.patch(begun, content=b"abc", headers={"Content-Range": "500-502"})
        assert (answer.status_code, answer.headers["range"]) == (202, "0-2")


def test_mounts(running: RunningHarbor) -> None:
    uploads = "/v2/p/other/blobs/uploads/"
    with client(running) as http:
        push_blob(http, b"layer")
        for source, status in (("p/r", 201), ("p/unknown", 202), ("ubuntu", 400), ("no/r", 401)):
            asked = {"mount": sha256(b"layer"), "from": source}
            assert http.post(uploads, params=asked).status_code == status
        assert http.head(f"/v2/p/other/blobs/{sha256(b'layer')}").status_code == 200
        assert http.head(f"/v2/p/third/blobs/{sha256(b'layer')}").status_code == 404


def test_a_quota_is_looked_at_when_all_has_been_sent(running: RunningHarbor) -> None:
    running.double.state.projects["p"].storage_limit = 10
    with client(running) as http:
        begun = http.post("/v2/p/r/blobs/uploads/")
        assert begun.status_code == 202
        where = f"{begun.headers['location']}&digest={sha256(b'x' * 20)}"
        refused = http.put(where, content=b"x" * 20)
        assert (refused.status_code, code(refused)) == (403, "DENIED")
        assert "will exceed the configured upper limit" in message(refused)


def test_a_mount_counts_against_the_quota_as_if_it_had_been_sent(running: RunningHarbor) -> None:
    state = running.double.state
    state.add_project("full", storage_limit=10)
    asked = {"mount": sha256(b"x" * 2048), "from": "p/r"}
    with client(running) as http:
        push_blob(http, b"x" * 2048)
        refused = http.post("/v2/full/r/blobs/uploads/", params=asked)
        assert (refused.status_code, code(refused)) == (403, "DENIED")
        assert message(refused) == (
            "adding 2.0 KiB of storage resource, which when updated to current usage of 0 B will "
            "exceed the configured upper limit of 10 B."
        )
        state.projects["full"].storage_limit = 4096
        assert http.post("/v2/full/r/blobs/uploads/", params=asked).status_code == 201
        state.projects["full"].storage_limit = 10
        over = http.post("/v2/full/r/blobs/uploads/")
        assert message(over).startswith("subtracting 0 B of storage resource")


def test_read_only_mode_and_proxy_projects(running: RunningHarbor) -> None:
    state = running.double.state
    state.add_project("cache", registry_id=7)
    with client(running) as http:
        assert "proxy project" in message(http.post("/v2/cache/r/blobs/uploads/"))
        state.read_only = True
        assert "read only mode" in message(http.post("/v2/p/r/blobs/uploads/"))
        assert http.post(f"{API}/projects", json={"project_name": "q"}).status_code == 403


# --- manifests and tags ---


def test_an_immutable_tag_refuses_even_what_it_names(running: RunningHarbor) -> None:
    project = running.double.state.projects["p"]
    with client(running) as http:
        push_image(http, "1.0")
        project.rules[1] = {
            "tag_selectors": [{"decoration": "matches", "pattern": "1.*"}],
            "scope_selectors": {"repository": [{"decoration": "repoMatches", "pattern": "**"}]},
        }
        again = put_manifest(http, manifest(b"l"), "1.0")
        assert (again.status_code, code(again)) == (412, "PRECONDITION")
        path = f"{API}/projects/p/repositories/r/artifacts/1.0"
        assert http.delete(path).status_code == 412
        assert http.delete(f"{path}/tags/1.0").status_code == 412
        assert put_manifest(http, manifest(b"l"), "1.1").status_code == 201


def test_a_manifest_without_its_blobs(running: RunningHarbor) -> None:
    with client(running) as http:
        answer = put_manifest(http, manifest(b"absent"), "1.0")
        assert (answer.status_code, code(answer)) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_a_tag_is_added_by_the_api_but_never_moved(running: RunningHarbor) -> None:
    path = f"{API}/projects/p/repositories/r/artifacts"
    with client(running) as http:
        push_image(http, "1.0", "latest")
        push_image(http, "1.1", layer=b"new")
        assert http.post(f"{path}/1.1/tags", json={"name": "latest"}).status_code == 409
        assert http.post(f"{path}/1.1/tags", json={"name": "next"}).status_code == 201
        assert http.get("/v2/p/r/tags/list").json()["tags"] == ["1.0", "1.1", "latest", "next"]
        pulled = http.get("/v2/p/r/manifests/next", headers={"Accept": OCI_MANIFEST})
        assert pulled.content == manifest(b"new")


def test_a_copy_takes_every_tag_along(running: RunningHarbor) -> None:
    target = f"{API}/projects/p/repositories/copy/artifacts"
    with client(running) as http:
        push_image(http, "1.0", "latest", "dev")
        made = http.post(target, params={"from": "p/r:1.0"})
        assert made.status_code == 201
        assert http.get("/v2/p/copy/tags/list").json()["tags"] == ["1.0", "dev", "latest"]
        pulled = http.get("/v2/p/copy/manifests/dev", headers={"Accept": OCI_MANIFEST})
        assert pulled.status_code == 200


def test_an_empty_manifest_is_too_much(running: RunningHarbor) -> None:
    with client(running) as http:
        answer = put_manifest(http, b"{}", "1.0")
        assert (answer.status_code, code(answer)) == (500, "UNKNOWN")


@pytest.mark.parametrize(
    ("version", "empty", "kind"),
    [
        ("v2.5.6-8a21dd5f", None, ""),
        ("v2.9.5-0d4b8f6a", {}, "application/vnd.oci.image.config.v1+json"),
        ("v2.16.0-c50c7ddd", {"manifests": []}, "example/note"),
    ],
)
def test_referrers(version: str, empty: dict[str, object] | None, kind: str) -> None:
    with harbor_double(HarborDouble(version=version), projects=("p",)) as old, client(old) as http:
        digest = push_image(http, "1.0")
        asked = http.get(f"/v2/p/r/referrers/{digest}")
        subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(manifest(b"l"))}
        value = {**json.loads(manifest(b"l")), "artifactType": "example/note", "subject": subject}
        put = put_manifest(http, json.dumps(value).encode(), "note")
        assert put.headers.get("oci-subject") == (None if empty is None else digest)
        if empty is None:
            assert asked.status_code == 404
            return
        assert {key: asked.json()[key] for key in asked.json() if key == "manifests"} == empty
        listed = http.get(f"/v2/p/r/referrers/{digest}").json()["manifests"]
        assert [item["artifactType"] for item in listed] == [kind]


def test_signatures_are_accessories_and_no_artifacts(running: RunningHarbor) -> None:
    artifacts = f"{API}/projects/p/repositories/r/artifacts"
    with client(running) as http:
        digest = push_image(http, "1.0")
        signature = push_image(http, digest.replace(":", "-") + ".sig", layer=b"signature")
        assert [item["digest"] for item in http.get(artifacts).json()] == [digest]
        (found,) = http.get(f"{artifacts}/1.0/accessories").json()
        assert (found["digest"], found["type"]) == (signature, "signature.cosign")


# --- the API ---


@pytest.mark.parametrize(
    ("behind_nginx", "name", "status"),
    [(True, "a%2Fb", 404), (True, "a%252Fb", 200), (False, "a%2Fb", 200), (False, "a%252Fb", 200)],
)
def test_names_are_escaped_twice_for_the_proxy(behind_nginx: bool, name: str, status: int) -> None:
    double = HarborDouble(behind_nginx=behind_nginx)
    with harbor_double(double, projects=("p",)) as running, client(running) as http:
        push_image(http, "1.0", repository="p/a/b")
        repositories = f"{API}/projects/p/repositories"
        assert http.get(f"{repositories}/{name}/artifacts/1.0").status_code == status
        # Once too often, and it is a repository that nobody knows, without a word.
        assert http.get(f"{repositories}/a%25252Fb/artifacts").json() == []


def test_pages(running: RunningHarbor) -> None:
    for number in range(12):
        running.double.state.add_project(f"q{number}")
    with client(running) as http:

        def ask(**query: int) -> httpx.Response:
            return http.get(f"{API}/projects", params=query)

        first = ask()
        assert (len(first.json()), first.headers["x-total-count"]) == (10, "14")
        assert first.headers["link"] == f'<{API}/projects?page=2&page_size=10>; rel="next"'
        assert len(ask(page=2).json()) == 4
        assert ask(page_size=101).status_code == 422
        assert len(ask(page_size=0).json()) == 14
        assert "link" in ask(page=50, page_size=-1).headers


def test_what_a_filter_does_not_know_does_not_filter(running: RunningHarbor) -> None:
    with client(running) as http:
        push_image(http, "1.0")
        listed = http.get(f"{API}/projects/p/repositories", params={"q": "nmae=other"})
        assert [item["name"] for item in listed.json()] == ["p/r"]


def test_a_project_named_by_a_number_is_taken_for_an_id(running: RunningHarbor) -> None:
    running.double.state.add_project("2024")
    with client(running) as http:
        assert http.get(f"{API}/projects/2024").status_code == 404
        named = http.get(f"{API}/projects/2024", headers={"X-Is-Resource-Name": "true"})
        assert named.json()["name"] == "2024"


def test_a_list_of_what_does_not_exist(running: RunningHarbor) -> None:
    running.double.state.users["dev"] = User(9, "dev", "pw")
    missing = f"{API}/projects/nope/repositories/r/artifacts"
    with client(running) as http:
        assert http.get(f"{API}/projects/p/repositories/none/artifacts").json() == []
        assert http.get(missing).status_code == 404
    with client(running, "pw", "dev") as http:
        assert http.get(missing).status_code == 403
    with client(running, user="") as http:
        assert http.get(missing).status_code == 401


def test_only_people_may_ask_what_robots_may_be_given(running: RunningHarbor) -> None:
    state = running.double.state
    state.users["dev"], state.users["owner"] = User(9, "dev", "pw"), User(10, "owner", "pw")
    state.projects["p"].owner = "owner"
    robot = add_robot(running.double, "robot:create", project="p")
    accounts = ((robot.username, robot.password, 403), ("dev", "pw", 403), ("owner", "pw", 200))
    for name, password, status in accounts:
        with client(running, password, name) as http:
            assert http.get(f"{API}/permissions").status_code == status


def test_older_versions_know_less_and_tell_more() -> None:
    body = {"project_name": "q", "metadata": {"auto_sbom_generation": "true"}}
    for version, knows in (("v2.9.5-0d4b8f6a", False), ("v2.15.2-1d3a6d72", True)):
        double = HarborDouble(version=version)
        with harbor_double(double, projects=("p",)) as running:
            with client(running, user="") as http:
                told = "harbor_version" in http.get(f"{API}/systeminfo").json()
                assert told is not knows
            with client(running) as http:
                assert http.post(f"{API}/projects", json=body).status_code == 201
                assert ("auto_sbom_generation" in double.state.projects["q"].metadata) is knows
                assert (http.get(f"{API}/permissions").status_code == 200) is knows
                assert (http.get(f"{API}/projects/p/artifacts").status_code == 200) is knows


def test_robot_accounts_are_not_users(running: RunningHarbor) -> None:
    access = [{"resource": "repository", "action": "pull"}]
    permission = {"kind": "project", "namespace": "p", "access": access}
    body = {"name": "ci", "level": "project", "duration": 30, "permissions": [permission],
            "secret": "Chosen-by-me-1"}  # fmt: skip
    with client(running) as http:
        made = http.post(f"{API}/robots", json=body).json()
        assert made["name"] == "robot$p+ci"
        assert made["secret"] != body["secret"]
    with client(running, made["secret"], made["name"]) as http:
        assert http.get("/v2/").status_code == 200
        assert http.get(f"{API}/users/current").status_code == 412
        assert http.get("/v2/p/r/tags/list").status_code == 404
        assert http.post("/v2/p/r/blobs/uploads/").status_code == 401
