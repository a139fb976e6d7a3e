"""Repositories: manifests, blobs, tags, referrers, and what their errors say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.errors import (
    BadInput,
    CorruptContent,
    ImgctlError,
    MissingBlobs,
    NotFound,
    Refused,
    RegistryError,
    Unauthorized,
)
from registry.oci import (
    ACCEPT,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Document,
    digest_of,
    sha256,
)
from registry.referrers import fallback_tag
from registry.repository import Repository, next_link
from registry.retry import RetryPolicy
from registry.store import Store
from tests.support.reqresp import Entry, serve

BLOB = b"layer"
LAYER = Descriptor(OCI_LAYER_GZIP, sha256(BLOB), len(BLOB))
CONFIG = Descriptor(OCI_CONFIG, sha256(b"{}"), 2)
VALUE = {"schemaVersion": 2, "config": CONFIG.to_json(), "layers": [LAYER.to_json()]}
# Indented, as a client of somebody else's may have written it: bytes are never made anew.
RAW = json.dumps(VALUE | {"mediaType": OCI_MANIFEST}, indent=4).encode()
DIGEST = sha256(RAW)
MANIFEST = "/v2/p/r/manifests/"
BY_TAG = MANIFEST + "1.0"
BY_DIGEST = MANIFEST + DIGEST
BLOB_PATH = f"/v2/p/r/blobs/{LAYER.digest}"
FOUND = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": DIGEST}


def client_for(**options: Any) -> RegistryClient:
    policy = RetryPolicy(attempts=2, first=0.001, longest=0.01)
    return RegistryClient(RegistryOptions(retry=policy, **options))


@pytest.mark.parametrize("body", [b"{}", b"[1", b"[]"])
def test_a_document_that_is_no_manifest_is_told_with_its_place(body: bytes) -> None:
    with (
        serve(Entry("GET", BY_TAG, content=body)) as server,
        client_for() as client,
        pytest.raises(CorruptContent) as caught,
    ):
        client.repository(server.host, "p/r").manifest("1.0")
    assert f"{server.host}/p/r:1.0" in caught.value.why


def with_repository(work: Callable[[Repository], Any], *entries: Entry) -> Any:
    """Do something with the repository p/r of a scripted registry."""
    with serve(*entries) as server, client_for() as client:
        return work(client.repository(server.host, "p/r"))


def failure(work: Callable[[Repository], Any], *entries: Entry) -> ImgctlError:
    """The error that something with the repository p/r ends with."""
    with pytest.raises(ImgctlError) as caught:
        with_repository(work, *entries)
    return caught.value


def errors(code: str, message: str, detail: Any = None) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()


def test_a_repository_is_a_store() -> None:
    with client_for() as client:
        store: Store = client.repository("h.example", "p/r")
        assert str(store) == "h.example/p/r"


@pytest.mark.parametrize(
    ("host", "name"), [("https://h", "a"), ("h/x", "a"), ("h", "A"), ("h", "a//b"), ("h", "../a")]
)
def test_names_that_cannot_be(host: str, name: str) -> None:
    with client_for() as client, pytest.raises(BadInput):
        client.repository(host, name)


# --- manifests ---


def test_a_manifest_keeps_its_bytes_and_all_types_are_asked_for() -> None:
    entry = Entry("GET", BY_TAG, headers={"accept": ACCEPT}, reply=FOUND, content=RAW)
    document = with_repository(lambda repository: repository.manifest("1.0"), entry)
    assert document == Document(RAW, OCI_MANIFEST)
    assert DOCKER_MANIFEST in ACCEPT
    assert OCI_INDEX in ACCEPT


@pytest.mark.parametrize("digest", [DIGEST, digest_of(RAW, "sha512:")])
def test_a_manifest_by_digest_is_checked(digest: str) -> None:
    good = Entry("GET", MANIFEST + digest, content=RAW)
    assert with_repository(lambda repository: repository.manifest(digest), good).raw == RAW
    bad = Entry("GET", MANIFEST + digest, content=RAW + b" ")
    error = failure(lambda repository: repository.manifest(digest), bad)
    assert isinstance(error, CorruptContent)
    assert digest in str(error)


def test_a_manifest_by_tag_is_checked_against_the_header() -> None:
    entry = Entry("GET", BY_TAG, reply=FOUND, content=RAW + b" ")
    assert isinstance(failure(lambda repository: repository.manifest("1.0"), entry), CorruptContent)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"junk", b"", b"[" * 5000])
def test_a_manifest_that_is_none(content: bytes) -> None:
    entry = Entry("GET", BY_TAG, content=content)
    assert isinstance(failure(lambda repository: repository.manifest("1.0"), entry), CorruptContent)


def test_a_web_page_instead_of_a_manifest() -> None:
    page = {"Content-Type": "text/html; charset=utf-8"}
    entry = Entry("GET", BY_TAG, reply=page, content=b"<html>Sign in</html>")
    error = failure(lambda repository: repository.manifest("1.0"), entry)
    assert "is not a container registry" in error.what


def test_a_head_tells_type_digest_and_size() -> None:
    entry = Entry("HEAD", BY_TAG, headers={"accept": ACCEPT}, reply=FOUND, content=RAW)
    found = with_repository(lambda repository: repository.manifest_descriptor("1.0"), entry)
    assert found == Descriptor(OCI_MANIFEST, DIGEST, len(RAW))


def test_a_head_that_does_not_tell_is_made_up_for_with_a_get() -> None:
    entries = (
        Entry("HEAD", BY_TAG, reply={"Content-Type": OCI_MANIFEST}),
        Entry("GET", BY_TAG, content=RAW),
    )
    found = with_repository(lambda repository: repository.manifest_descriptor("1.0"), *entries)
    assert found == Descriptor(OCI_MANIFEST, DIGEST, len(RAW))


def test_an_absent_manifest_has_no_descriptor() -> None:
    entry = Entry("HEAD", BY_TAG, status=404)
    assert with_repository(lambda repository: repository.manifest_descriptor("1.0"), entry) is None


@pytest.mark.parametrize(("reference", "path"), [("1.0", BY_TAG), (None, BY_DIGEST)])
def test_a_manifest_is_put_as_it_is(reference: str | None, path: str) -> None:
    entry = Entry("PUT", path, None, {"content-type": OCI_MANIFEST}, RAW, status=201, reply=FOUND)
    document = Document.parse(RAW)
    with_repository(lambda repository: repository.put_manifest(document, reference), entry)


def test_a_registry_that_stored_something_else_is_found_out() -> None:
    entry = Entry("PUT", BY_TAG, status=201, reply={"Docker-Content-Digest": sha256(b"else")})
    document = Document.parse(RAW)
    error = failure(lambda repository: repository.put_manifest(document, "1.0"), entry)
    assert isinstance(error, CorruptContent)


def put_failure(entry_status: int, content: bytes, **reply: str) -> ImgctlError:
    entry = Entry("PUT", BY_TAG, status=entry_status, content=content, reply=reply)
    document = Document.parse(RAW)
    return failure(lambda repository: repository.put_manifest(document, "1.0"), entry)


def test_a_manifest_whose_blobs_are_missing() -> None:
    body = errors("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", LAYER.digest)
    error = put_failure(400, body)
    assert isinstance(error, MissingBlobs)
    assert error.digests == (LAYER.digest,)
    body = errors("MANIFEST_BLOB_UNKNOWN", "blob unknown", {"digest": LAYER.digest})
    error = put_failure(404, body)
    assert isinstance(error, MissingBlobs)
    assert error.digests == (LAYER.digest,)


def test_an_immutable_tag() -> None:
    said = "Failed to process request due to '1.0' configured as immutable."
    error = put_failure(412, errors("PRECONDITION", said))
    assert isinstance(error, Refused)
    assert said in error.why


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (
            403,
            errors(
                "DENIED",
                "adding 1.0 MiB of storage resource, which when updated to current usage of 9.8 "
                "MiB will exceed the configured upper limit of 10.0 MiB.",
            ),
            Refused,
            "quota has no room",
        ),
        (
            403,
            errors("DENIED", "The system is in read only mode. Any modification is prohibited."),
            RegistryError,
            "read-only mode",
        ),
        (
            403,
            errors("DENIED", "can not push artifact to a proxy project: cache"),
            Refused,
            "proxy-cache project",
        ),
        (403, errors("DENIED", "requested access is denied"), Unauthorized, "not allowed to push"),
        (404, errors("NAME_UNKNOWN", "unknown"), NotFound, "does not exist"),
        (404, b"<html>nginx</html>", RegistryError, "is not a container registry"),
        (404, b"404 page not found", NotFound, "knows nothing there"),
        (413, b"<html>413</html>", RegistryError, "does not take a request that large"),
        (429, b"", RegistryError, "asks to slow down"),
        (500, errors("UNKNOWN", "internal server error"), RegistryError, "answered 500"),
        (502, b"<html><title>502 Bad Gateway</title></html>", RegistryError, "answered 502"),
        (400, errors("MANIFEST_INVALID", "manifest invalid"), RegistryError, "manifest invalid"),
    ],
)
def test_the_cause_behind_a_refusal(
    status: int, body: bytes, kind: type[ImgctlError], said: str
) -> None:
    error = put_failure(status, body)
    assert type(error) is kind
    assert said in str(error)
    assert "\n" not in str(error)
    assert "<" not in str(error)


def test_deletion_by_digest() -> None:
    entry = Entry("DELETE", BY_DIGEST, status=202)
    with_repository(lambda repository: repository.delete_manifest(DIGEST), entry)
    unsupported = errors("UNSUPPORTED", "The operation is unsupported.")
    for status in (400, 405):
        entry = Entry("DELETE", BY_DIGEST, status=status, content=unsupported)
        error = failure(lambda repository: repository.delete_manifest(DIGEST), entry)
        assert "does not allow to delete" in error.what
    entry = Entry("DELETE", BY_DIGEST, status=404, content=errors("MANIFEST_UNKNOWN", "unknown"))
    assert isinstance(
        failure(lambda repository: repository.delete_manifest(DIGEST), entry), NotFound
    )


def test_a_policy_that_blocks_a_pull() -> None:
    said = "current image with 3 vulnerabilities cannot be pulled"
    body = errors("PROJECTPOLICYVIOLATION", said)
    error = failure(
        lambda repository: repository.manifest("1.0"),
        Entry("GET", BY_TAG, status=412, content=body),
    )
    assert isinstance(error, Refused)
    assert said in error.why


# --- blobs ---


def test_blobs_are_looked_for() -> None:
    for status, there in ((200, True), (404, False)):
        entry = Entry("HEAD", BLOB_PATH, status=status)
        assert (
            with_repository(lambda repository: repository.blob_exists(LAYER.digest), entry) is there
        )


def test_a_blob_comes_in_chunks() -> None:
    content = bytes(range(256)) * 2000
    layer = Descriptor(OCI_LAYER_GZIP, sha256(content), len(content))

    def read(repository: Repository) -> list[bytes]:
        with repository.open_blob(layer) as chunks:
            return list(chunks)

    chunks = with_repository(read, Entry("GET", f"/v2/p/r/blobs/{layer.digest}", content=content))
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) < len(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Layer", "corrupt"),
        (b"layer+", "wrong size"),
        (b"laye", "wrong size"),
        (b"", "wrong size"),
    ],
)
def test_a_blob_that_is_not_what_it_should_be(content: bytes, said: str) -> None:
    entry = Entry("GET", BLOB_PATH, content=content)
    error = failure(lambda repository: repository.blob_bytes(LAYER), entry)
    assert isinstance(error, CorruptContent)
    assert said in error.what


def test_the_last_chunk_of_a_wrong_blob_is_never_handed_out() -> None:
    seen: list[bytes] = []

    def read(repository: Repository) -> None:
        with repository.open_blob(LAYER) as chunks:
            seen.extend(chunks)

    failure(read, Entry("GET", BLOB_PATH, content=b"Layer"))
    assert b"".join(seen) != b"Layer"


def test_a_missing_blob() -> None:
    entry = Entry("GET", BLOB_PATH, status=404, content=errors("BLOB_UNKNOWN", "blob unknown"))
    error = failure(lambda repository: repository.blob_bytes(LAYER), entry)
    assert isinstance(error, NotFound)
    assert LAYER.digest in error.what


def test_a_large_blob_is_not_read_into_memory() -> None:
    large = Descriptor(OCI_CONFIG, LAYER.digest, 5 << 20)
    assert isinstance(failure(lambda repository: repository.blob_bytes(large)), CorruptContent)


def test_a_blob_left_half_read_frees_its_connection() -> None:
    content = b"x" * (4 << 20)
    layer = Descriptor(OCI_LAYER_GZIP, sha256(content), len(content))

    def read_a_little(repository: Repository) -> None:
        with repository.open_blob(layer) as chunks:
            next(chunks)

    with_repository(read_a_little, Entry("GET", f"/v2/p/r/blobs/{layer.digest}", content=content))


# --- tags ---


def tags(*entries: Entry) -> Any:
    return with_repository(lambda repository: repository.tags(), *entries)


LIST = "/v2/p/r/tags/list"


def page(query: str, names: list[str] | None, link: str = "") -> Entry:
    content = json.dumps({"name": "p/r", "tags": names}).encode()
    return Entry("GET", LIST, query, reply={"Link": link} if link else {}, content=content)


def test_tags_over_several_pages() -> None:
    """Harbor's next links are paths without a host, their query un-escaped."""
    entries = (
        page("n=1000", ["a", "b"], f'<{LIST}?last=b c&n=1000>; rel="next"'),
        page("last=b%20c&n=1000", ["b", "d"], f"<http://elsewhere.invalid{LIST}?last=d>; rel=next"),
        page("last=d", ["e"]),
    )
    assert tags(*entries) == ["a", "b", "d", "e"]


def test_no_tags() -> None:
    assert tags(page("n=1000", None)) == []


def test_endless_pages_end() -> None:
    """Harbor with page size -1, and anything that links to itself."""
    forever = f'<{LIST}?n=1000>; rel="next"'
    assert tags(page("n=1000", ["a"], forever)) == ["a"]
    onwards = (
        page("n=1000", ["a"], f'<{LIST}?p=2>; rel="next"'),
        page("p=2", ["a"], f'<{LIST}?p=3>; rel="next"'),
    )
    assert tags(*onwards) == ["a"]


def test_tags_of_an_unknown_repository() -> None:
    entry = Entry("GET", LIST, status=404, content=errors("NAME_UNKNOWN", "repository name"))
    assert isinstance(failure(lambda repository: repository.tags(), entry), NotFound)


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('</a?b=c d>; rel="next"', "/a?b=c d"),
        ("</a>;rel=next", "/a"),
        ('</p>; rel="prev", </n>; rel="next"', "/n"),
        ('</a>; title="x"; rel="next"', "/a"),
        ('</p>; rel="prev"', None),
        ("", None),
        ("junk", None),
    ],
)
def test_the_next_page(header: str, target: str | None) -> None:
    assert next_link(header) == target


# --- referrers ---

SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"
REFERRERS = f"/v2/p/r/referrers/{DIGEST}"
FALLBACK = MANIFEST + fallback_tag(DIGEST)


def referrer(artifact_type: str = SIGNATURE, note: str = "") -> Document:
    subject = Document.parse(RAW).descriptor.to_json()
    value = VALUE | {"mediaType": OCI_MANIFEST, "artifactType": artifact_type, "subject": subject}
    return Document.of(value | ({"annotations": {"note": note}} if note else {}), OCI_MANIFEST)


def index_of(*entries: dict[str, Any]) -> bytes:
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}
    ).encode()


def listed(document: Document, **extra: Any) -> dict[str, Any]:
    return document.descriptor.to_json() | extra


def test_the_fallback_tag() -> None:
    assert fallback_tag("sha256:" + "ab" * 32) == "sha256-" + "ab" * 32


def test_referrers_by_the_api() -> None:
    document = referrer()
    content = index_of(listed(document, artifactType=SIGNATURE))
    for wanted, count in ((None, 1), (SIGNATURE, 1), ("application/other", 0)):
        entry = Entry("GET", REFERRERS, content=content)
        found = with_repository(lambda repository: repository.referrers(DIGEST, wanted), entry)  # noqa: B023
        assert len(found) == count


def test_harbor_2_9_lists_nothing_as_an_empty_object() -> None:
    entry = Entry("GET", REFERRERS, content=b"{}")
    assert with_repository(lambda repository: repository.referrers(DIGEST), entry) == []


def test_without_the_api_the_tag_is_read() -> None:
    document = referrer()
    entries = (
        Entry("GET", REFERRERS, status=404, content=b"404 page not found\n"),
        Entry("GET", FALLBACK, content=index_of(listed(document))),
    )
    found = with_repository(lambda repository: repository.referrers(DIGEST), *entries)
    assert [item.digest for item in found] == [document.digest]


def test_no_referrers_at_all() -> None:
    unknown = errors("MANIFEST_UNKNOWN", "manifest unknown")
    entries = (
        Entry("GET", REFERRERS, status=404),
        Entry("GET", FALLBACK, status=404, content=unknown),
    )
    assert with_repository(lambda repository: repository.referrers(DIGEST), *entries) == []


@pytest.mark.parametrize("entry_type", [None, OCI_EMPTY, OCI_CONFIG])
def test_an_entry_that_may_be_wrong_is_looked_into(entry_type: str | None) -> None:
    """Some write the empty type, some the config's, and some nothing into the list."""
    document = referrer()
    extra = {"artifactType": entry_type} if entry_type else {}
    entries = (
        Entry("GET", REFERRERS, content=index_of(listed(document, **extra))),
        Entry("GET", MANIFEST + document.digest, content=document.raw),
    )
    found = with_repository(lambda repository: repository.referrers(DIGEST, SIGNATURE), *entries)
    assert [item.digest for item in found] == [document.digest]


def test_a_registry_that_knows_subjects_keeps_the_list_itself() -> None:
    document = referrer()
    entry = Entry("PUT", MANIFEST + document.digest, status=201, reply={"OCI-Subject": DIGEST})
    with_repository(lambda repository: repository.put_manifest(document), entry)


def test_the_fallback_list_is_written_for_one_that_does_not() -> None:
    document, other = referrer(note="ours"), referrer(note="other")
    before = index_of(listed(other, artifactType=SIGNATURE))
    annotated = listed(document, artifactType=SIGNATURE, annotations={"note": "ours"})
    after = Document.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [listed(other, artifactType=SIGNATURE), annotated],
        },
        OCI_INDEX,
    )
    entries = (
        Entry("PUT", MANIFEST + document.digest, status=201),
        Entry("GET", FALLBACK, if_state="written", content=after.raw),
        Entry("GET", FALLBACK, content=before),
        Entry("PUT", FALLBACK, body=after.raw, status=201, set_state="written", once=True),
    )
    with_repository(lambda repository: repository.put_manifest(document), *entries)


def test_a_referrer_already_listed_is_not_listed_twice() -> None:
    document = referrer()
    entries = (
        Entry("PUT", MANIFEST + document.digest, status=201),
        Entry("GET", FALLBACK, content=index_of(listed(document))),
    )
    with_repository(lambda repository: repository.put_manifest(document), *entries)
