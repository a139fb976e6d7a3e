"""`imgctl bundle`: an image for a device behind a thin link, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imgctl.options import RegistryFlags, format_option, registry_options, stdin_text
from imgctl.push_options import DEFAULT_PROJECT
from imgctl.signing_options import TrustFlags, trust_options
from imgctl.workload_options import root_of

if TYPE_CHECKING:
    from deploy.bundle.inventory import Inventory
    from deploy.bundle.plan import BundlePlan
    from deploy.bundle.write import Bundle

BASE = "base"


@click.command(name="bundle")
@click.argument("image", required=False)
@click.option("--script", is_flag=True, help="Print the script that lists what a device holds.")
@click.option("--inventory", "inventories", multiple=True, metavar="FILE",
              help="What the device holds, as listed there; - for stdin. Of several, what all "
              "hold.")  # fmt: skip
@click.option("--holds", multiple=True, metavar="IMAGE",
              help="An image that the device is known to hold: a NAME or NAME:TAG from here, a "
              f"reference, or `{BASE}` for IMAGE's own base. May be repeated.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.tar",
              help="The archive; its script lies beside it.  [default: IMAGE-TAG.tar]")  # fmt: skip
@click.option("--link", default="20Mbit", show_default=True, metavar="SPEED",
              help="The link to the device, to tell how long it takes.")  # fmt: skip
@click.option("--harbor", metavar="HOST", help="Where an image not pushed would be pulled from.")
@click.option("--registry", "registry_host", metavar="HOST[/PATH]", help="Likewise.")
@click.option("--project", default=DEFAULT_PROJECT, show_default=True, help="Harbor project.")
@click.option("--dist", type=click.Path(path_type=Path), default=Path("dist"), show_default=True,
              help="Where builds are.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be carried, and write nothing.")
@trust_options
@registry_options
@format_option
def command(
    image: str | None,
    script: bool,
    inventories: tuple[str, ...],
    holds: tuple[str, ...],
    output: Path | None,
    link: str,
    harbor: str | None,
    registry_host: str | None,
    project: str,
    dist: Path,
    dry_run: bool,
    trust: TrustFlags | None,
    registry: RegistryFlags,
    output_format: str,
) -> None:
    """Carry IMAGE to a device by file: only the layers that the device lacks.

    Writes an archive for Docker and containerd, and the script that installs it: it checks device
    and archive before the import, and the image after it. IMAGE is one from here (NAME or NAME:TAG)
    or any reference. Without --inventory and --holds every layer is carried.

    \b
      imgctl bundle --script | ssh DEVICE sudo sh > inventory.txt
      imgctl bundle mnist --inventory inventory.txt
    """
    from deploy.bundle.inventory import SCRIPT
    from deploy.bundle.plan import plan_bundle
    from deploy.bundle.source import find_source, layers_of_base, read_image
    from deploy.bundle.write import write_bundle
    from deploy.prepull import parse_link
    from imgctl.output import print_json
    from imgctl.progress import progress as shown
    from registry.client import RegistryClient

    if script:
        click.echo(SCRIPT.read_text(encoding="utf-8"), nl=False)
        return
    if image is None:
        raise click.UsageError("Which image? Name one, or ask for the device's --script.")
    speed = parse_link(link)
    root = root_of(harbor, registry_host, project)
    source = find_source(image, dist, root)
    others = [find_source(text, dist, root) for text in holds if text != BASE]
    devices = _devices(inventories)
    options = registry.options(source.reference.host)
    with shown() as progress, RegistryClient(options, progress) as client:
        found = read_image(source, client)
        if trust is not None:
            trust.check(found.reference, registry)
        held = [read_image(other, client).config.diff_ids for other in others]
        if BASE in holds:
            held.append(layers_of_base(found, client, source))
        for diff_ids in held:
            devices = [device.with_image(diff_ids) for device in devices]
        plan = plan_bundle(found, devices)
        bundle = None if dry_run else write_bundle(plan, _archive(output, plan), progress)
    if output_format == "json":
        print_json(bundle.to_json() if bundle else plan.to_json())
    else:
        _print(plan, bundle, speed)


def _devices(names: tuple[str, ...]) -> list[Inventory]:
    """The inventories in files; one that holds nothing where none is given."""
    from deploy.bundle.inventory import Inventory, parse_inventory
    from deploy.node_files import read_text

    devices = []
    for name in names:
        if name == "-":
            devices.append(parse_inventory(stdin_text(), "stdin"))
        else:
            devices.append(parse_inventory(read_text(Path(name)), name))
    return devices or [Inventory()]


def _archive(output: Path | None, plan: BundlePlan) -> Path:
    """Where the archive goes; raises BadInput for a name the script could not be told from."""
    from registry.errors import BadInput

    if output is None:
        reference = plan.image.reference
        return Path(f"{reference.repository.rsplit('/', 1)[-1]}-{reference.tag}.tar")
    if output.suffix != ".tar":
        raise BadInput(f"{output} does not end in .tar", "", f"write -o {output}.tar")
    if not output.parent.is_dir():
        raise BadInput(f"there is no folder {output.parent}", "", "make it first")
    return output


def _print(plan: BundlePlan, bundle: Bundle | None, speed: float) -> None:
    from imgctl.progress import duration, size

    carried = [layer for layer in plan.layers if layer.carried]
    weight = sum(item.size for item in plan.carried)
    seconds = duration((bundle.size if bundle else weight) / speed)
    click.echo(
        f"{len(carried)} of {len(plan.layers)} layers carried, {size(weight)}: {seconds} at the"
        f" link's speed; {size(sum(item.descriptor.size for item in plan.left_out))} left out",
        err=True,
    )
    if bundle:
        click.echo(bundle.archive)
        click.echo(bundle.script)
    else:
        click.echo(f"{plan.names.docker}@{plan.image.manifest.digest}")
