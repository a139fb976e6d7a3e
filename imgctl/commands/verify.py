"""`imgctl verify`: whether an image is signed by someone we trust, and made as we allow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.signing_options import policy_of, public_keys

if TYPE_CHECKING:
    from registry.reference import Reference
    from registry.signing.verify import Verified


@click.command(name="verify")
@click.argument("image")
@click.option("--key", "keys", multiple=True, metavar="FILE", envvar="IMGCTL_PUBLIC_KEY",
              help="Public key in PEM, or env://NAME; of several, any will do.")  # fmt: skip
@click.option("--policy", "policy_file", metavar="FILE",
              type=click.Path(dir_okay=False, path_type=Path),
              help="Rules in YAML: bases, builders, sources, platforms, require. "
              "[default: `policy` in imgctl.yaml]")  # fmt: skip
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where builds are.")  # fmt: skip
@registry_options
@format_option
def command(
    image: str,
    keys: tuple[str, ...],
    policy_file: Path | None,
    dist: Path,
    registry: RegistryFlags,
    output_format: str,
) -> None:
    """Check who signed IMAGE and how it was made; exit 3 when that is not as it should be.

    IMAGE is a reference, HOST/REPOSITORY:TAG or @sha256:…, or the name of an image pushed from
    here. Signatures and attestations of imgctl and of cosign with a key pair are read, in both
    forms; nothing but the registry is asked. A policy file holds patterns, all optional:

    \b
      bases: [nvcr.io/nvidia/l4t-*]
      builders: ["https://github.com/acme/images/*"]
      sources: ["https://github.com/acme/images"]
      platforms: [linux/arm64]
      require: [provenance, sbom]
    """
    from imgctl.artifact import read_artifact, reference_of
    from imgctl.output import print_json
    from registry.client import RegistryClient
    from registry.signing.verify import verify

    trusted = public_keys(keys)
    policy = policy_of(policy_file)
    reference = reference_of(image, dist)
    with RegistryClient(registry.options(reference.host)) as client:
        repository = client.repository(reference.host, reference.repository)
        digest = reference.digest or read_artifact(repository, reference).digest
        verified = verify(repository, digest, trusted, policy)
    if output_format == "json":
        print_json({"reference": f"{reference.name}@{digest}", **verified.to_json()})
    else:
        _print(reference, verified)


def _print(reference: Reference, verified: Verified) -> None:
    from registry.signing.statement import PROVENANCE

    click.echo(f"verified {reference.name}@{verified.descriptor.digest}")
    click.echo(f"  platform   {', '.join(map(str, verified.platforms)) or 'none named'}")
    for hint, forms in _by_key(verified).items():
        click.echo(f"  signature  key {hint}, {' and '.join(forms)}")
    for item in verified.provenance[:1]:
        click.echo(f"  builder    {item.builder or 'not said'}")
        for names in item.images:
            click.echo(f"  base       {names[0]}")
        for source in item.sources:
            click.echo(f"  source     {source}")
    kinds = dict.fromkeys(item.statement.predicate_type for item in verified.attestations)
    for kind in kinds:
        if kind != PROVENANCE:
            click.echo(f"  attested   {kind}")
    for line in verified.passed_over:
        click.echo(f"imgctl: not believed: {line}", err=True)


def _by_key(verified: Verified) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in verified.signatures:
        forms = found.setdefault(item.hint, [])
        if item.form not in forms:
            forms.append(item.form)
    return found
