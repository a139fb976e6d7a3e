"""Envelopes, statements, bundles and payloads: what is written is read, nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import CorruptContent
from registry.oci import Descriptor, sha256
from registry.signing import tags
from registry.signing.bundle import BUNDLE, Bundle, referrer
from registry.signing.dsse import IN_TOTO, Envelope, pae
from registry.signing.statement import PROVENANCE, Statement, signature_of
from tests.unit.registry.signing.support import key

DIGEST = sha256(b"image")

texts = st.text(st.characters(codec="utf-8"), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
digests = st.binary(max_size=5).map(sha256)


def test_what_is_signed_is_what_the_dsse_specification_gives_as_example() -> None:
    signed = pae("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.tuples(texts, st.binary()), st.tuples(texts, st.binary()))
def test_no_two_envelopes_sign_the_same_bytes(
    one: tuple[str, bytes], other: tuple[str, bytes]
) -> None:
    assert (pae(*one) == pae(*other)) == (one == other)


@given(st.binary(max_size=100), texts)
def test_an_envelope_survives_json(payload: bytes, kind: str) -> None:
    envelope = Envelope(payload, kind, (b"one", b"two"))
    assert Envelope.from_json(json.loads(json.dumps(envelope.to_json()))) == envelope


def test_an_envelope_is_its_keys_and_no_others() -> None:
    envelope = Envelope.signed(b"payload", IN_TOTO, key())
    assert envelope.signed_by(key().public)
    assert not envelope.signed_by(key("other").public)
    assert not Envelope(b"Payload", IN_TOTO, envelope.signatures).signed_by(key().public)
    assert not Envelope(b"payload", "text/plain", envelope.signatures).signed_by(key().public)


@given(st.lists(digests, max_size=3), texts, st.dictionaries(texts, values, max_size=4), texts)
def test_a_statement_survives_its_payload(
    subjects: list[str], kind: str, predicate: dict[str, Any], name: str
) -> None:
    statement = Statement(tuple(subjects), kind, predicate, name if subjects else "")
    assert Statement.parse(statement.payload()) == statement


def test_a_bundle_is_what_cosign_3_writes() -> None:
    envelope = Envelope.signed(signature_of(DIGEST).payload(), IN_TOTO, key())
    raw = Bundle(envelope, key().public.hint).raw()
    value = json.loads(raw)
    assert value["mediaType"] == BUNDLE
    assert value["verificationMaterial"] == {"publicKey": {"hint": key().public.hint}}
    assert value["dsseEnvelope"]["payloadType"] == IN_TOTO
    assert Bundle.parse(raw) == Bundle(envelope, key().public.hint)
    document = referrer(Descriptor("type", DIGEST, 7), raw, PROVENANCE)
    assert document.value["artifactType"] == document.layers[0].media_type == BUNDLE
    assert document.subject == Descriptor("type", DIGEST, 7)
    assert document.annotations["dev.sigstore.bundle.predicateType"] == PROVENANCE


@given(digests, texts)
def test_a_simple_payload_names_its_digest(digest: str, repository: str) -> None:
    assert tags.signed_digest(tags.simple_payload(repository, digest)) == digest


def test_a_signatures_manifest_lists_its_payloads_as_an_images_layers() -> None:
    layer = tags.signature_layer(b"payload", b"signature")
    document, config = tags.holder([layer])
    assert tags.signature_in(document.layers[0]) == b"signature"
    assert json.loads(config)["rootfs"]["diff_ids"] == [sha256(b"payload")]
    assert tags.tag_for(DIGEST, "sig") == f"sha256-{DIGEST[7:]}.sig"


JSON = values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)


@given(JSON)
def test_anything_else_is_corrupt_and_nothing_worse(raw: bytes) -> None:
    for read in (Bundle.parse, Statement.parse, tags.signed_digest):
        with pytest.raises(CorruptContent):
            read(raw)


@given(values)
def test_no_other_value_is_an_envelope(value: Any) -> None:
    with pytest.raises(CorruptContent):
        Envelope.from_json(value)


@pytest.mark.parametrize(
    "change",
    [{"mediaType": "application/vnd.dev.sigstore.bundle.v9+json"}, {"dsseEnvelope": {}},
     {"verificationMaterial": []}],
)  # fmt: skip
def test_a_bundle_of_another_make_is_not_read(change: dict[str, Any]) -> None:
    envelope = Envelope.signed(signature_of(DIGEST).payload(), IN_TOTO, key())
    value = json.loads(Bundle(envelope, "hint").raw()) | change
    with pytest.raises(CorruptContent):
        Bundle.parse(json.dumps(value).encode())
