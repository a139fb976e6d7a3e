"""Options on keys that several commands share, and the signers they make."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from registry.errors import BadInput

if TYPE_CHECKING:
    from imgctl.options import RegistryFlags
    from registry.reference import Reference
    from registry.signing.claims import Form
    from registry.signing.keys import PublicKey, Signer
    from registry.signing.policy import Policy

Command = Callable[..., Any]

# The second is cosign's, so that what is set up for it serves here too.
PASSWORD_VARIABLES = ("IMGCTL_KEY_PASSWORD", "COSIGN_PASSWORD")
_IN_ENVIRONMENT = "env://"


@dataclass(frozen=True)
class KeyFlags:
    """What the command line says on the key that signs, and the forms it signs in."""

    key: str | None
    command: str | None
    feed: Literal["message", "digest"]
    form: str

    def signer(self) -> Signer:
        """The signer they name; asks for a password where one is needed. Raises BadInput."""
        from registry.signing.command import CommandSigner
        from registry.signing.keys import PrivateKey, PublicKey

        if not self.key:
            hint = "name it with --key FILE; `imgctl sign --generate-key PREFIX` makes a pair"
            if self.command:
                hint = "name the public half of the command's key with --key FILE"
            raise BadInput("which key?", "", hint)
        pem = read_key(self.key)
        if self.command:
            public = PublicKey.parse(pem, self.key)
            return CommandSigner(self.command, public, dict(os.environ), self.feed)
        return PrivateKey.parse(pem, lambda: password_of(self.key or ""), self.key)

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms, as registry.signing names them."""
        if self.form == "both":
            return ("bundle", "tag")
        return ("bundle",) if self.form == "bundle" else ("tag",)


def key_options(function: Command) -> Command:
    """Add the options on the key that signs; the command gets them as `keys`."""

    @functools.wraps(function)
    def wrapper(
        *args: Any,
        key: str | None,
        key_command: str | None,
        key_command_input: Literal["message", "digest"],
        signature_format: str,
        **kwargs: Any,
    ) -> Any:
        flags = KeyFlags(key, key_command, key_command_input, signature_format)
        return function(*args, keys=flags, **kwargs)

    options = (
        click.option("--key", metavar="FILE",
                     help="Private key in PEM, plain or encrypted (also by cosign); "
                     "env://NAME takes it from a variable."),
        click.option("--key-command", metavar="COMMAND",
                     help="Has a key service sign: gets the message on stdin, prints the "
                     "signature in base64. --key is then the public key."),
        click.option("--key-command-input", type=click.Choice(["message", "digest"]),
                     default="message", show_default=True,
                     help="digest: the command gets the 32 bytes of the SHA-256."),
        click.option("--signature-format", type=click.Choice(["both", "bundle", "tag"]),
                     default="both", show_default=True,
                     help="bundle: a referrer, as cosign 3 has it. tag: sha256-….sig, for older "
                     "verifiers and Harbor before 2.15."),
    )  # fmt: skip
    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


@dataclass(frozen=True)
class TrustFlags:
    """What the command line asks of an image before it is used: a signature, and a policy."""

    names: tuple[str, ...]
    policy: Path | None

    def check(self, image: Reference, registry: RegistryFlags) -> None:
        """Look at a pinned image in its registry; raises Refused when it is not to be trusted."""
        from registry.client import RegistryClient
        from registry.signing.verify import verify

        keys, policy = public_keys(self.names), policy_of(self.policy)
        if not image.digest:
            raise BadInput(f"{image} names no digest", "a signature is over one")
        with RegistryClient(registry.options(image.host)) as client:
            repository = client.repository(image.host, image.repository)
            verify(repository, image.digest, keys, policy)


def trust_options(function: Command) -> Command:
    """Add `--require-signature`, `--key` and `--policy`; the command gets a TrustFlags as `trust`,
    or None when nothing is asked for."""

    @functools.wraps(function)
    def wrapper(
        *args: Any,
        require_signature: bool,
        trusted_keys: tuple[str, ...],
        policy_file: Path | None,
        **kwargs: Any,
    ) -> Any:
        source = click.get_current_context().get_parameter_source("trusted_keys")
        # A variable or a setting says whom to trust, not that everything must be signed.
        asked = require_signature or policy_file or source is ParameterSource.COMMANDLINE
        trust = TrustFlags(trusted_keys, policy_file) if asked else None
        return function(*args, trust=trust, **kwargs)

    options = (
        click.option("--require-signature", is_flag=True,
                     help="Only an image that a trusted key has signed; see `imgctl verify`."),
        click.option("--key", "trusted_keys", multiple=True, metavar="FILE",
                     envvar="IMGCTL_PUBLIC_KEY", help="That public key, or env://NAME."),
        click.option("--policy", "policy_file", metavar="FILE",
                     type=click.Path(dir_okay=False, path_type=Path),
                     help="And these rules.  [default: `policy` in imgctl.yaml]"),
    )  # fmt: skip
    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


def builder_id() -> str:
    """The id of the workflow that runs us, as GitHub names it; else that of any machine."""
    from builder.provenance import LOCAL_BUILDER

    server, workflow = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_WORKFLOW_REF")
    return f"{server}/{workflow}" if server and workflow else LOCAL_BUILDER


def read_key(name: str) -> bytes:
    """The PEM in a file, or in the variable that `env://NAME` names; raises BadInput."""
    if name.startswith(_IN_ENVIRONMENT):
        variable = name.removeprefix(_IN_ENVIRONMENT)
        if not os.environ.get(variable):
            raise BadInput(f"the variable {variable} holds no key", "--key names it")
        return os.environ[variable].encode()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot read the key {name}", why) from error


def public_keys(names: tuple[str, ...]) -> list[PublicKey]:
    """The public keys in files or variables; raises BadInput when none is named."""
    from registry.signing.keys import PublicKey

    if not names:
        raise BadInput(
            "which key?", "a signature is checked against a public key", "add --key FILE"
        )
    return [PublicKey.parse(read_key(name), name) for name in names]


def policy_of(path: Path | None) -> Policy:
    """The rules of a file, or those of imgctl.yaml; none at all where neither has any."""
    from imgctl.settings import load_settings, settings_path
    from registry.signing.policy import NO_POLICY, Policy

    if path is None:
        settings = settings_path()
        section = load_settings(settings).section("policy") if settings else {}
        return Policy.parse(section, f"`policy` in {settings}") if section else NO_POLICY
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot read the policy {path}", why) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not YAML", " ".join(str(error).split())[:200]) from error
    return Policy.parse(value, str(path))


def password_of(name: str) -> bytes:
    """The password of a key that has one: from the environment, else asked of a person."""
    found = _from_environment()
    return _ask(name, again=False) if found is None else found


def new_password() -> bytes:
    """A password for a new key, likewise; asked for twice."""
    found = _from_environment()
    return _ask("the new key", again=True) if found is None else found


def _from_environment() -> bytes | None:
    """The first variable that is set counts, an empty one too: that is how scripts say none."""
    found = (os.environ[name] for name in PASSWORD_VARIABLES if name in os.environ)
    return next((value.encode() for value in found), None)


def _ask(name: str, *, again: bool) -> bytes:
    if not sys.stdin.isatty():
        names = " or ".join(PASSWORD_VARIABLES)
        raise BadInput(f"{name} needs a password, and nobody is there to ask", "", f"set {names}")
    answer = click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=again,
                          default="", show_default=False, err=True)  # fmt: skip
    return str(answer).encode()
