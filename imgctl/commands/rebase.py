"""`imgctl rebase`: an image moves onto its base's newer content, without being built again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.releases_options import workload_of
from registry.errors import BadInput, NotFound, Refused

if TYPE_CHECKING:
    from builder.base_image import RemoteBase
    from builder.mirror import Mirror
    from registry.client import RegistryClient
    from registry.oci import Platform
    from registry.reference import Reference
    from release.rebase import Rebase
    from release.remote import RemoteImage


@click.command(name="rebase")
@click.argument("image", metavar="REFERENCE")
@click.option("--version", metavar="V", help="What the result is called.  [default: next patch]")
@click.option("--onto", metavar="TAG", help="Another tag of the base.  [default: the same]")
@click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Has the bases, instead of nvcr.io.")
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where the result goes.")  # fmt: skip
@click.option("--platform", default="linux/arm64", show_default=True, help="OS/ARCH.")
@registry_options
@format_option
def command(
    image: str, registry: RegistryFlags, dist: Path, output_format: str, **given: Any
) -> None:
    """Move the image REFERENCE onto what its base's tag names today.

    Its own layers stay to the byte; nothing is run, no base is pulled. The result lies in dist/
    like a build: `imgctl push` sends it.
    """
    from builder.mirror import Mirror
    from imgctl.output import print_json
    from registry.client import RegistryClient
    from registry.oci import Platform
    from registry.reference import Reference
    from release.rebase import write_rebased
    from release.remote import read_image

    name, platform = Reference.parse(image), Platform.parse(given["platform"])
    mirror = Mirror.parse(given["base_mirror"]) if given["base_mirror"] else None
    with RegistryClient(registry.options(name.host)) as client:
        store = client.repository(name.host, name.repository)
        found = read_image(store, name, platform)
        job = _job(client, found, mirror, platform, given)
        if job.old.manifest.digest == job.new.manifest.digest:
            click.echo(f"{name} stands on {job.new.pinned} already", err=True)
            return
        program = [*(found.settings.get("Entrypoint") or []), *(found.settings.get("Cmd") or [])]
        workload = workload_of(name.repository.rpartition("/")[2], found.labels)
        folder = write_rebased(job, store, dist, program, workload)
    if output_format == "json":
        print_json({"folder": str(folder), "tag": job.tag, "base": job.new.manifest.digest})
    else:
        click.echo(f"{folder}\n  {job.old.manifest.digest} -> {job.new.manifest.digest}")


def _job(
    client: RegistryClient,
    image: RemoteImage,
    mirror: Mirror | None,
    platform: Platform,
    given: dict[str, Any],
) -> Rebase:
    from registry.reference import Reference
    from release.rebase import Rebase
    from release.remote import BASE_DIGEST, BASE_NAME, L4T, VERSION
    from release.tags import parse_version

    labels = image.labels
    missing = [key for key in (BASE_NAME, BASE_DIGEST, L4T, VERSION) if not labels.get(key)]
    if missing:
        why = f"it has no label {missing[0]}"
        raise BadInput(f"{image.reference} does not say what it was built on", why)
    base = Reference.parse(labels[BASE_NAME])
    tag = given["onto"] or base.tag or "latest"
    old = _base(client, Reference(base.host, base.repository, tag, labels[BASE_DIGEST]), mirror,
                platform)  # fmt: skip
    new = _base(client, base.with_tag(tag), mirror, platform)
    current = parse_version(labels[VERSION])
    version = parse_version(given["version"]) if given["version"] else current.bump_patch()
    if version <= current:
        raise Refused(f"version {version} is not above {current}", "the content is another")
    l4t = labels[L4T]
    return Rebase(image, old, new, str(version), f"{version}-l4t-{l4t}", l4t,
                  labels.get("io.imgctl.jetpack", ""))  # fmt: skip


def _base(
    client: RegistryClient, base: Reference, mirror: Mirror | None, platform: Platform
) -> RemoteBase:
    from builder.base_image import read_base

    place = mirror.of(base) if mirror else base
    store = client.repository(place.host, place.repository)
    try:
        return read_base(store, base, place, platform)
    except NotFound as error:
        if not base.digest:
            raise
        hint = "build the image again; keep bases that images stand on: imgctl base sync"
        raise NotFound(
            f"the base that the image stands on is gone: {place}", error.why, hint
        ) from error
