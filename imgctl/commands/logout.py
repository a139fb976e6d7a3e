"""`imgctl logout`: forget the user name and password of a registry."""

from __future__ import annotations

import click

from imgctl.options import docker_config, format_option


@click.command(name="logout")
@click.argument("host")
@format_option
def command(host: str, output_format: str) -> None:
    """Forget the user name and password kept for the registry at HOST."""
    from imgctl.output import print_json
    from registry import credentials
    from registry.reference import check_host

    config, environment = docker_config()
    there = credentials.erase(check_host(host), config, environment)
    if output_format == "json":
        print_json({"host": host, "forgotten": there})
    else:
        click.echo(f"logged out of {host}" if there else f"not logged in to {host}")
