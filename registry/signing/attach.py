"""Attaching signatures and attestations to an image that is in a repository.

Doing so twice adds nothing: what is there, says the same and is signed by the same key stays the
only one. So a release that was interrupted can simply sign again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from registry.errors import NotFound
from registry.oci import Descriptor, Document, canonical_json
from registry.signing import bundle, tags
from registry.signing.bundle import Bundle
from registry.signing.claims import Claim, Form, bundle_claims, tag_claims
from registry.signing.dsse import IN_TOTO, Envelope
from registry.signing.keys import Signer
from registry.signing.statement import SIGNATURE, Statement, signature_of
from registry.store import Store

BOTH: tuple[Form, ...] = ("bundle", "tag")
"""What every verifier finds: cosign 3 and Harbor 2.15 read bundles, older ones only tags."""


def sign(
    repository: Store, document: Document, signer: Signer, *, forms: Sequence[Form] = BOTH
) -> Descriptor:
    """Sign a manifest or index that the repository holds; returns what holds the signature.

    The descriptor is the bundle's where that form is among `forms`, else the tagged manifest's.
    Raises what the signer and the repository raise.
    """
    statement = signature_of(document.digest)
    found = [_attach(repository, document, statement, signer, form) for form in forms]
    return found[0]


def attest(
    repository: Store,
    document: Document,
    statement: Statement,
    signer: Signer,
    *,
    forms: Sequence[Form] = BOTH,
) -> Descriptor:
    """Sign a statement and attach it to the manifest or index it is about; see sign().

    Raises ValueError when it is about something else.
    """
    if document.digest not in statement.subjects:
        raise ValueError(f"the statement is not about {document.digest}")
    found = [_attach(repository, document, statement, signer, form) for form in forms]
    return found[0]


def _attach(
    repository: Store, document: Document, statement: Statement, signer: Signer, form: Form
) -> Descriptor:
    if form == "bundle":
        return _attach_bundle(repository, document, statement, signer)
    if statement.predicate_type == SIGNATURE:
        return _add_signature(repository, document, statement, signer)
    return _add_attestation(repository, document, statement, signer)


def _attach_bundle(
    repository: Store, document: Document, statement: Statement, signer: Signer
) -> Descriptor:
    claims, _ = bundle_claims(repository, document.digest, statement.predicate_type)
    for claim in claims:
        if _same(claim, statement, signer):
            return claim.holder
    envelope = Envelope.signed(statement.payload(), IN_TOTO, signer)
    raw = Bundle(envelope, signer.public.hint).raw()
    made = bundle.referrer(document.descriptor, raw, statement.predicate_type)
    _push(repository, made.config, bundle.EMPTY)
    _push(repository, made.layers[0], raw)
    repository.put_manifest(made)
    return made.descriptor


def _add_signature(
    repository: Store, document: Document, statement: Statement, signer: Signer
) -> Descriptor:
    payload = tags.simple_payload(str(repository), document.digest)
    claims, _ = tag_claims(repository, document.digest, "sig")
    for claim in claims:
        if _same(claim, statement, signer):
            return claim.holder
    layer = tags.signature_layer(payload, signer.sign(payload))
    return _append(repository, document.digest, "sig", layer, payload)


def _add_attestation(
    repository: Store, document: Document, statement: Statement, signer: Signer
) -> Descriptor:
    claims, _ = tag_claims(repository, document.digest, "att")
    for claim in claims:
        if _same(claim, statement, signer):
            return claim.holder
    envelope = Envelope.signed(statement.payload(), IN_TOTO, signer)
    raw = canonical_json(envelope.to_json())
    layer = tags.attestation_layer(raw, statement.predicate_type)
    return _append(repository, document.digest, "att", layer, raw)


def _same(claim: Claim, statement: Statement, signer: Signer) -> bool:
    return claim.statement == statement and claim.signed_by(signer.public)


def _append(
    repository: Store, digest: str, kind: tags.Kind, layer: Descriptor, content: bytes
) -> Descriptor:
    """Put one layer more into the tagged manifest; those of other keys stay in it."""
    tag = tags.tag_for(digest, kind)
    try:
        layers = repository.manifest(tag).layers
    except NotFound:
        layers = ()
    made, config = tags.holder([*layers, layer])
    _push(repository, made.config, config)
    _push(repository, layer, content)
    repository.put_manifest(made, tag)
    return made.descriptor


def _push(repository: Store, descriptor: Descriptor, content: bytes) -> None:
    if repository.blob_exists(descriptor.digest):
        return

    @contextmanager
    def chunks() -> Iterator[Iterator[bytes]]:
        yield iter((content,))

    repository.push_blob(descriptor, chunks)
