"""The double of Harbor before a real registry: what other clients, and broken links, make of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.harbor.api import HarborApi
from registry.harbor.target import HarborTarget
from registry.layout import LayoutStore
from registry.oci import Document, Platform
from registry.push import PushRequest, push
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from registry.sandbox.harbor.upstream import Upstream
from registry.transfer import copy
from tests.e2e.support import bases
from tests.e2e.support.processes import tool
from tests.e2e.support.registries import RunningRegistry
from tests.unit.registry.images import put_image

PROJECT = "algorithms"


@pytest.fixture
def double(basic_registry: RunningRegistry) -> HarborDouble:
    """A double that keeps its blobs in a real registry, reached with Basic credentials."""
    return HarborDouble(
        Upstream(basic_registry.host, basic_registry.username, basic_registry.password)
    )


@pytest.fixture
def harbor(double: HarborDouble) -> Iterator[RunningHarbor]:
    with harbor_double(double, projects=(PROJECT,)) as running:
        yield running


def client(harbor: RunningHarbor) -> RegistryClient:
    known = Credentials(harbor.username, harbor.password)
    return RegistryClient(RegistryOptions(credentials=lambda host: known))


def basic(harbor: RunningHarbor) -> str:
    return b64encode(f"{harbor.username}:{harbor.password}".encode()).decode()


@pytest.fixture
def logged_in(harbor: RunningHarbor, tmp_path: Path) -> dict[str, str]:
    """The environment in which other clients are logged in."""
    config = {"auths": {harbor.host: {"auth": basic(harbor)}}}
    path = tmp_path / "docker" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(config))
    return {**os.environ, "DOCKER_CONFIG": str(path.parent), "REGISTRY_AUTH_FILE": str(path)}


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_crane_pushes_to_it_by_token_and_pulls_the_same(
    harbor: RunningHarbor, base_image: RunningRegistry, crane: str, logged_in: dict[str, str]
) -> None:
    source = f"{base_image.host}/{bases.L4T_BASE}"
    target = f"{harbor.host}/{PROJECT}/l4t-base:r35"
    run(logged_in, crane, "copy", source, target)
    assert run(logged_in, crane, "digest", target) == run(logged_in, crane, "digest", source)
    assert run(logged_in, crane, "ls", f"{harbor.host}/{PROJECT}/l4t-base") == "r35"
    run(logged_in, crane, "tag", target, "again")
    artifact = harbor.double.state.find_artifact(f"{PROJECT}/l4t-base", "again")
    assert artifact is not None
    assert set(artifact.tags) == {"r35", "again"}
    # A copy into another repository of the same Harbor mounts.
    run(logged_in, crane, "copy", target, f"{harbor.host}/{PROJECT}/mounted:1")


def test_skopeo_takes_it_for_harbor(
    harbor: RunningHarbor, base_image: RunningRegistry, logged_in: dict[str, str]
) -> None:
    source = f"docker://{base_image.host}/{bases.L4T_BASE}"
    target = f"docker://{harbor.host}/{PROJECT}/skopeo:1"
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    run(logged_in, tool("skopeo"), "copy", *plain, source, target)
    assert harbor.double.state.find_artifact(f"{PROJECT}/skopeo", "1") is not None


def test_docker_takes_it_for_harbor(
    harbor: RunningHarbor, base_image: RunningRegistry, engine: str, logged_in: dict[str, str]
) -> None:
    source, target = f"{base_image.host}/{bases.L4T_BASE}", f"{harbor.host}/{PROJECT}/docker:1"
    run(logged_in, "docker", "pull", "--quiet", "--platform", "linux/arm64", source)
    run(logged_in, "docker", "tag", source, target)
    try:
        run(logged_in, "docker", "push", "--quiet", target)
        run(logged_in, "docker", "rmi", target)
        run(logged_in, "docker", "pull", "--quiet", "--platform", "linux/arm64", target)
    finally:
        run(logged_in, "docker", "rmi", "--force", target, source)
    assert harbor.double.state.find_artifact(f"{PROJECT}/docker", "1") is not None


def test_a_copy_by_token_outlives_its_tokens(
    harbor: RunningHarbor, base_image: RunningRegistry
) -> None:
    harbor.double.state.token_lifetime = 1
    with client(harbor) as registries:
        source = registries.repository(base_image.host, bases.L4T_BASE.rpartition(":")[0])
        for number in range(3):
            target = registries.repository(harbor.host, f"{PROJECT}/base{number}", push=True)
            copied = copy(source, target, bases.L4T_BASE.rpartition(":")[2])
            time.sleep(0.6)
            assert target.manifest(copied.descriptor.digest).descriptor == copied.descriptor


def test_an_upload_that_broke_is_gone(harbor: RunningHarbor) -> None:
    """So nothing is ever resumed there: a client has to begin again."""
    auth = {"Authorization": f"Basic {basic(harbor)}"}
    with httpx.Client(base_url=f"http://{harbor.host}", headers=auth, trust_env=False) as http:
        begun = http.post(f"/v2/{PROJECT}/r/blobs/uploads/").headers["location"]
        http.cookies.clear()
        break_off(begun, harbor, sent=b"x" * 500, promised=1000)
        deadline = time.monotonic() + 10
        while (status := http.get(begun).status_code) == 204 and time.monotonic() < deadline:
            time.sleep(0.05)  # until the registry has noticed
        assert status == 404
        assert http.get(begun).json()["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"


def break_off(location: str, harbor: RunningHarbor, *, sent: bytes, promised: int) -> None:
    """Begin a PATCH, and hang up in the middle of its body."""
    url = urlsplit(location)
    lines = [
        f"PATCH {url.path}?{url.query} HTTP/1.1",
        f"Host: {harbor.host}",
        f"Authorization: Basic {basic(harbor)}",
        f"Content-Length: {promised}",
        "Content-Type: application/octet-stream",
    ]
    host, _, port = harbor.host.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        time.sleep(0.2)


def test_many_pushes_at_once(harbor: RunningHarbor, tmp_path: Path) -> None:
    """Each ends well, and Harbor holds what each of them sent."""

    def push_one(number: int) -> tuple[str, Document]:
        layout = LayoutStore.create(tmp_path / f"layout-{number}")
        document = put_image(layout, "build", b"base" * 1000, f"script {number % 8}".encode())
        name, tag = f"image{number % 4}", f"1.{number}"
        request = PushRequest(name, layout, document.digest, (tag,), frozenset((tag,)), Platform())
        with client(harbor) as registries:
            target = HarborTarget(HarborApi(registries, harbor.host), PROJECT)
            repository = registries.repository(harbor.host, f"{PROJECT}/{name}", push=True)
            push(request, repository, target)
        return f"{PROJECT}/{name}:{tag}", document

    with ThreadPoolExecutor(16) as pool:
        pushed = list(pool.map(push_one, range(32)))
    for reference, document in pushed:
        name, _, tag = reference.partition(":")
        artifact = harbor.double.state.find_artifact(name, tag)
        assert artifact is not None
        assert artifact.document == document
