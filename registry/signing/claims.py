"""What is attached to an image and says something of it: read, and not yet believed.

Anyone who may push can attach anything. So what cannot be read is told of and passed over: it
must not hide a good signature beside it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from registry.errors import CorruptContent, NotFound
from registry.oci import Descriptor, Document
from registry.signing import tags
from registry.signing.bundle import PREDICATE_TYPE, Bundle, is_bundle
from registry.signing.dsse import IN_TOTO, Envelope
from registry.signing.keys import PublicKey
from registry.signing.statement import Statement, signature_of
from registry.store import Store
from registry.workers import work

Form = Literal["bundle", "tag"]
"""bundle: a referrer with a Sigstore bundle. tag: cosign 2's `sha256-<hex>.sig` and `.att`."""

_LARGEST = 64 << 20  # bytes; an SBOM of many files, in base64 twice over
_MOST = 200  # claims read of one image
_AT_ONCE = 4


@dataclass(frozen=True)
class Claim:
    """A signed statement. place: where it is, for messages. holder: the manifest it is in.

    hint: the key's, as it says itself; empty when it says nothing.
    """

    form: Form
    place: str
    holder: Descriptor
    statement: Statement
    hint: str
    signed_by: Callable[[PublicKey], bool] = field(compare=False, repr=False)


@dataclass(frozen=True)
class PassedOver:
    """Something attached that is not believed. place: where it is. why: one line."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


Claims = tuple[list[Claim], list[PassedOver]]
"""Claims, and what could not be read."""


def read_claims(repository: Store, digest: str) -> Claims:
    """Everything attached to a manifest in either form; raises RegistryError."""
    jobs: list[Callable[[], Claims]] = [
        lambda: bundle_claims(repository, digest),
        lambda: tag_claims(repository, digest, "sig"),
        lambda: tag_claims(repository, digest, "att"),
    ]
    parts = work(lambda job: job(), jobs, len(jobs), threading.Event())
    return [item for part in parts for item in part[0]], [
        item for part in parts for item in part[1]
    ]


def bundle_claims(repository: Store, digest: str, predicate_type: str = "") -> Claims:
    """The bundles among a manifest's referrers, of one predicate type or of all."""
    listed = [item for item in repository.referrers(digest) if _may_be_bundle(item)]
    if predicate_type:
        # Lists made by other tools may lack annotations: those have to be looked into.
        stated = (predicate_type, None)
        listed = [item for item in listed if item.annotations.get(PREDICATE_TYPE) in stated]

    def read(entry: Descriptor) -> list[Claim]:
        document = repository.manifest(entry.digest)
        if not is_bundle(str(document.value.get("artifactType") or "")):
            return []
        if len(document.layers) != 1:
            raise CorruptContent("it is not a bundle", f"it has {len(document.layers)} layers")
        return [_from_bundle(document, repository.blob_bytes(document.layers[0], _LARGEST))]

    return _read_all(listed, read, lambda entry: f"referrer {entry.digest}")


def tag_claims(repository: Store, digest: str, kind: tags.Kind) -> Claims:
    """The signatures or attestations under an image's tag."""
    tag = tags.tag_for(digest, kind)
    try:
        document = repository.manifest(tag)
    except NotFound:
        return [], []

    def read(layer: Descriptor) -> list[Claim]:
        content = repository.blob_bytes(layer, _LARGEST)
        make = _from_signature if kind == "sig" else _from_attestation
        return [make(document, f"tag {tag}", layer, content)]

    return _read_all(list(document.layers), read, lambda layer: f"tag {tag}, {layer.digest}")


def _read_all(
    items: list[Descriptor],
    read: Callable[[Descriptor], list[Claim]],
    place: Callable[[Descriptor], str],
) -> Claims:
    def attempt(item: Descriptor) -> list[Claim] | PassedOver:
        try:
            return read(item)
        except NotFound:
            return PassedOver(place(item), "it is listed and not there")
        except CorruptContent as error:
            why = f"{error.what} ({error.why})" if error.why else error.what
            return PassedOver(place(item), printable(why))

    claims: list[Claim] = []
    unread: list[PassedOver] = []
    for outcome in work(attempt, items[:_MOST], _AT_ONCE, threading.Event()):
        if isinstance(outcome, PassedOver):
            unread.append(outcome)
        else:
            claims += outcome
    if len(items) > _MOST:
        why = f"{len(items) - _MOST} more of its kind were not looked at"
        unread.append(PassedOver(place(items[_MOST]), why))
    return claims, unread


def printable(text: str) -> str:
    """Text that a stranger wrote, made fit for a terminal: no control characters, not too long."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    return plain if len(plain) <= 200 else plain[:199] + "…"


def _may_be_bundle(entry: Descriptor) -> bool:
    """By what the list says; some clients write the config's type in place of the artifact's."""
    stated = str(entry.extra.get("artifactType") or "")
    return is_bundle(stated) or not stated or stated.startswith("application/vnd.oci.empty")


def _from_bundle(document: Document, raw: bytes) -> Claim:
    found = Bundle.parse(raw)
    statement = _statement(found.envelope)
    place = f"referrer {document.digest}"
    return Claim(
        "bundle", place, document.descriptor, statement, found.hint, found.envelope.signed_by
    )


def _from_signature(document: Document, place: str, layer: Descriptor, payload: bytes) -> Claim:
    signature = tags.signature_in(layer)
    statement = signature_of(tags.signed_digest(payload))
    return Claim(
        "tag",
        place,
        document.descriptor,
        statement,
        "",
        lambda key: key.verifies(signature, payload),
    )


def _from_attestation(document: Document, place: str, layer: Descriptor, raw: bytes) -> Claim:
    try:
        envelope = Envelope.from_json(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise CorruptContent("it is not a DSSE envelope", "it is not JSON") from error
    statement = _statement(envelope)
    return Claim("tag", place, document.descriptor, statement, "", envelope.signed_by)


def _statement(envelope: Envelope) -> Statement:
    if envelope.payload_type != IN_TOTO:
        raise CorruptContent("it holds no in-toto statement", envelope.payload_type[:120])
    return Statement.parse(envelope.payload)
