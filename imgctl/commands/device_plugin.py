"""`imgctl device-plugin`: offer a Jetson's GPU to pods, whole or time-sliced."""

from __future__ import annotations

from pathlib import Path

import click

from deploy.workload import KUBEEDGE, TARGETS


@click.command(name="device-plugin")
@click.option(
    "--replicas",
    type=int,
    default=1,
    show_default=True,
    help="Shares of each GPU; 1 gives it whole.",
)
@click.option(
    "--sharing",
    type=click.Choice(["time-slicing", "mps"]),
    default="time-slicing",
    show_default=True,
    help="How shares are made.",
)
@click.option(
    "--l4t",
    metavar="RELEASE",
    default="r35.2.1",
    show_default=True,
    help="What the nodes run; decides the version.",
)
@click.option(
    "--version",
    "asked",
    metavar="VERSION",
    default="",
    help="The plugin's version.  [default: the newest that fits]",
)
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    default=KUBEEDGE,
    show_default=True,
    help="What runs the pods on the node.",
)
@click.option("--namespace", default="kube-system", show_default=True, help="Where it runs.")
@click.option("--rename", is_flag=True, help="Offer shares as nvidia.com/gpu.shared.")
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
    replicas: int,
    sharing: str,
    l4t: str,
    asked: str,
    target: str,
    namespace: str,
    rename: bool,
    output: Path | None,
    output_format: str,
) -> None:
    """Print the device plugin's ConfigMap and DaemonSet for Jetson nodes."""
    from builder.matrix import Matrix
    from deploy.device_plugin import (
        DevicePlugin,
        check_sharing,
        choose_version,
        device_plugin,
        needs,
        warnings,
    )
    from deploy.names import check_label_name
    from imgctl.objects import show

    check_sharing(replicas, sharing)
    check_label_name(namespace, "namespace")
    release = Matrix.load().release(l4t)
    major, minor, patch = (int(part) for part in release.version.split("."))
    version = choose_version((major, minor, patch), asked)
    plugin = DevicePlugin(version, replicas, target, namespace, rename)
    click.echo(f"device plugin v{version.version}: {version.reason}", err=True)
    click.echo(f"note: {needs(major, target)}", err=True)
    for line in warnings(plugin):
        click.echo(f"warning: {line}", err=True)
    show(device_plugin(plugin), output, output_format)
