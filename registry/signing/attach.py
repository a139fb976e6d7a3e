"""Attaching signatures and attestations to an image that is in a repository.

Doing so twice adds nothing: what is there, says the same and is signed by the same key stays the
only one. So a release that was interrupted can simply sign again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from registry.errors import NotFound, RegistryError
from registry.oci import Descriptor, Document, canonical_json
from registry.origin import RemoteStore, put_referrers
from registry.signing import bundle, tags
from registry.signing.bundle import Bundle
from registry.signing.claims import Claim, Form, bundle_claims, tag_claims
from registry.signing.dsse import IN_TOTO, Envelope
from registry.signing.keys import PublicKey, Signer
from registry.signing.statement import SIGNATURE, Statement, signature_of
from registry.store import Store
from registry.workers import work

BOTH: tuple[Form, ...] = ("bundle", "tag")
"""What every verifier finds: cosign 3 and Harbor 2.15 read bundles, older ones only tags."""

_WRITES = 4
_AT_ONCE = 4

Attached = dict[Statement, Descriptor]
"""The manifest that holds each statement."""


def sign(
    repository: Store, document: Document, signer: Signer, *, forms: Sequence[Form] = BOTH
) -> Descriptor:
    """Sign a manifest or index that the repository holds; returns what holds the signature.

    The descriptor is the bundle's where that form is among `forms`, else the tagged manifest's.
    Raises what the signer and the repository raise.
    """
    return attach(repository, document, [signature_of(document.digest)], signer, forms=forms)[0]


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
    return attach(repository, document, [statement], signer, forms=forms)[0]


def attach(
    repository: Store,
    document: Document,
    statements: Sequence[Statement],
    signer: Signer,
    *,
    forms: Sequence[Form] = BOTH,
) -> list[Descriptor]:
    """Sign and attach several statements at once, `signature_of(digest)` among them or not.

    Returns what holds each, in their order; see sign() and attest().
    """
    if any(document.digest not in item.subjects for item in statements):
        raise ValueError(f"a statement is not about {document.digest}")
    plain = [item for item in statements if item.predicate_type == SIGNATURE]
    others = [item for item in statements if item.predicate_type != SIGNATURE]
    jobs: list[Callable[[], Attached]] = []
    if "bundle" in forms:
        jobs.append(lambda: _bundles(repository, document, statements, signer))
    if "tag" in forms and plain:
        jobs.append(lambda: _signatures(repository, document, plain, signer))
    if "tag" in forms and others:
        jobs.append(lambda: _attestations(repository, document, others, signer))
    made = work(lambda job: job(), jobs, len(jobs), threading.Event())
    # A bundle's manifest comes first, and so is the one that is told of.
    return [next(part[item] for part in made if item in part) for item in statements]


def pending(
    repository: Store,
    digest: str,
    statements: Sequence[Statement],
    public: PublicKey,
    *,
    forms: Sequence[Form] = BOTH,
) -> list[str]:
    """What attach() would put, changing nothing: a tag, or the type of a bundle, for each manifest.

    Empty when all is attached.
    """
    plain = [item for item in statements if item.predicate_type == SIGNATURE]
    others = [item for item in statements if item.predicate_type != SIGNATURE]
    found = []
    if "bundle" in forms:
        claims, _ = bundle_claims(repository, digest)
        found += [item.predicate_type for item in _split(claims, statements, public)[1]]
    kinds: list[tuple[tags.Kind, list[Statement]]] = [("sig", plain), ("att", others)]
    for kind, wanted in kinds if "tag" in forms else ():
        claims, _ = tag_claims(repository, digest, kind)
        if _split(claims, wanted, public)[1]:
            found.append(tags.tag_for(digest, kind))
    return found


def _bundles(
    repository: Store, document: Document, statements: Sequence[Statement], signer: Signer
) -> Attached:
    """One referrer per statement."""
    only = statements[0].predicate_type if len(statements) == 1 else ""
    claims, _ = bundle_claims(repository, document.digest, only)
    attached, missing = _split(claims, statements, signer.public)
    contents = {item: _bundle(item, signer) for item in missing}
    made = {
        item: bundle.referrer(document.descriptor, raw, item.predicate_type)
        for item, raw in contents.items()
    }
    blobs = {made[item].layers[0]: raw for item, raw in contents.items()}
    empty = next((manifest.config for manifest in made.values()), None)
    if empty is not None and not repository.blob_exists(empty.digest):
        blobs[empty] = bundle.EMPTY
    _push_all(repository, blobs)
    put_referrers(repository, list(made.values()))
    return attached | {statement: manifest.descriptor for statement, manifest in made.items()}


def _bundle(statement: Statement, signer: Signer) -> bytes:
    envelope = Envelope.signed(statement.payload(), IN_TOTO, signer)
    return Bundle(envelope, signer.public.hint).raw()


def _signatures(
    repository: Store, document: Document, statements: Sequence[Statement], signer: Signer
) -> Attached:
    claims, _ = tag_claims(repository, document.digest, "sig")
    attached, missing = _split(claims, statements, signer.public)
    if missing:
        # A folder's name is nobody's business, and nobody's identity.
        name = str(repository) if isinstance(repository, RemoteStore) else ""
        payload = tags.simple_payload(name, document.digest)
        layer = tags.signature_layer(payload, signer.sign(payload))
        holder = _append(repository, document.digest, "sig", {layer: payload})
        attached |= dict.fromkeys(missing, holder)
    return attached


def _attestations(
    repository: Store, document: Document, statements: Sequence[Statement], signer: Signer
) -> Attached:
    claims, _ = tag_claims(repository, document.digest, "att")
    attached, missing = _split(claims, statements, signer.public)
    if missing:
        added = {}
        for statement in missing:
            envelope = Envelope.signed(statement.payload(), IN_TOTO, signer)
            raw = canonical_json(envelope.to_json())
            added[tags.attestation_layer(raw, statement.predicate_type)] = raw
        holder = _append(repository, document.digest, "att", added)
        attached |= dict.fromkeys(missing, holder)
    return attached


def _split(
    claims: Sequence[Claim], statements: Sequence[Statement], public: PublicKey
) -> tuple[Attached, list[Statement]]:
    """The statements that are attached already under a key, and those that are not."""
    attached: Attached = {}
    for statement in statements:
        for claim in claims:
            if claim.statement == statement and claim.signed_by(public):
                attached[statement] = claim.holder
                break
    return attached, [item for item in statements if item not in attached]


def _append(
    repository: Store, digest: str, kind: tags.Kind, added: Mapping[Descriptor, bytes]
) -> Descriptor:
    """Put more layers into the tagged manifest; those of other keys stay in it.

    Two that do so at once can lose a layer, so we look again after writing.
    """
    tag = tags.tag_for(digest, kind)
    _push_all(repository, added)
    for _ in range(_WRITES):
        found = _at(repository, tag)
        layers = found.layers if found else ()
        missing = [layer for layer in added if layer not in layers]
        if found and not missing:
            return found.descriptor
        made, config = tags.holder([*layers, *missing])
        _push_all(repository, {made.config: config})
        repository.put_manifest(made, tag)
    found = _at(repository, tag)
    if found and all(layer in found.layers for layer in added):
        return found.descriptor
    raise RegistryError(
        f"cannot add to the tag {tag} in {repository}",
        "others keep writing it",
        "run the same command again",
    )


def _at(repository: Store, tag: str) -> Document | None:
    try:
        return repository.manifest(tag)
    except NotFound:
        return None


def _push_all(repository: Store, blobs: Mapping[Descriptor, bytes]) -> None:
    """Send small blobs, several at once."""

    def push(descriptor: Descriptor) -> None:
        @contextmanager
        def chunks() -> Iterator[Iterator[bytes]]:
            yield iter((blobs[descriptor],))

        repository.push_blob(descriptor, chunks)

    work(push, blobs, _AT_ONCE, threading.Event())
