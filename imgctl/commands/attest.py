"""`imgctl attest`: attach how an image was built and what is in it, signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl import __version__
from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.signing_options import KeyFlags, key_options
from imgctl.signing_options import builder_id as this_builder
from registry.errors import BadInput

if TYPE_CHECKING:
    from builder.statements import Kind
    from registry.reference import Reference
    from registry.signing.statement import Statement


@click.command(name="attest")
@click.argument("image")
@click.option("--type", "kinds", multiple=True,
              type=click.Choice(["provenance", "spdx", "cyclonedx"]),
              help="Attach only this; may be repeated.  [default: all]")  # fmt: skip
@click.option("--builder-id", metavar="URI",
              help="Who ran the build.  [default: the workflow in GitHub Actions]")  # fmt: skip
@click.option("-o", "--output", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Write the documents there, too.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Attach nothing, and need no key.")
@key_options
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where builds are.")  # fmt: skip
@registry_options
@format_option
def command(
    image: str,
    kinds: tuple[Kind, ...],
    builder_id: str | None,
    output: Path | None,
    dry_run: bool,
    keys: KeyFlags,
    dist: Path,
    registry: RegistryFlags,
    output_format: str,
) -> None:
    """Attach signed provenance (SLSA v1) and SBOMs (SPDX 2.3, CycloneDX 1.6) to IMAGE.

    IMAGE is a reference, HOST/REPOSITORY:TAG or @sha256:…, or the name of an image pushed from
    here; its build must still be in dist/. The SBOMs list what was added to the base, which is
    named by its digest.
    """
    from builder.statements import KINDS, Maker, statements
    from imgctl.artifact import build_of, reference_of
    from registry.client import RegistryClient
    from registry.signing.attach import attach

    reference = reference_of(image, dist)
    signer = None if dry_run else keys.signer()
    attached: dict[Kind, str] = {}
    with RegistryClient(registry.options(reference.host)) as client:
        repository = client.repository(reference.host, reference.repository, push=not dry_run)
        document = repository.manifest(reference.target)
        record, folder = build_of(document.digest, dist)
        maker = Maker(__version__, builder_id or this_builder())
        made = statements(record, folder, reference, maker, kinds or KINDS)
        if signer is not None:
            held = attach(repository, document, list(made.values()), signer, forms=keys.forms)
            attached = {kind: item.digest for kind, item in zip(made, held, strict=True)}
    written = _write(made, output, str(record.value["image"])) if output else {}
    _report(reference.with_digest(document.digest), made, attached, written, output_format)


def _write(made: dict[Kind, Statement], folder: Path, name: str) -> dict[Kind, str]:
    """Write each statement's predicate, the document itself; the paths by kind."""
    from release.seal import write_documents

    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = write_documents(made, folder, name)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot write to {folder}", why) from error
    return {kind: str(path) for kind, path in written.items()}


def _report(
    reference: Reference,
    made: dict[Kind, Statement],
    attached: dict[Kind, str],
    written: dict[Kind, str],
    output_format: str,
) -> None:
    from imgctl.output import print_json

    if output_format == "json":
        listed = [
            {
                "type": kind,
                "predicate_type": statement.predicate_type,
                "attached": attached.get(kind),
                "file": written.get(kind),
                "predicate": statement.predicate,
            }
            for kind, statement in made.items()
        ]
        print_json(
            {"reference": str(reference), "digest": reference.digest, "attestations": listed}
        )
        return
    verb = "attested" if attached else "would attest"
    click.echo(f"{verb} {reference}")
    for kind in made:
        click.echo(f"  {kind:<10}  {attached.get(kind, 'not attached')}")
        if kind in written:
            click.echo(f"  {'':<10}  {written[kind]}")
