"""The registry in memory, spoken to by the client over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from registry.client import RegistryClient, RegistryOptions, Repository
from registry.credentials import Credentials
from registry.errors import ImgctlError, MissingBlobs, NotFound, RegistryError, Unauthorized
from registry.oci import (
    ACCEPT,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Document,
    sha256,
)
from registry.retry import RetryPolicy
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from tests.unit.registry.images import chunks_of

CONFIG = b'{"os":"linux","architecture":"arm64"}'
LAYER = b"layer" * 1000
NAME = "algorithms/mnist"


def descriptor(content: bytes, kind: str = OCI_LAYER_GZIP) -> Descriptor:
    return Descriptor(kind, sha256(content), len(content))


def image(*layers: bytes, subject: Descriptor | None = None) -> Document:
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG, OCI_CONFIG).to_json(),
        "layers": [descriptor(layer).to_json() for layer in layers],
    }
    if subject is not None:
        value |= {"subject": subject.to_json(), "artifactType": "application/x.test"}
    return Document.of(value, OCI_MANIFEST)


def push(repository: Repository, document: Document, reference: str | None, *blobs: bytes) -> None:
    for blob in (CONFIG, *blobs):
        repository.push_blob(descriptor(blob), chunks_of(blob))
    repository.put_manifest(document, reference)


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def host(registry: MemoryRegistry) -> Iterator[str]:
    with serve(registry) as running:
        yield running


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient(RegistryOptions(retry=RetryPolicy(attempts=1))) as opened:
        yield opened


@pytest.fixture
def repository(client: RegistryClient, host: str) -> Repository:
    return client.repository(host, NAME, push=True)


def test_what_is_pushed_is_read_back(repository: Repository) -> None:
    document = image(LAYER)
    push(repository, document, "1.0", LAYER)
    assert repository.manifest("1.0").raw == document.raw
    assert repository.manifest_descriptor("1.0") == document.descriptor
    assert repository.blob_bytes(descriptor(LAYER)) == LAYER
    assert repository.tags() == ["1.0"]


def test_a_manifest_whose_blobs_are_missing_is_refused_naming_one(repository: Repository) -> None:
    with pytest.raises(MissingBlobs) as caught:
        repository.put_manifest(image(LAYER), "1.0")
    assert caught.value.digests == (sha256(CONFIG),)
    assert caught.value.status == 400


def test_an_index_needs_its_manifests_first(repository: Repository) -> None:
    child = image(LAYER)
    index = Document.of(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child.descriptor.to_json()]},
        OCI_INDEX,
    )
    push(repository, child, "one", LAYER)
    repository.put_manifest(index, "all")
    assert repository.manifest("all").manifests == (child.descriptor,)
    repository.delete_manifest(child.digest)
    with pytest.raises(MissingBlobs):
        repository.put_manifest(index, "again")


def test_blobs_belong_to_a_repository_until_mounted(
    client: RegistryClient, host: str, repository: Repository
) -> None:
    push(repository, image(LAYER), "1.0", LAYER)
    other = client.repository(host, "algorithms/other")
    assert not other.blob_exists(sha256(LAYER))
    assert other.mount_blob(descriptor(LAYER), NAME)
    assert other.blob_exists(sha256(LAYER))
    assert not other.mount_blob(descriptor(b"unknown"), NAME)


def test_content_that_is_not_the_digests_is_refused_and_ends_the_session(host: str) -> None:
    with httpx.Client(base_url=f"http://{host}") as http:
        location = http.post(f"/v2/{NAME}/blobs/uploads/").headers["location"]
        answer = http.put(f"{location}&digest={sha256(b'other')}", content=b"this")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
        assert http.get(location).status_code == 404


def test_pieces_are_appended_whatever_content_range_says(host: str) -> None:
    with httpx.Client(base_url=f"http://{host}") as http:
        begun = http.post(f"/v2/{NAME}/blobs/uploads/")
        assert (begun.status_code, begun.headers["range"]) == (202, "0-0")
        first = http.patch(begun.headers["location"], content=b"abcd")
        assert first.headers["range"] == "0-3"
        headers = {"Content-Range": "100-103"}
        second = http.patch(first.headers["location"], content=b"efgh", headers=headers)
        assert (second.status_code, second.headers["range"]) == (202, "0-7")
        state = http.get(second.headers["location"])
        assert (state.status_code, state.headers["range"]) == (204, "0-7")
        done = http.put(f"{second.headers['location']}&digest={sha256(b'abcdefgh')}")
        assert done.status_code == 201


def test_a_stale_address_ends_the_session(host: str) -> None:
    with httpx.Client(base_url=f"http://{host}") as http:
        begun = http.post(f"/v2/{NAME}/blobs/uploads/").headers["location"]
        newest = http.patch(begun, content=b"abcd").headers["location"]
        stale = http.patch(begun, content=b"efgh")
        assert stale.json()["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"
        assert http.patch(newest, content=b"efgh").status_code == 404


def test_a_post_does_not_take_the_blob_along(host: str) -> None:
    with httpx.Client(base_url=f"http://{host}") as http:
        path = f"/v2/{NAME}/blobs/uploads/?digest={sha256(LAYER)}"
        assert http.post(path, content=LAYER).status_code == 202
        assert http.head(f"/v2/{NAME}/blobs/{sha256(LAYER)}").status_code == 404


def test_tags_come_in_pages(host: str, repository: Repository) -> None:
    push(repository, image(), None)
    for number in range(5):
        repository.put_manifest(image(), f"v{number}")
    with httpx.Client(base_url=f"http://{host}") as http:
        page = http.get(f"/v2/{NAME}/tags/list?n=2")
        assert page.json()["tags"] == ["v0", "v1"]
        following = http.get(page.links["next"]["url"])
        assert following.json()["tags"] == ["v2", "v3"]
        last = http.get(following.links["next"]["url"])
        assert (last.json()["tags"], last.links) == (["v4"], {})


def test_tags_are_not_deleted_but_manifests_are(host: str, repository: Repository) -> None:
    push(repository, image(), "1.0")
    with httpx.Client(base_url=f"http://{host}") as http:
        answer = http.delete(f"/v2/{NAME}/manifests/1.0")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "UNSUPPORTED")
    repository.delete_manifest(image().digest)
    assert repository.manifest_descriptor("1.0") is None
    assert repository.tags() == []


def test_a_client_that_does_not_accept_oci_does_not_find_it(
    host: str, repository: Repository
) -> None:
    push(repository, image(), "1.0")
    with httpx.Client(base_url=f"http://{host}") as http:
        path = f"/v2/{NAME}/manifests/1.0"
        answer = http.get(path, headers={"Accept": DOCKER_MANIFEST})
        assert answer.status_code == 404
        assert "accept header does not support OCI" in answer.json()["errors"][0]["message"]
        found = http.get(path, headers={"Accept": ACCEPT})
        etag = {"Accept": ACCEPT, "If-None-Match": found.headers["etag"]}
        assert http.get(path, headers=etag).status_code == 304


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", OCI_MANIFEST),
        (b"not json", OCI_MANIFEST),
        (image().raw, DOCKER_MANIFEST),
        (image().raw, "text/plain"),
    ],
)
def test_what_is_no_manifest_is_refused(host: str, content: bytes, kind: str) -> None:
    url = f"http://{host}/v2/{NAME}/manifests/1.0"
    answer = httpx.put(url, content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "MANIFEST_INVALID")


def test_part_of_a_blob_is_served(host: str, repository: Repository) -> None:
    repository.push_blob(descriptor(b"0123456789"), chunks_of(b"0123456789"))
    url = f"http://{host}/v2/{NAME}/blobs/{sha256(b'0123456789')}"
    part = httpx.get(url, headers={"Range": "bytes=4-6"})
    assert (part.status_code, part.content) == (206, b"456")
    assert part.headers["content-range"] == "bytes 4-6/10"
    assert httpx.get(url, headers={"Range": "bytes=10-"}).status_code == 416


def test_referrers_are_listed_by_their_subject(repository: Repository) -> None:
    subject = image()
    push(repository, subject, "1.0")
    signature = image(LAYER, subject=subject.descriptor)
    push(repository, signature, None, LAYER)
    assert [item.digest for item in repository.referrers(subject.digest)] == [signature.digest]
    assert repository.referrers(subject.digest, "application/x.other") == []
    assert repository.tags() == ["1.0"]


def test_without_referrers_the_client_falls_back_to_a_tag(client: RegistryClient) -> None:
    with serve(MemoryRegistry(referrers=False)) as host:
        repository = client.repository(host, NAME)
        subject = image()
        push(repository, subject, "1.0")
        push(repository, image(LAYER, subject=subject.descriptor), None, LAYER)
        assert subject.digest.replace(":", "-") in repository.tags()
        assert len(repository.referrers(subject.digest)) == 1


def test_basic_credentials_are_wanted_where_set() -> None:
    registry = MemoryRegistry(credentials=("core", "secret"))
    with serve(registry) as host:
        with (
            RegistryClient(RegistryOptions()) as anonymous,
            pytest.raises(Unauthorized, match="wants a login"),
        ):
            anonymous.ping(host)
        options = RegistryOptions(credentials=lambda host: Credentials("core", "secret"))
        with RegistryClient(options) as client:
            client.ping(host)


def test_read_only_takes_nothing(client: RegistryClient) -> None:
    with serve(MemoryRegistry(read_only=True)) as host:
        repository = client.repository(host, NAME)
        with pytest.raises(RegistryError) as caught:
            push(repository, image(), "1.0")
        assert caught.value.status == 405


def test_an_unknown_repository_is_not_found(client: RegistryClient, host: str) -> None:
    with pytest.raises(NotFound):
        client.repository(host, "nobody/nothing").tags()


def test_a_port_that_is_taken_is_said_so(host: str) -> None:
    with (
        pytest.raises(ImgctlError, match="cannot listen on port"),
        serve(MemoryRegistry(), port=int(host.rpartition(":")[2])),
    ):
        pass
