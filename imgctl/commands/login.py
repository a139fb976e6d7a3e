"""`imgctl login`: check a user name and password with a registry, and keep them as Docker does."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from imgctl.options import (
    PASSWORD_VARIABLE,
    RegistryFlags,
    docker_config,
    format_option,
    registry_options,
)
from registry.errors import BadInput


@click.command(name="login")
@click.argument("host")
@registry_options
@format_option
def command(host: str, registry: RegistryFlags, output_format: str) -> None:
    """Check a user name and password with the registry at HOST, and keep them as Docker does.

    What is not given is asked for. They go where `docker login` puts them: the credential helper
    or store that Docker's config.json names, or else that file itself. Robot accounts work too;
    write their names in single quotes, 'robot$NAME', or the shell takes the $NAME away.
    """
    from imgctl.output import print_json
    from registry import credentials
    from registry.client import RegistryClient
    from registry.reference import check_host

    check_host(host)
    registry = _complete(registry)
    config, environment = docker_config()
    with RegistryClient(registry.options(host)) as client:
        checked = client.check_login(host)
    login = credentials.Credentials(registry.username or "", registry.password or "")
    where = credentials.save(host, login, config, environment)
    if not checked:
        click.echo(f"imgctl: {host} asks nobody for a password; it was not checked", err=True)
    if where.startswith("/"):
        click.echo(
            f"imgctl: the password is kept as plain text in {where}; "
            "a credential helper (credsStore in that file) would encrypt it",
            err=True,
        )
    if output_format == "json":
        print_json({"host": host, "username": login.username, "kept": where, "checked": checked})
    else:
        click.echo(f"logged in to {host} as {login.username}")


def _complete(registry: RegistryFlags) -> RegistryFlags:
    """Ask a person for what is missing; tell a script."""
    username, password = registry.username, registry.password
    if (username is None or password is None) and not sys.stdin.isatty():
        missing = "--username" if username is None else f"--password-stdin or {PASSWORD_VARIABLE}"
        raise BadInput(f"nobody is there to ask: {missing} is needed")
    if username is None:
        username = click.prompt("User name", err=True)
    if password is None:
        password = click.prompt("Password", hide_input=True, err=True)
    return replace(registry, username=username, password=password)
