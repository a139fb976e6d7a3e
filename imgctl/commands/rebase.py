"""`imgctl rebase`: an image moves onto its base's newer content, without being built again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.releases_options import place_options, workload_of
from registry.errors import BadInput, NotFound, Refused

if TYPE_CHECKING:
    from builder.base_image import RemoteBase
    from builder.mirror import Mirror
    from registry.client import RegistryClient
    from registry.oci import Platform
    from registry.reference import Reference
    from registry.repository import Repository
    from registry.store import Store
    from release.rebase import Rebase
    from release.remote import RemoteImage

T = TypeVar("T")


@click.command(name="rebase")
@click.argument("image", metavar="IMAGE")
@click.option("--l4t", metavar="RELEASE", help="IMAGE's newest release for this one.")
@click.option("--version", metavar="V", help="What the result is called.  [default: next patch]")
@click.option("--onto", metavar="TAG", help="Another tag of the base.  [default: the same]")
@click.option("--base-mirror", metavar="HOST[/PREFIX]", help="Has the bases, instead of nvcr.io.")
@click.option("--dist", type=click.Path(file_okay=False, path_type=Path), default="dist",
              show_default=True, help="Where builds are, and the result goes.")  # fmt: skip
@click.option("--platform", default="linux/arm64", show_default=True, help="Which platform.")
@place_options
@registry_options
@format_option
def command(
    image: str, registry: RegistryFlags, dist: Path, output_format: str, **given: Any
) -> None:
    """Move IMAGE onto what its base's tag names today.

    IMAGE is a reference, HOST/REPOSITORY:TAG or @sha256:…; the name of an image that is released
    to --harbor or --registry; or, without these, of one that was built here. Its own layers stay
    to the byte; nothing is run, no base is pulled. The result lies in dist/ like a build: `imgctl
    push` sends it.
    """
    from builder.mirror import Mirror
    from imgctl.output import print_json
    from registry.client import RegistryClient
    from registry.oci import Platform
    from release.rebase import write_rebased

    platform = Platform.parse(given["platform"])
    mirror = Mirror.parse(given["base_mirror"]) if given["base_mirror"] else None
    with RegistryClient(registry.options(_host(image, given))) as client:
        store, found = _find(client, image, platform, dist, given)
        job = _job(client, found, mirror, platform, given)
        digests = job.old.manifest.digest, job.new.manifest.digest
        folder = None
        if digests[0] != digests[1]:
            settings = found.settings
            program = [*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])]
            workload = workload_of(found.reference.repository.rpartition("/")[2], found.labels)
            folder = write_rebased(job, store, dist, program, workload)
    if output_format == "json":
        value = {"image": str(found.reference), "before": digests[0], "base": digests[1]}
        made = {"folder": str(folder), "tag": job.tag} if folder else {}
        print_json(value | {"unchanged": folder is None} | made)
    elif folder is None:
        click.echo(f"{found.reference} stands on {job.new.pinned} already", err=True)
    else:
        click.echo(f"{folder}\n  {digests[0]} -> {digests[1]}")


def _host(image: str, given: dict[str, Any]) -> str | None:
    """The registry the login options are for."""
    from deploy.records import is_reference
    from imgctl.push_options import place_of
    from registry.reference import Reference

    if is_reference(image):
        return Reference.parse(image).host
    return place_of(given).host if given["harbor"] or given["plain"] else None


def _find(
    client: RegistryClient, image: str, platform: Platform, dist: Path, given: dict[str, Any]
) -> tuple[Store, RemoteImage]:
    """The image to be moved, and where its layers are."""
    from builder.matrix import Matrix
    from deploy.records import is_reference
    from imgctl.releases_options import repository_of
    from registry.reference import Reference
    from release.remote import L4T, read_image

    l4t = Matrix.load().release(given["l4t"]).name if given["l4t"] else None
    if is_reference(image):
        name = Reference.parse(image)
        repository = client.repository(name.host, name.repository)
        if name.tag is None and name.digest is None:
            return repository, _newest(repository, l4t, platform)
        found = read_image(repository, name, platform)
        stated = found.labels.get(L4T)
        if l4t and stated and stated != l4t:
            hint = f"build it for {l4t}: imgctl release"
            raise Refused(f"{name} is for {stated}, not {l4t}", "its base is another", hint)
        return repository, found
    if given["harbor"] or given["plain"]:
        repository = repository_of(client, given, image)
        return repository, _newest(repository, l4t, platform)
    return _built(dist, image, l4t, platform)


def _newest(repository: Repository, l4t: str | None, platform: Platform) -> RemoteImage:
    """The newest release of a repository, for one L4T release."""
    from imgctl.settings import section
    from release.listing import list_releases
    from release.outdated import newest
    from release.tags import TagScheme

    listed = list_releases(repository, TagScheme.parse(section("tags")), platform, l4t)
    found = newest(listed)
    if not found:
        wanted = f" for {l4t}" if l4t else ""
        hint = "`imgctl history IMAGE` lists releases"
        raise NotFound(f"nothing of {repository} is released{wanted}", "", hint)
    return _only({item.l4t: item.image for item in found}, str(repository))


def _built(
    dist: Path, image: str, l4t: str | None, platform: Platform
) -> tuple[Store, RemoteImage]:
    """The newest build of an image in dist/, and its layout."""
    from builder.dist import find_builds
    from registry.layout import LayoutStore
    from registry.reference import Reference
    from release.remote import read_image
    from release.tags import parse_version

    builds = find_builds(dist, [image])
    newest = {}
    for build in sorted(builds, key=lambda item: parse_version(str(item.record.value["version"]))):
        newest[str(build.record.value["l4t"])] = build
    if l4t and l4t not in newest:
        raise BadInput(f"{dist} holds no build of {image} for {l4t}", f"for {', '.join(newest)}")
    build = newest[l4t] if l4t else _only(newest, image)
    store = LayoutStore(build.folder)
    # It need not be in any registry; what is told of it is where it lies.
    name = Reference("localhost", f"{dist.name or 'dist'}/{build.image}".lower(), build.tag)
    return store, read_image(store, name, platform)


def _only(found: dict[str, T], name: str) -> T:
    if len(found) > 1:
        raise BadInput(
            f"which one of {name}?", f"there are {', '.join(found)}", "add --l4t RELEASE"
        )
    return next(iter(found.values()))


def _job(
    client: RegistryClient,
    image: RemoteImage,
    mirror: Mirror | None,
    platform: Platform,
    given: dict[str, Any],
) -> Rebase:
    from builder import bases
    from builder.matrix import Matrix
    from imgctl.settings import section
    from registry.reference import Reference
    from release.rebase import Rebase
    from release.remote import BASE_DIGEST, BASE_NAME, L4T, VERSION
    from release.tags import TagScheme, parse_version

    labels = image.labels
    missing = [key for key in (BASE_NAME, BASE_DIGEST, L4T, VERSION) if not labels.get(key)]
    if missing:
        why = f"it has no label {missing[0]}"
        raise BadInput(f"{image.reference} does not say what it was built on", why)
    current = parse_version(labels[VERSION])
    version = parse_version(given["version"]) if given["version"] else current.bump_patch()
    if version <= current:
        raise Refused(f"version {version} is not above {current}", "the content is another")
    matrix, l4t = Matrix.load(), labels[L4T]
    base = Reference.parse(labels[BASE_NAME])
    tag = given["onto"] or base.tag or "latest"
    known = bases.published(matrix, base.with_tag(tag))
    # As a build would: what cannot run on the devices is not made for them.
    if known and (refusal := bases.check_host(matrix, known, matrix.release(l4t))):
        raise refusal
    old = _base(client, Reference(base.host, base.repository, tag, labels[BASE_DIGEST]), mirror,
                platform)  # fmt: skip
    new = _base(client, base.with_tag(tag), mirror, platform)
    fixed = TagScheme.parse(section("tags")).fixed_tag(version, l4t)
    return Rebase(image, old, new, str(version), fixed, l4t, labels.get("io.imgctl.jetpack", ""))


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
