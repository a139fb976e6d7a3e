"""`imgctl report`: one page that tells all about a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl import __version__
from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.releases_options import place_options, workload_of
from imgctl.signing_options import public_keys
from registry.errors import BadInput, ImgctlError, Refused

if TYPE_CHECKING:
    from builder.mirror import Mirror
    from registry.client import RegistryClient
    from registry.oci import Platform
    from registry.reference import Reference
    from registry.repository import Repository
    from registry.signing.statement import Statement
    from release.listing import Released
    from release.remote import RemoteImage
    from release.report import Findings, Signature
    from release.tags import TagScheme


@click.command(name="report")
@click.argument("image", metavar="IMAGE[:TAG]|REFERENCE")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the page there.  [default: stdout]")  # fmt: skip
@click.option("--key", "keys", multiple=True, metavar="FILE", envvar="IMGCTL_PUBLIC_KEY",
              help="Check signatures against this public key.")  # fmt: skip
@click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Has the bases, instead of nvcr.io.")
@click.option("--platform", default="linux/arm64", show_default=True, help="Which platform.")
@place_options
@registry_options
@format_option
def command(
    image: str,
    output: Path | None,
    keys: tuple[str, ...],
    base_mirror: str | None,
    platform: str,
    registry: RegistryFlags,
    output_format: str,
    **given: Any,
) -> None:
    """Write a page about a release: devices, layers, contents, changes, signatures, manifests.

    IMAGE is a name under --harbor or --registry (its newest release, unless :TAG is given), or a
    full reference. The page is one HTML file that fetches nothing.
    """
    from builder.matrix import Matrix
    from builder.mirror import Mirror
    from imgctl.output import print_json
    from registry.client import RegistryClient
    from registry.files import replace_text
    from registry.oci import Platform
    from release.remote import read_image
    from release.report import make_report, to_html

    reference = _reference(image, given)
    mirror = Mirror.parse(base_mirror) if base_mirror else None
    wanted = Platform.parse(platform)
    with RegistryClient(registry.options(reference.host)) as client:
        repository = client.repository(reference.host, reference.repository)
        found = read_image(repository, _newest(repository, reference, wanted), wanted)
        report = make_report(
            found,
            _findings(client, repository, found, mirror, wanted, keys),
            Matrix.load(),
            __version__,
        )
    if output_format == "json":
        print_json(report.to_json())
    if output is not None:
        try:
            replace_text(output, to_html(report))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ImgctlError(f"cannot write {output}", why, "choose another place") from error
        click.echo(str(output), err=True)
    elif output_format != "json":
        click.echo(to_html(report))


def _reference(text: str, given: dict[str, Any]) -> Reference:
    """Where the image is: as it is named, or under the place that options name."""
    from imgctl.push_options import place_of
    from registry.reference import Reference

    if "/" in text:
        return Reference.parse(text)
    place = place_of(given)
    name, _, tag = text.partition(":")
    return Reference.parse(f"{place.host}/{place.repository(name)}{':' if tag else ''}{tag}")


def _scheme() -> TagScheme:
    from imgctl.settings import section
    from release.tags import TagScheme

    return TagScheme.parse(section("tags"))


def _newest(repository: Repository, reference: Reference, platform: Platform) -> Reference:
    """The reference itself, or without a tag that of the newest release."""
    from release.listing import list_releases

    if reference.tag or reference.digest:
        return reference
    found = list_releases(repository, _scheme(), platform)
    if not found:
        raise BadInput(f"nothing of {reference.name} is released", "", "name a tag: IMAGE:TAG")
    return reference.with_tag(found[0].tag)


def _findings(
    client: RegistryClient,
    repository: Repository,
    image: RemoteImage,
    mirror: Mirror | None,
    platform: Platform,
    keys: tuple[str, ...],
) -> Findings:
    from release.contents import from_layers, from_sbom
    from release.diff import compare
    from release.listing import list_releases
    from release.remote import L4T
    from release.report import Findings

    digest = image.manifest.digest
    signature, statements = _signature(repository, digest, keys)
    base_layers = _base_layers(client, image, mirror, platform)
    parts, told = from_sbom(statements), "as the attached SBOM lists them"
    if parts is None:
        own = image.layers[base_layers:] if base_layers is not None else ()
        parts, unread = from_layers(repository, own)
        told = "as the image's own layers hold them"
        if base_layers is None:
            told = "There is no SBOM, and the base could not be read to tell what was added to it."
        elif unread:
            told += f"; {unread} of {len(own)} layers could not be looked into"
    l4t = image.labels.get(L4T)
    releases = list_releases(repository, _scheme(), platform, l4t) if l4t else []
    earlier = _earlier(releases, digest)
    changes = None
    if earlier is not None:
        difference = compare(earlier.image, repository, image, repository)
        changes = [change for change in difference.changes if change.what != "label"]
    return Findings(
        signature=signature,
        base_layers=base_layers,
        previous=str(earlier.version) if earlier else "",
        changes=changes,
        contents=parts,
        contents_from=told,
        releases=releases,
        workload=workload_of(image.reference.repository.rpartition("/")[2], image.labels),
    )


def _base_layers(
    client: RegistryClient, image: RemoteImage, mirror: Mirror | None, platform: Platform
) -> int | None:
    """How many layers the base has; None when it cannot be read, or the image is not on it."""
    from builder.base_image import read_base
    from registry.reference import Reference
    from release.rebase import check_stands_on
    from release.remote import BASE_DIGEST, BASE_NAME

    name, digest = image.labels.get(BASE_NAME), image.labels.get(BASE_DIGEST)
    if not name or not digest:
        return None
    try:
        base = Reference.parse(name).with_digest(digest)
        place = mirror.of(base) if mirror else base
        found = read_base(client.repository(place.host, place.repository), base, place, platform)
        check_stands_on(image, found)
    except ImgctlError as error:
        click.echo(f"note: the base cannot be looked at: {error.what}", err=True)
        return None
    return len(found.manifest.layers)


def _earlier(releases: list[Released], digest: str) -> Released | None:
    """The release before the one with this digest; releases are sorted, the newest first."""
    this = next((item for item in releases if item.digest == digest), None)
    if this is None:
        return None
    below = [item for item in releases if item.version < this.version]
    return below[0] if below else None


def _signature(
    repository: Repository, digest: str, keys: tuple[str, ...]
) -> tuple[Signature, list[Statement]]:
    """What is to be said of signatures, and what may be believed of what is attached.

    With keys that is only what one of them signed; without, whatever there is.
    """
    from registry.signing.claims import read_claims
    from registry.signing.statement import SIGNATURE
    from registry.signing.verify import verify
    from release.report import NOT_SIGNED, Signature

    trusted = public_keys(keys) if keys else []
    claims, unread = read_claims(repository, digest)
    statements = [claim.statement for claim in claims]
    signed = any(item.predicate_type == SIGNATURE for item in statements)
    if not signed and unread:
        return Signature(f"cannot be read: {unread[0].place}; {unread[0].why}", "bad"), []
    if not signed:
        # Who brings a key expects a signature.
        return (Signature(NOT_SIGNED.text, "bad"), []) if keys else (NOT_SIGNED, statements)
    if not keys:
        told = "a signature is attached; it was not checked against a key"
        return Signature(told), statements
    try:
        verified = verify(repository, digest, trusted)
    except Refused as error:
        why = f"; {error.why}" if error.why else ""
        return Signature(f"not to be trusted: {error.what}{why}", "bad"), []
    names = sorted({item.hint for item in verified.signatures})
    told = f"good, by key {', '.join(names)}"
    return Signature(told, "good"), [item.statement for item in verified.attestations]
