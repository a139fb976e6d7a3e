"""`imgctl prepull`: KubeEdge's job that brings an image to edge nodes ahead of the pods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, parse_size, registry_options
from imgctl.workload_options import looked_up, pairs
from registry.errors import BadInput

if TYPE_CHECKING:
    from deploy.manifests import Object
    from registry.reference import Reference


@click.command(name="prepull")
@click.argument("image")
@click.option("--node", multiple=True, metavar="HOSTNAME", help="A node to pull on; repeatable.")
@click.option("--selector", multiple=True, metavar="KEY=VALUE", help="Or nodes with these labels.")
@click.option(
    "--link",
    default="20Mbit",
    show_default=True,
    metavar="SPEED",
    help="What one node gets of the link; decides the time limit.",
)
@click.option(
    "--size",
    metavar="SIZE",
    help="Compressed size, like 5GB.  [default: as recorded, or as the registry says]",
)
@click.option("--name", metavar="NAME", help="The job's name.  [default: from image and digest]")
@click.option("--at-once", type=int, default=2, show_default=True, help="Nodes that pull at once.")
@click.option("--retries", type=int, default=2, show_default=True, help="Tries after the first.")
@click.option(
    "--disk-check/--no-disk-check",
    default=True,
    show_default=True,
    help="Skip nodes whose / is over 80 % full, wherever their images are.",
)
@click.option(
    "--secret",
    metavar="NAMESPACE/NAME",
    default="",
    help="Secret with the credentials, in the form edged reads (see --with-secret).",
)
@click.option(
    "--with-secret",
    is_flag=True,
    help="Emit that Secret too, from --username or the login at the registry.",
)
@click.option(
    "--api-version",
    default="v1alpha2",
    show_default=True,
    help="v1alpha2 (KubeEdge 1.21 on) or v1alpha1.",
)
@click.option(
    "--dist",
    type=click.Path(path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="Where builds are.",
)
@click.option("--offline", is_flag=True, help="Do not look a reference up in its registry.")
@registry_options
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="One file each, and a kustomization.yaml.",
)
@click.option("--format", "output_format", type=click.Choice(["yaml", "json"]), default="yaml",
              show_default=True, help="How objects are printed.")  # fmt: skip
def command(
    image: str,
    node: tuple[str, ...],
    selector: tuple[str, ...],
    link: str,
    size: str | None,
    name: str | None,
    at_once: int,
    retries: int,
    disk_check: bool,
    secret: str,
    with_secret: bool,
    api_version: str,
    dist: Path,
    offline: bool,
    registry: RegistryFlags,
    output: Path | None,
    output_format: str,
) -> None:
    """Print the KubeEdge job that pulls IMAGE on edge nodes before the pods that need it.

    IMAGE is one pushed from here (NAME or NAME:TAG), a record, or any reference. CloudCore needs
    modules.taskManager.enable: true, from KubeEdge 1.21 on edgecore too.
    """
    from deploy.prepull import Prepull, needs, parse_link, prepull_job
    from imgctl.objects import show

    found, weight = _image(image, dist, registry, offline)
    if size:
        weight = parse_size(size)
    if not weight:
        raise BadInput(
            f"the size of {image} is not known", "the time limit follows from it", "give --size"
        )
    job = Prepull(
        name=name or _job_name(found),
        image=found,
        size=weight,
        link=parse_link(link),
        nodes=node,
        selector=pairs(selector, "--selector"),
        secret=secret,
        concurrency=at_once,
        retries=retries,
        check_disk=disk_check,
        api_version=api_version,
    )
    objects = [prepull_job(job)]
    if with_secret:
        objects.insert(0, _secret(secret, found.host, registry))
        click.echo("note: the Secret holds a password in clear; keep it out of git", err=True)
    for line in needs(job):
        click.echo(f"note: {line}", err=True)
    click.echo(
        f"{weight / 1e6:.0f} MB at {link}: {job.timeout} s for each node before it is given up",
        err=True,
    )
    show(objects, output, output_format)


def _image(text: str, dist: Path, registry: RegistryFlags, offline: bool) -> tuple[Reference, int]:
    """The reference with its digest, and its compressed size in bytes (0 when not known)."""
    from deploy.records import find_record, is_reference

    if is_reference(text):
        remote = looked_up(text, registry, offline)
        return remote.image, remote.size
    found = find_record(text, dist)
    reference: Reference = found.arguments["image"]
    return reference, int(found.record.get("image_size") or 0)


def _job_name(image: Reference) -> str:
    """New for every digest: a finished job is not run again by applying it."""
    base = image.repository.rsplit("/", 1)[-1].replace("_", "-")
    return f"{base}-{(image.digest or '').removeprefix('sha256:')[:12]}"


def _secret(secret: str, host: str, registry: RegistryFlags) -> Object:
    from deploy.prepull import prepull_secret

    namespace, slash, name = secret.partition("/")
    if not slash:
        raise BadInput("--with-secret needs a name", "", "give --secret NAMESPACE/NAME")
    credentials = registry.options(host).credentials(host)
    if credentials is None or not credentials.password:
        kind = "only an identity token" if credentials else "no login"
        raise BadInput(
            f"there is {kind} for {host}",
            "edged takes a user name and password",
            f"run `imgctl login {host}` with a robot account, or give --username and"
            " --password-stdin",
        )
    return prepull_secret(name, namespace, credentials.username, credentials.password)
