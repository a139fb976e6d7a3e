"""`imgctl verify`: whether an image is signed by someone we trust, and made as we allow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.signing_options import policy_of, public_keys

if TYPE_CHECKING:
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

    IMAGE is a reference, HOST/REPOSITORY:TAG or @sha256:…, the name of an image pushed from here,
    or, where there is no network, oci:DIR[:TAG] or oci-archive:FILE[:TAG]. Signatures and
    attestations of imgctl and of cosign with a key pair are read, in both forms; nothing but the
    registry is asked. A policy file holds patterns, all optional:

    \b
      bases: [nvcr.io/nvidia/l4t-*]
      builders: ["https://github.com/acme/images/*"]
      sources: ["https://github.com/acme/images"]
      platforms: [linux/arm64]
      require: [provenance, sbom]
    """
    from imgctl.artifact import place_of
    from imgctl.output import print_json
    from registry.client import RegistryClient
    from registry.signing.verify import verify

    trusted = public_keys(keys)
    policy = policy_of(policy_file)
    place = place_of(image, dist)
    with (
        RegistryClient(registry.options(place.host)) as client,
        place.open_source(client) as store,
    ):
        verified = verify(store, store.manifest(place.only_name(store)).digest, trusted, policy)
    named = f"{place}@{verified.descriptor.digest}"
    if output_format == "json":
        print_json({"reference": named, **verified.to_json()})
    else:
        _print(named, verified)


def _print(named: str, verified: Verified) -> None:
    from registry.signing.statement import PROVENANCE
    from registry.text import visible

    click.echo(f"verified {named}")
    click.echo(f"  platform   {', '.join(map(str, verified.platforms)) or 'none named'}")
    for hint, forms in _by_key(verified).items():
        click.echo(f"  signature  key {hint}, {' and '.join(forms)}")
    for item in verified.provenance[:1]:
        lines = [f"  builder    {item.builder or 'not said'}"]
        lines += [f"  base       {names[0]}" for names in item.images]
        lines += [f"  source     {source}" for source in item.sources]
        for line in lines:
            click.echo(visible(line, lines=False))
    kinds = dict.fromkeys(item.statement.predicate_type for item in verified.attestations)
    for kind in kinds:
        if kind != PROVENANCE:
            click.echo(f"  attested   {visible(kind, lines=False)}")
    for other in verified.passed_over:
        click.echo(f"imgctl: not believed: {other}", err=True)


def _by_key(verified: Verified) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in verified.signatures:
        forms = found.setdefault(item.hint, [])
        if item.form not in forms:
            forms.append(item.form)
    return found
