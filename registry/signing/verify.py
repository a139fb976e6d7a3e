"""Deciding whether an image is what someone we trust signed, and made as we allow.

Only keys are trusted: transparency logs and certificates are not looked at, so nothing but the
registry has to be reached.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry.errors import CorruptContent, NotFound, Refused
from registry.oci import Descriptor, Document, Platform
from registry.signing.claims import Claim, Form, PassedOver, printable, read_claims
from registry.signing.keys import PublicKey
from registry.signing.policy import NO_POLICY, Policy, Provenance
from registry.signing.statement import PROVENANCE, SIGNATURE, Statement
from registry.store import Store

_MOST_REASONS = 3


@dataclass(frozen=True)
class Believed:
    """A claim that one of the trusted keys signed, about this very image. hint: the key's."""

    form: Form
    place: str
    statement: Statement
    hint: str


@dataclass(frozen=True)
class Verified:
    """An image that passed. platforms: those it is for. passed_over: what else was attached."""

    descriptor: Descriptor
    platforms: tuple[Platform, ...]
    signatures: tuple[Believed, ...]
    attestations: tuple[Believed, ...]
    passed_over: tuple[PassedOver, ...]

    @property
    def provenance(self) -> tuple[Provenance, ...]:
        """What its provenance says."""
        return tuple(
            Provenance.read(item.statement)
            for item in self.attestations
            if item.statement.predicate_type == PROVENANCE
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "digest": self.descriptor.digest,
            "media_type": self.descriptor.media_type,
            "platforms": [str(item) for item in self.platforms],
            "signatures": [
                {"form": item.form, "key": item.hint, "place": item.place}
                for item in self.signatures
            ],
            "attestations": [
                {
                    "form": item.form,
                    "key": item.hint,
                    "place": item.place,
                    "predicate_type": item.statement.predicate_type,
                }
                for item in self.attestations
            ],
            "provenance": [
                {
                    "builder": item.builder,
                    "bases": [names[0] for names in item.images],
                    "sources": list(item.sources),
                }
                for item in self.provenance
            ],
            "passed_over": [{"place": item.place, "why": item.why} for item in self.passed_over],
        }


def verify(
    repository: Store, digest: str, keys: Sequence[PublicKey], policy: Policy = NO_POLICY
) -> Verified:
    """Check the manifest or index with this digest against keys, of which any will do, and policy.

    Raises Refused with the reason, NotFound when there is no such manifest, and RegistryError
    when the registry does not answer as it should.
    """
    document = repository.manifest(digest)
    claims, passed_over = read_claims(repository, digest)
    believed: list[Believed] = []
    for claim in claims:
        found = _check(claim, digest, keys)
        if isinstance(found, str):
            passed_over.append(PassedOver(claim.place, found))
        else:
            believed.append(Believed(claim.form, claim.place, claim.statement, found.hint))
    verified = Verified(
        document.descriptor,
        _platforms(repository, document),
        tuple(item for item in believed if item.statement.predicate_type == SIGNATURE),
        tuple(item for item in believed if item.statement.predicate_type != SIGNATURE),
        tuple(passed_over),
    )
    _check_signed(repository, verified)
    _check_policy(repository, document, verified, policy)
    return verified


def _check(claim: Claim, digest: str, keys: Sequence[PublicKey]) -> PublicKey | str:
    """The key that signed the claim, or why it is not believed."""
    key = next((key for key in keys if claim.signed_by(key)), None)
    if key is None:
        if claim.hint and all(claim.hint != item.hint for item in keys):
            return printable(f"it is signed with another key ({claim.hint})")
        return "no trusted key made its signature, or its content was changed"
    if digest not in claim.statement.subjects:
        others = ", ".join(claim.statement.subjects) or "nothing"
        return printable(f"it is for another image: {others}")
    return key


def _check_signed(repository: Store, verified: Verified) -> None:
    if verified.signatures:
        return
    name = f"{repository}@{verified.descriptor.digest}"
    if not verified.passed_over:
        hint = "sign it with `imgctl sign`, or copy it together with its referrers"
        raise Refused(f"{name} is not signed", "nothing that signs it is attached", hint)
    hint = "do not run it before you know who pushed it; name the right key with --key"
    raise Refused(f"{name} has no valid signature", _reasons(verified.passed_over), hint)


def _check_policy(
    repository: Store, document: Document, verified: Verified, policy: Policy
) -> None:
    name = f"{repository}@{document.digest}"
    why = policy.why_not_platform(verified.platforms)
    if why:
        raise Refused(f"{name} is for another platform", why)
    attested = frozenset(item.statement.predicate_type for item in verified.attestations)
    missing = policy.missing(attested)
    if missing:
        reasons = _reasons(verified.passed_over) or "none is attached"
        hint = "attach it with `imgctl attest`"
        raise Refused(f"{name} has no signed {missing}, which the policy requires", reasons, hint)
    reasons_against = [item.why_not(policy, document) for item in verified.provenance]
    if reasons_against and all(reasons_against):
        raise Refused(f"{name} is not allowed by the policy", "; ".join(reasons_against))


def _reasons(passed_over: Sequence[PassedOver]) -> str:
    """Why nothing was believed, each reason once; where each thing is, the error need not say."""
    unique = list(dict.fromkeys(item.why for item in passed_over))
    more = f"; and {len(unique) - _MOST_REASONS} more" if len(unique) > _MOST_REASONS else ""
    return "; ".join(unique[:_MOST_REASONS]) + more


def _platforms(repository: Store, document: Document) -> tuple[Platform, ...]:
    if document.is_index:
        return tuple(item.platform for item in document.manifests if item.platform is not None)
    try:
        value = json.loads(repository.blob_bytes(document.config))
    except NotFound:
        return ()
    except (ValueError, RecursionError) as error:
        raise CorruptContent(f"the config of {document.digest} is not JSON") from error
    return (Platform.from_json(value),) if isinstance(value, dict) else ()
