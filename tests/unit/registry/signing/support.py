"""A repository on a real registry in this process, with an image in it, and keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count

from registry.client import RegistryClient, RegistryOptions
from registry.oci import OCI_CONFIG, OCI_MANIFEST, Descriptor, Document, canonical_json, sha256
from registry.repository import Repository
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from registry.signing.keys import PrivateKey
from tests.unit.registry.images import chunks_of

Registries = dict[bool, tuple[RegistryClient, str]]
"""A client and a registry's host, by whether the registry has the referrers API."""

_numbers = count()


def empty(registries: Registries, *, referrers: bool = True) -> Repository:
    """A repository nobody has used yet."""
    client, host = registries[referrers]
    return client.repository(host, f"algorithms/mnist-{next(_numbers)}", push=True)


@cache
def key(name: str = "ours") -> PrivateKey:
    """A key pair; the same for the same name while the tests run."""
    return PrivateKey.generate()


@contextmanager
def registries() -> Iterator[Registries]:
    """Two registries for a module's tests."""
    with (
        serve(MemoryRegistry(referrers=True)) as with_api,
        serve(MemoryRegistry(referrers=False)) as without,
        RegistryClient(RegistryOptions()) as client,
    ):
        yield {True: (client, with_api), False: (client, without)}


def push(store: Repository, media_type: str, content: bytes) -> Descriptor:
    """Put a blob into the repository."""
    descriptor = Descriptor(media_type, sha256(content), len(content))
    store.push_blob(descriptor, chunks_of(content))
    return descriptor


def put_image(store: Repository, tag: str = "1.0.0", **annotations: str) -> Document:
    """Put an arm64 image into the repository; its manifest."""
    config = canonical_json({"os": "linux", "architecture": "arm64", "name": tag})
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": push(store, OCI_CONFIG, config).to_json(),
        "layers": [],
        "annotations": annotations,
    }
    document = Document.of(value, OCI_MANIFEST)
    store.put_manifest(document, tag)
    return document
