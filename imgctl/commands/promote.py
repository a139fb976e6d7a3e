"""`imgctl promote`: a release goes on to another project or Harbor, by digest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.signing_options import policy_of, public_keys

if TYPE_CHECKING:
    from release.promote import Check


@click.command(name="promote")
@click.argument("image", metavar="REFERENCE")
@click.option("--to", required=True, metavar="HOST/PROJECT[:TAG]", help="Where it goes.")
@click.option("--key", "keys", multiple=True, metavar="FILE", envvar="IMGCTL_PUBLIC_KEY",
              help="Only what this public key signed; checked before and after.")  # fmt: skip
@click.option("--policy", "policy_file", metavar="FILE",
              type=click.Path(dir_okay=False, path_type=Path),
              help="Rules on how it was made, as in `imgctl verify`.")  # fmt: skip
@click.option(
    "--move",
    is_flag=True,
    help="Also a tag that names a version may name another image there already.",
)
@click.option("--dry-run", is_flag=True, help="Look at everything, change nothing.")
@registry_options
@format_option
def command(
    image: str,
    to: str,
    keys: tuple[str, ...],
    policy_file: Path | None,
    move: bool,
    dry_run: bool,
    registry: RegistryFlags,
    output_format: str,
) -> None:
    """Copy the image REFERENCE with its signatures, provenance and SBOMs; the digest stays.

    Within one registry blobs are mounted, none are sent. The tag is the image's own unless --to
    names another. It moves last, once what arrived has been checked; one that names a version
    (1.4.0, 1.4.0-l4t-r35.2.1) is not taken from another image.
    """
    from imgctl.output import print_json
    from imgctl.progress import moved
    from imgctl.progress import progress as shown
    from imgctl.settings import section
    from registry.client import RegistryClient
    from registry.reference import Reference
    from registry.transfer import CopyOptions
    from release.promote import promote, resolve
    from release.tags import TagScheme

    check = _check(keys, policy_file)
    source = Reference.parse(image)
    options = CopyOptions(concurrency=registry.concurrency, referrers=True, dry_run=dry_run)
    login = to.partition("/")[0]
    with shown() as progress, RegistryClient(registry.options(login), progress) as client:
        promotion = replace(resolve(client, source, to), move=move)
        scheme = TagScheme.parse(section("tags"))
        done = promote(client, promotion, check, options=options, scheme=scheme, progress=progress)
    if output_format == "json":
        print_json(done.to_json() | ({"dry_run": True} if dry_run else {}))
        return
    click.echo(f"{promotion.target}@{done.digest}")
    what = "already there" if done.unchanged else moved(done.tally, would=dry_run)
    click.echo(f"  {what}, {done.requests} requests", err=True)


def _check(keys: tuple[str, ...], policy_file: Path | None) -> Check:
    """What an image must pass; nothing without keys."""
    from registry.errors import BadInput

    if not keys:
        if policy_file:
            raise BadInput("--policy needs --key", "a policy is about what someone signed")
        return lambda store, digest: None
    from registry.signing.verify import verify
    from registry.store import Store

    trusted, policy = public_keys(keys), policy_of(policy_file)

    def check(store: Store, digest: str) -> None:
        verify(store, digest, trusted, policy)

    return check
