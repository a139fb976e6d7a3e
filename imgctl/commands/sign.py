"""`imgctl sign`: say with a key that an image in a registry is ours."""

from __future__ import annotations

from pathlib import Path

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.signing_options import KeyFlags, key_options, new_password
from registry.errors import BadInput


@click.command(name="sign")
@click.argument("image", required=False)
@key_options
@click.option("--generate-key", metavar="PREFIX", type=click.Path(path_type=Path),
              help="Write a new pair, PREFIX.key (encrypted) and PREFIX.pub.")  # fmt: skip
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where builds are.")  # fmt: skip
@registry_options
@format_option
def command(
    image: str | None,
    keys: KeyFlags,
    generate_key: Path | None,
    dist: Path,
    registry: RegistryFlags,
    output_format: str,
) -> None:
    """Sign IMAGE where it lies, in its registry or in a layout.

    IMAGE is a reference, HOST/REPOSITORY:TAG or @sha256:…, the name of an image pushed from here,
    or oci:DIR[:TAG]. The signature is over its digest, in the forms that cosign reads; no other
    tool and no service is needed. The key's password comes from IMGCTL_KEY_PASSWORD or
    COSIGN_PASSWORD, or is asked for.
    """
    if generate_key is not None:
        if image is not None:
            raise BadInput("give an image to sign or --generate-key, not both")
        _generate(generate_key, output_format)
        return
    if image is None:
        raise BadInput("which image?", "", "name one in a registry, or one pushed from here")
    _sign(image, keys, dist, registry, output_format)


def _sign(
    image: str, keys: KeyFlags, dist: Path, registry: RegistryFlags, output_format: str
) -> None:
    from imgctl.artifact import place_of
    from imgctl.output import print_json
    from registry.client import RegistryClient
    from registry.location import ARCHIVE
    from registry.signing.attach import sign

    place = place_of(image, dist)
    if place.scheme == ARCHIVE:
        raise BadInput(f"{place} is an archive", "what is in one is not changed",
                       "sign it in its registry, and copy it with --referrers")  # fmt: skip
    signer = keys.signer()
    with (
        RegistryClient(registry.options(place.host)) as client,
        place.open_source(client, push=True) as store,
    ):
        document = store.manifest(place.only_name(store))
        attached = sign(store, document, signer, forms=keys.forms)
    named = f"{place}@{document.digest}"
    if output_format == "json":
        print_json(
            {
                "reference": named,
                "digest": document.digest,
                "key": signer.public.hint,
                "signature": attached.to_json(),
            }
        )
    else:
        click.echo(f"signed {named}")
        click.echo(f"  key        {signer.public.hint}")
        click.echo(f"  signature  {attached.digest}")


def _generate(prefix: Path, output_format: str) -> None:
    from imgctl.output import print_json
    from registry.signing.keys import PrivateKey, write_pair

    key = PrivateKey.generate()
    private, public = write_pair(key, prefix, new_password())
    if output_format == "json":
        print_json({"private": str(private), "public": str(public), "key": key.public.hint})
    else:
        click.echo(f"{private}  keep it secret; it is encrypted with the password")
        click.echo(f"{public}  give it to whoever verifies")
