"""Images in the double: indexes, deletions, lists, as a client of registries sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import MissingBlobs, NotFound, Refused, RegistryError, Unauthorized
from registry.harbor import artifacts, rules
from registry.harbor.api import HarborApi
from registry.harbor.rules import ImmutableRule
from registry.oci import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Document,
    canonical_json,
)
from registry.repository import Repository
from registry.sandbox.harbor.double import HarborDouble, RunningHarbor, harbor_double
from registry.sandbox.harbor.upstream import Upstream
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from tests.unit.registry.images import blob, chunks_of

CONFIG = canonical_json({"architecture": "arm64", "os": "linux"})


@pytest.fixture
def harbor() -> Iterator[RunningHarbor]:
    with harbor_double(projects=("p",)) as running:
        yield running


@pytest.fixture
def client(harbor: RunningHarbor) -> Iterator[RegistryClient]:
    known = Credentials(harbor.username, harbor.password)
    with RegistryClient(RegistryOptions(credentials=lambda host: known)) as opened:
        yield opened


@pytest.fixture
def repository(client: RegistryClient, harbor: RunningHarbor) -> Repository:
    return client.repository(harbor.host, "p/r", push=True)


@pytest.fixture
def api(client: RegistryClient, harbor: RunningHarbor) -> HarborApi:
    return HarborApi(client, harbor.host)


def image(repository: Repository, layer: bytes, subject: Descriptor | None = None) -> Document:
    """Send an image's blobs; its manifest, not sent yet."""
    for content in (CONFIG, layer):
        repository.push_blob(blob(content), chunks_of(content))
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(CONFIG, OCI_CONFIG).to_json(),
        "layers": [blob(layer, OCI_LAYER_GZIP).to_json()],
        **({"subject": subject.to_json()} if subject else {}),
    }
    return Document.of(value, OCI_MANIFEST)


def index(*children: Document) -> Document:
    platform = {"architecture": "arm64", "os": "linux"}
    entries = [{**child.descriptor.to_json(), "platform": platform} for child in children]
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return Document.of(value, OCI_INDEX)


def test_an_index_comes_after_its_children(repository: Repository, api: HarborApi) -> None:
    child = image(repository, b"layer")
    both = index(child)
    with pytest.raises(MissingBlobs):
        repository.put_manifest(both, "1.0")
    repository.put_manifest(child)
    repository.put_manifest(both, "1.0")
    found = artifacts.get(api, "p", "r", "1.0")
    assert found.manifest_media_type == OCI_INDEX
    below = len(child.raw) + len(CONFIG) + len(b"layer")
    assert found.size == len(both.raw) + below
    assert [item["child_digest"] for item in found.raw["references"]] == [child.digest]
    with pytest.raises(Refused, match="referenced by others"):
        artifacts.delete(api, "p", "r", child.digest)


def test_an_index_is_copied_with_its_children(
    repository: Repository, client: RegistryClient, api: HarborApi, harbor: RunningHarbor
) -> None:
    child = image(repository, b"layer")
    repository.put_manifest(child)
    repository.put_manifest(index(child), "1.0")
    artifacts.copy(api, "p/r:1.0", "p", "copy")
    copied = client.repository(harbor.host, "p/copy")
    assert copied.manifest("1.0") == index(child)
    assert copied.manifest(child.digest) == child


def test_what_refers_to_an_image_is_not_listed_as_one(
    repository: Repository, api: HarborApi
) -> None:
    document = image(repository, b"layer")
    repository.put_manifest(document, "1.0")
    repository.put_manifest(image(repository, b"signature", document.descriptor))
    assert [item.digest for item in artifacts.listing(api, "p", "r")] == [document.digest]
    assert len(repository.referrers(document.digest)) == 1


def test_manifests_are_deleted_by_digest_and_not_by_tag(
    repository: Repository, api: HarborApi
) -> None:
    document = image(repository, b"layer")
    repository.put_manifest(document, "1.0")
    with pytest.raises(RegistryError, match="does not allow"):
        repository.delete_manifest("1.0")
    rules.add_immutable_rule(api, "p", ImmutableRule("1.0"))
    with pytest.raises(Refused):
        repository.delete_manifest(document.digest)
    for rule in rules.immutable_rules(api, "p"):
        rules.delete_immutable_rule(api, "p", rule)
    repository.delete_manifest(document.digest)
    assert repository.manifest_descriptor("1.0") is None
    assert artifacts.find(api, "p", "r", "1.0") is None


def test_tags_come_in_pages(repository: Repository, client: RegistryClient) -> None:
    document = image(repository, b"layer")
    for number in range(5):
        repository.put_manifest(document, f"1.{number}")
    assert repository.tags() == [f"1.{number}" for number in range(5)]
    with pytest.raises(NotFound):
        client.repository(repository.host, "p/none").tags()


def test_a_repository_is_in_a_project(client: RegistryClient, harbor: RunningHarbor) -> None:
    with pytest.raises(RegistryError, match="invalid repository name"):
        client.repository(harbor.host, "alone").manifest("1.0")


def test_a_manifest_that_is_none(repository: Repository) -> None:
    broken = Document(json.dumps({"schemaVersion": 2}).encode(), OCI_MANIFEST)
    with pytest.raises(RegistryError, match="manifest invalid"):
        repository.put_manifest(broken, "1.0")


def test_only_a_public_project_can_be_looked_at_by_all(harbor: RunningHarbor) -> None:
    with RegistryClient(RegistryOptions()) as nobody:
        with pytest.raises(NotFound):
            nobody.repository(harbor.host, "library/r").manifest("1.0")
        with pytest.raises(Unauthorized):
            nobody.repository(harbor.host, "p/r").manifest("1.0")
        public = HarborApi(nobody, harbor.host)
        assert list(artifacts.listing(public, "library", "r")) == []
        with pytest.raises(Unauthorized) as caught:
            list(artifacts.listing(public, "p", "r"))
        assert "imgctl login" in caught.value.hint


def test_blobs_may_be_kept_in_a_registry_elsewhere() -> None:
    storage = MemoryRegistry(credentials=("core", "its-own-password"))
    with serve(storage) as host:
        double = HarborDouble(Upstream(host, "core", "its-own-password"))
        with harbor_double(double, projects=("p",)) as running:
            known = Credentials(running.username, running.password)
            with RegistryClient(RegistryOptions(credentials=lambda host: known)) as client:
                into = client.repository(running.host, "p/r", push=True)
                document = image(into, b"layer" * 1000)
                into.put_manifest(document, "1.0")
                assert into.manifest("1.0") == document
                assert into.blob_bytes(document.layers[0]) == b"layer" * 1000
                other = client.repository(running.host, "p/other", push=True)
                assert other.mount_blob(document.layers[0], "p/r")
                assert not other.blob_exists(document.config.digest)
    # The storage knows no tags: those are Harbor's own.
    assert storage.repositories["p/r"].tags == {}
