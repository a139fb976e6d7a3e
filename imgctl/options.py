"""Options that several commands share, and the values they make."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imgctl import __version__
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.client import RegistryOptions
    from registry.credentials import Credentials

Command = Callable[..., Any]

_SMALLEST_BODY = 1 << 10  # bytes
PASSWORD_VARIABLE = "IMGCTL_PASSWORD"  # noqa: S105 - the variable's name


@dataclass(frozen=True)
class RegistryFlags:
    """What the command line says on how to reach registries.

    password: from stdin or IMGCTL_PASSWORD, never from an argument. max_request_body: bytes.
    """

    ca_cert: Path | None
    plain_http: frozenset[str]
    username: str | None
    password: str | None
    concurrency: int
    max_request_body: int | None

    def __repr__(self) -> str:
        return f"RegistryFlags(username={self.username!r}, …)"

    def options(self, login_host: str | None) -> RegistryOptions:
        """The client's options; a user name given here holds for login_host and no other."""
        from registry.client import RegistryOptions
        from registry.proxies import Proxies

        trust = os.environ.get("SSL_CERT_FILE")
        return RegistryOptions(
            plain_http=self.plain_http,
            ca_cert=self.ca_cert,
            trust_file=Path(trust) if trust else None,
            proxies=Proxies.parse(os.environ),
            user_agent=f"imgctl/{__version__}",
            certs_d=(Path("/etc/docker/certs.d"), Path.home() / ".config/containers/certs.d"),
            credentials=self._credentials(login_host),
            concurrency=self.concurrency,
            max_request_body=self.max_request_body,
        )

    def _credentials(self, login_host: str | None) -> Callable[[str], Credentials | None]:
        from registry import credentials

        config, environment = docker_config()

        def find(host: str) -> Credentials | None:
            if host != login_host or not self.username:
                return credentials.find(host, config, environment)
            if self.password is not None:
                return credentials.Credentials(self.username, self.password)
            kept = credentials.find(host, config, environment)
            if kept is None or kept.username not in ("", self.username):
                raise BadInput(
                    f"there is no password for {self.username!r} at {host}",
                    f"Docker's login there is {kept.username!r}" if kept else "",
                    f"add --password-stdin, or set {PASSWORD_VARIABLE}",
                )
            return kept

        return find


def registry_options(function: Command) -> Command:
    """Add the options on reaching registries; the command gets them as `registry`.

    The value is a RegistryFlags; its options(host) makes the RegistryOptions for a client.
    """

    @functools.wraps(function)
    def wrapper(
        *args: Any,
        ca_cert: Path | None,
        plain_http: tuple[str, ...],
        username: str | None,
        password_stdin: bool,
        concurrency: int,
        max_request_body: str | None,
        **kwargs: Any,
    ) -> Any:
        flags = RegistryFlags(
            ca_cert,
            frozenset(plain_http),
            _checked_username(username),
            _password(username, password_stdin),
            concurrency,
            _largest_body(max_request_body) if max_request_body else None,
        )
        return function(*args, registry=flags, **kwargs)

    options = (
        click.option(
            "--ca-cert",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Trust this private certificate authority (PEM).",
        ),
        click.option(
            "--plain-http",
            metavar="HOST",
            multiple=True,
            help="Speak to this host without TLS; loopback needs no naming.",
        ),
        click.option("--username", help="User or robot account; else Docker's login is used."),
        click.option(
            "--password-stdin",
            is_flag=True,
            help=f"Read the password from stdin ({PASSWORD_VARIABLE} holds it otherwise).",
        ),
        click.option(
            "--concurrency",
            type=click.IntRange(1, 64),
            default=4,
            show_default=True,
            help="Blobs moved at once.",
        ),
        click.option(
            "--max-request-body",
            metavar="SIZE",
            help="Send blobs in pieces of at most this size, like 64MiB, for a proxy in the way.",
        ),
    )
    return with_options(wrapper, options)


def docker_config() -> tuple[Path, dict[str, str]]:
    """The folder of Docker's config.json, and the environment for its credential helpers."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"), dict(os.environ)


base_tag_option = click.option(
    "--base-tag",
    "variant",
    metavar="TAG",
    help="Not its newest: the tag, its version (1.12, 24.12) or its flavor (devel).",
)


def format_option(function: Command) -> Command:
    """Add `--format text|json`; the command gets it as `output_format`."""
    option = click.option(
        "--format",
        "output_format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How the result is printed on stdout.",
    )
    return option(function)


def stdin_text() -> str:
    """All of stdin; raises BadInput when it is not UTF-8."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("stdin is not UTF-8 text", str(error)) from error


def parse_size(text: str) -> int:
    """Bytes from `1048576`, `64MiB`, `5.6GB`, `2G`; raises BadInput."""
    units = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
    units |= {f"{key}i": 1024**power for power, key in enumerate("kmgt", 1)}
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]?i?)b?", text.strip().lower())
    size = int(Decimal(match[1]) * units[match[2]]) if match and match[2] in units else 0
    if size == 0:
        raise BadInput(f"{text!r} is not a size", "", "write a number of bytes, or 64MiB, 5.6GB")
    return size


def _largest_body(text: str) -> int:
    size = parse_size(text)
    if size < _SMALLEST_BODY:
        why = "every piece is a request of its own"
        raise BadInput(f"--max-request-body {text} is too small", why, "give 1KiB or more")
    return size


def with_options(function: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    """Add options to a command, in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def _checked_username(username: str | None) -> str | None:
    if username is not None and (username == "robot" or username.startswith("robot+")):
        raise BadInput(
            f"the user name {username!r} looks like a robot account whose $… the shell took",
            "",
            "write it in single quotes: --username 'robot$NAME'",
        )
    return username


def _password(username: str | None, from_stdin: bool) -> str | None:
    if not from_stdin:
        return os.environ.get(PASSWORD_VARIABLE)
    if not username:
        raise BadInput("--password-stdin needs --username")
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("Password: ")
    password = sys.stdin.read().rstrip("\r\n")
    if not password:
        raise BadInput("stdin holds no password", "--password-stdin was given")
    return password
