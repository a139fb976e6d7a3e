"""Signing, attesting and verifying on a registry: what is believed, and what is refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from registry.client import RegistryClient, RegistryOptions
from registry.credentials import Credentials
from registry.errors import CorruptContent, NotFound, Refused
from registry.layout import LayoutStore
from registry.oci import OCI_INDEX, OCI_MANIFEST, Descriptor, Document, canonical_json, sha256
from registry.repository import Repository
from registry.sandbox.harbor.double import harbor_double
from registry.signing import tags
from registry.signing.attach import attach, attest, sign
from registry.signing.bundle import BUNDLE, EMPTY, Bundle, referrer
from registry.signing.claims import Form
from registry.signing.dsse import IN_TOTO, Envelope
from registry.signing.policy import Policy
from registry.signing.statement import PROVENANCE, SPDX, Statement, signature_of
from registry.signing.verify import verify
from tests.unit.registry.images import chunks_of
from tests.unit.registry.images import put_image as layout_image
from tests.unit.registry.signing.support import Registries, empty, key, push, put_image, registries

FORMS: tuple[Form, ...] = ("bundle", "tag")
KEYS = [key().public]
BASE = "sha256:" + "ab" * 32


@pytest.fixture(scope="module")
def both() -> Iterator[Registries]:
    """A registry with the referrers API and one without."""
    with registries() as made:
        yield made


@pytest.fixture(params=[True, False], ids=["referrers", "fall-back tag"])
def store(both: Registries, request: pytest.FixtureRequest) -> Repository:
    """An empty repository, on either registry."""
    return empty(both, referrers=request.param)


@pytest.fixture
def without(both: Registries) -> Repository:
    """An empty repository on the registry without the API."""
    return empty(both, referrers=False)


def provenance(
    digest: str, *, base: str = BASE, builder: str = "https://ci.example/b"
) -> Statement:
    uri = "pkg:oci/l4t-base@x?repository_url=nvcr.io/nvidia/l4t-base&tag=r35.2.1"
    dependencies = [
        {"uri": uri, "digest": {"sha256": base[7:]}},
        {"uri": "git+https://git.example/images@refs/heads/main", "digest": {"gitCommit": "ab"}},
    ]
    predicate = {
        "buildDefinition": {"resolvedDependencies": dependencies},
        "runDetails": {"builder": {"id": builder}},
    }
    return Statement((digest,), PROVENANCE, predicate)


def attach_raw(store: Repository, subject: Document, raw: bytes, kind: str = "x") -> Document:
    """Attach any bytes as a bundle, as anyone who may push can."""
    made = referrer(subject.descriptor, raw, kind)
    push(store, "", EMPTY)
    push(store, BUNDLE, raw)
    store.put_manifest(made)
    return made


@pytest.mark.parametrize("form", FORMS)
def test_a_signed_image_is_believed(store: Repository, form: Form) -> None:
    image = put_image(store)
    sign(store, image, key(), forms=[form])
    found = verify(store, image.digest, [key("other").public, *KEYS])
    (signature,) = found.signatures
    assert (signature.form, signature.hint) == (form, key().public.hint)
    assert found.descriptor == image.descriptor
    assert [str(item) for item in found.platforms] == ["linux/arm64"]
    assert found.passed_over == ()


def test_signing_twice_adds_nothing_and_two_keys_add_two(store: Repository) -> None:
    image = put_image(store)
    statement = provenance(image.digest)
    assert sign(store, image, key()) == sign(store, image, key())
    assert attest(store, image, statement, key()) == attest(store, image, statement, key())
    sign(store, image, key("other"))
    found = verify(store, image.digest, [*KEYS, key("other").public])
    assert len(found.signatures) == 2 * len(FORMS)
    assert len(found.attestations) == len(FORMS)


def test_what_was_attached_half_is_completed_by_the_same_again(store: Repository) -> None:
    image = put_image(store)
    statement = provenance(image.digest)
    both = [signature_of(image.digest), statement]
    attach(store, image, [statement], key(), forms=["tag"])
    attach(store, image, both[:1], key(), forms=["bundle"])
    held = attach(store, image, both, key())
    assert attach(store, image, both, key()) == held
    found = verify(store, image.digest, KEYS)
    assert (len(found.signatures), len(found.attestations)) == (2, 2)


def test_many_who_sign_at_once_lose_no_bundle(both: Registries) -> None:
    """Where the registry lists referrers itself; tags and fall-back lists have no such promise."""
    store = empty(both)
    image = put_image(store)
    names = [f"key {number}" for number in range(4)]
    threads = [
        Thread(target=sign, args=(store, image, key(name)), kwargs={"forms": ["bundle"]})
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        assert verify(store, image.digest, [key(name).public]).signatures


class Contested(LayoutStore):
    """A store where someone else writes each tag of signatures right after we first did."""

    theirs: Document

    def put_manifest(self, document: Document, reference: str | None = None) -> None:
        super().put_manifest(document, reference)
        if reference and reference.endswith(".sig") and not hasattr(self, "theirs"):
            payload = tags.simple_payload("theirs", "sha256:" + "1" * 64)
            layer = tags.signature_layer(payload, key("other").sign(payload))
            self.theirs, config = tags.holder([layer])
            for content in (payload, config):
                found = Descriptor("", sha256(content), len(content))
                self.push_blob(found, chunks_of(content))
            super().put_manifest(self.theirs, reference)


def test_a_signature_that_someone_else_wrote_over_is_added_again(tmp_path: Path) -> None:
    LayoutStore.create(tmp_path / "layout")
    layout = Contested(tmp_path / "layout")
    image = layout_image(layout, "1.0.0")
    sign(layout, image, key(), forms=["tag"])
    held = layout.manifest(tags.tag_for(image.digest, "sig"))
    assert held.layers[:1] == layout.theirs.layers
    assert len(held.layers) == 2
    assert verify(layout, image.digest, KEYS).signatures


def test_a_layout_on_disk_is_signed_and_verified_like_a_registry(tmp_path: Path) -> None:
    layout = LayoutStore.create(tmp_path / "layout")
    image = layout_image(layout, "1.0.0")
    attach(layout, image, [signature_of(image.digest), provenance(image.digest)], key())
    found = verify(layout, image.digest, KEYS, Policy(require=("provenance",)))
    assert (len(found.signatures), len(found.attestations)) == (2, 2)
    with pytest.raises(Refused):
        verify(layout, image.digest, [key("other").public])


def test_an_image_on_harbor_is_signed_and_verified_like_any_other() -> None:
    with harbor_double(projects=("algorithms",)) as running:
        login = Credentials(running.username, running.password)
        with RegistryClient(RegistryOptions(credentials=lambda host: login)) as client:
            store = client.repository(running.host, "algorithms/mnist", push=True)
            image = put_image(store)
            both = [signature_of(image.digest), provenance(image.digest)]
            assert attach(store, image, both, key()) == attach(store, image, both, key())
            found = verify(store, image.digest, KEYS, Policy(require=("provenance",)))
            assert (len(found.signatures), len(found.attestations)) == (2, 2)
            assert found.passed_over == ()


def test_an_index_is_signed_as_it_is(store: Repository) -> None:
    image = put_image(store)
    entry = image.descriptor.to_json() | {"platform": {"os": "linux", "architecture": "arm64"}}
    value = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    index = Document.of(value, OCI_INDEX)
    store.put_manifest(index, "all")
    sign(store, index, key())
    assert verify(store, index.digest, KEYS, Policy(platforms=("linux/arm64",))).signatures
    with pytest.raises(Refused, match="is not signed"):
        verify(store, image.digest, KEYS)


def test_an_image_nobody_signed_is_refused(store: Repository) -> None:
    image = put_image(store)
    with pytest.raises(Refused, match="is not signed") as caught:
        verify(store, image.digest, KEYS)
    assert "imgctl sign" in caught.value.hint


def test_an_attestation_is_no_signature(store: Repository) -> None:
    image = put_image(store)
    attest(store, image, provenance(image.digest), key())
    with pytest.raises(Refused, match="is not signed"):
        verify(store, image.digest, KEYS)


def test_an_image_that_is_not_there_is_not_found_and_not_refused(store: Repository) -> None:
    put_image(store)
    with pytest.raises(NotFound):
        verify(store, "sha256:" + "0" * 64, KEYS)


@pytest.mark.parametrize("form", FORMS)
def test_another_key_is_refused(store: Repository, form: Form) -> None:
    image = put_image(store)
    sign(store, image, key("other"), forms=[form])
    with pytest.raises(Refused, match="no valid signature") as caught:
        verify(store, image.digest, KEYS)
    said = "another key" if form == "bundle" else "no trusted key"
    assert said in caught.value.why


def test_a_bundle_of_another_image_is_refused(store: Repository) -> None:
    image, other = put_image(store), put_image(store, "2.0.0")
    envelope = Envelope.signed(signature_of(other.digest).payload(), IN_TOTO, key())
    attach_raw(store, image, Bundle(envelope, key().public.hint).raw())
    with pytest.raises(Refused, match="no valid signature") as caught:
        verify(store, image.digest, KEYS)
    assert f"it is for another image: {other.digest}" in caught.value.why


def test_a_signature_tag_of_another_image_is_refused(store: Repository) -> None:
    image, other = put_image(store), put_image(store, "2.0.0")
    sign(store, other, key(), forms=["tag"])
    copied = store.manifest(tags.tag_for(other.digest, "sig"))
    store.put_manifest(copied, tags.tag_for(image.digest, "sig"))
    with pytest.raises(Refused, match="no valid signature") as caught:
        verify(store, image.digest, KEYS)
    assert other.digest in caught.value.why


def test_a_statement_changed_after_signing_is_refused(store: Repository) -> None:
    image, other = put_image(store), put_image(store, "2.0.0")
    good = Envelope.signed(signature_of(other.digest).payload(), IN_TOTO, key())
    forged = Envelope(signature_of(image.digest).payload(), IN_TOTO, good.signatures)
    attach_raw(store, image, Bundle(forged, key().public.hint).raw())
    with pytest.raises(Refused, match="no valid signature") as caught:
        verify(store, image.digest, KEYS)
    assert "its content was changed" in caught.value.why


def test_a_payload_changed_after_signing_is_refused(store: Repository) -> None:
    image = put_image(store)
    signature = key().sign(tags.simple_payload("elsewhere", "sha256:" + "1" * 64))
    payload = tags.simple_payload("elsewhere", image.digest)
    layer = tags.signature_layer(payload, signature)
    document, config = tags.holder([layer])
    for content in (payload, config):
        push(store, "", content)
    store.put_manifest(document, tags.tag_for(image.digest, "sig"))
    with pytest.raises(Refused, match="no valid signature"):
        verify(store, image.digest, KEYS)


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"mediaType": 1}', b"[" * 100_000])
def test_rubbish_beside_a_good_signature_does_not_hide_it(store: Repository, raw: bytes) -> None:
    image = put_image(store)
    attach_raw(store, image, raw)
    with pytest.raises(Refused, match="no valid signature"):
        verify(store, image.digest, KEYS)
    sign(store, image, key())
    found = verify(store, image.digest, KEYS)
    assert len(found.signatures) == len(FORMS)
    assert len(found.passed_over) == 1


def test_a_referrer_that_is_listed_and_gone_is_refused(without: Repository) -> None:
    image = put_image(without)
    signed = sign(without, image, key(), forms=["bundle"])
    without.delete_manifest(signed.digest)
    with pytest.raises(Refused, match="no valid signature") as caught:
        verify(without, image.digest, KEYS)
    assert "listed and not there" in caught.value.why


def test_a_tag_that_says_nothing_readable_is_passed_over(store: Repository) -> None:
    image = put_image(store)
    layer = push(store, tags.SIMPLE_SIGNING, b"{}")
    config = push(store, "", EMPTY)
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json()],
    }
    for kind in ("sig", "att"):
        store.put_manifest(
            Document.of(value, OCI_MANIFEST), f"{image.digest.replace(':', '-')}.{kind}"
        )
    with pytest.raises(Refused, match="no valid signature"):
        verify(store, image.digest, KEYS)


ALLOWED = Policy(
    bases=("nvcr.io/nvidia/l4t-*",),
    builders=("https://ci.example/*",),
    sources=("https://git.example/*",),
    platforms=("linux/arm64",),
    require=("provenance",),
)


def test_an_image_made_as_the_policy_allows_passes(store: Repository) -> None:
    image = put_image(store)
    sign(store, image, key())
    attest(store, image, provenance(image.digest), key())
    found = verify(store, image.digest, KEYS, ALLOWED)
    shown = found.to_json()["provenance"][0]
    assert shown["builder"] == "https://ci.example/b"
    assert shown["bases"] == [f"nvcr.io/nvidia/l4t-base:r35.2.1@{BASE}"]
    assert shown["sources"] == ["git+https://git.example/images"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"bases": ("nvcr.io/nvidia/l4t-ml*",)}, "its base is nvcr.io/nvidia/l4t-base:r35.2.1@"),
        ({"bases": ("sha256:" + "0" * 64,)}, "its base is"),
        ({"builders": ("https://other/*",)}, "it was built by https://ci.example/b"),
        ({"sources": ("https://git.example/other",)}, "its source is git+https://git.example/"),
        ({"platforms": ("linux/amd64",)}, "it is for linux/arm64, the policy wants linux/amd64"),
        ({"require": ("sbom",)}, "no signed sbom"),
    ],
)
def test_what_the_policy_does_not_allow_is_refused_by_name(
    store: Repository, rules: dict[str, Any], said: str
) -> None:
    image = put_image(store)
    sign(store, image, key())
    attest(store, image, provenance(image.digest), key())
    with pytest.raises(Refused) as caught:
        verify(store, image.digest, KEYS, Policy(**rules))
    assert said in f"{caught.value.what} {caught.value.why}"


@pytest.mark.parametrize(
    "pattern",
    ["nvcr.io/nvidia/l4t-base", "nvcr.io/nvidia/l4t-base:r35.2.1", "*/l4t-base:r35.*", BASE,
     f"nvcr.io/nvidia/l4t-base@{BASE}", f"nvcr.io/nvidia/l4t-base:r35.2.1@{BASE}"],
)  # fmt: skip
def test_a_base_is_allowed_by_any_way_to_write_it(store: Repository, pattern: str) -> None:
    image = put_image(store)
    sign(store, image, key(), forms=["bundle"])
    attest(store, image, provenance(image.digest), key(), forms=["bundle"])
    assert verify(store, image.digest, KEYS, Policy(bases=(pattern,))).provenance


def test_provenance_counts_only_with_a_trusted_signature(store: Repository) -> None:
    image = put_image(store)
    sign(store, image, key())
    attest(store, image, provenance(image.digest), key("other"))
    with pytest.raises(Refused, match="no signed provenance"):
        verify(store, image.digest, KEYS, ALLOWED)


def test_provenance_must_name_the_base_that_the_image_names(store: Repository) -> None:
    annotation = {"org.opencontainers.image.base.digest": "sha256:" + "cd" * 32}
    image = put_image(store, "1.0.0", **annotation)
    sign(store, image, key())
    attest(store, image, provenance(image.digest), key())
    with pytest.raises(Refused) as caught:
        verify(store, image.digest, KEYS)
    assert "names another base than the image" in caught.value.why


def test_a_statement_about_something_else_is_not_attached(store: Repository) -> None:
    image = put_image(store)
    with pytest.raises(ValueError, match="is not about"):
        attest(store, image, Statement((BASE,), SPDX, {}), key())


def test_an_image_whose_config_is_broken_is_the_registrys_fault(store: Repository) -> None:
    config = push(store, "", b"{")
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.to_json(),
        "layers": [],
    }
    image = Document(canonical_json(value), OCI_MANIFEST)
    store.put_manifest(image, "broken")
    sign(store, image, key())
    with pytest.raises(CorruptContent, match="config"):
        verify(store, image.digest, KEYS)


def test_the_bundle_is_found_where_a_list_names_the_configs_type(without: Repository) -> None:
    """go-containerregistry writes the empty config's type as the artifact's, and no annotations."""
    image = put_image(without)
    tag = image.digest.replace(":", "-")
    made = sign(without, image, key(), forms=["bundle"])
    entry = {**made.to_json(), "artifactType": "application/vnd.oci.empty.v1+json"}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    without.put_manifest(Document.of(index, OCI_INDEX), tag)
    assert verify(without, image.digest, KEYS).signatures
    assert sign(without, image, key(), forms=["bundle"]) == made
    assert without.manifest(tag).value == index


def test_what_a_stranger_wrote_is_told_without_control_characters(store: Repository) -> None:
    image = put_image(store)
    envelope = Envelope.signed(signature_of(image.digest).payload(), IN_TOTO, key("other"))
    attach_raw(store, image, Bundle(envelope, "\x1b[2Jall is well\n" * 50).raw())
    with pytest.raises(Refused) as caught:
        verify(store, image.digest, KEYS)
    assert caught.value.why.isprintable()
    assert len(caught.value.why) <= 200
