"""User names and secrets for registries, where Docker keeps them.

`config.json` is read and written as the docker command does: credHelpers for a host first, then
credsStore, then `auths`. https://docs.docker.com/reference/cli/docker/login/
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import BadInput, ImgctlError

CONFIG_FILE = "config.json"
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - the name helpers give a login that is an identity token


@dataclass(frozen=True)
class Credentials:
    """A user name with its password, or an identity token (an OAuth refresh token)."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, …)"


def find(host: str, config_dir: Path, environment: Mapping[str, str]) -> Credentials | None:
    """The credentials Docker would use for `host[:port]`, or None.

    config_dir: the folder of config.json. environment: for the helpers. Raises BadInput for a
    config.json that cannot be read, ImgctlError for a helper that fails.
    """
    path = config_dir / CONFIG_FILE
    config = _load(path)
    helper = _helper_for(config, host)
    if helper:
        found = _ask_helper(helper, _server(host), environment)
        if found is not None:
            return found
    for key, entry in _section(config, "auths", path).items():
        if _hostname(key) in _names(host) and isinstance(entry, dict) and entry:
            return _decode(entry, key, path)
    return None


def save(
    host: str, credentials: Credentials, config_dir: Path, environment: Mapping[str, str]
) -> str:
    """Keep credentials as `docker login` does; returns where: the helper's name or the file.

    The file is replaced in one step, readable by its owner only; all else in it stays.
    """
    path = config_dir / CONFIG_FILE
    config = _load(path)
    helper = _helper_for(config, host)
    auths = dict(_section(config, "auths", path))
    for key in [key for key in auths if _hostname(key) in _names(host)]:
        del auths[key]
    if helper:
        with _helper(helper, environment) as store:
            store.store(_server(host), credentials.username, credentials.password)
        auths[_server(host)] = {}
    else:
        pair = f"{credentials.username}:{credentials.password}".encode()
        auths[_server(host)] = {"auth": base64.b64encode(pair).decode()}
    _write(path, {**config, "auths": auths})
    return f"docker-credential-{helper}" if helper else str(path)


def erase(host: str, config_dir: Path, environment: Mapping[str, str]) -> bool:
    """Forget the credentials for a host, wherever they are kept; whether there were any."""
    path = config_dir / CONFIG_FILE
    config = _load(path)
    helper = _helper_for(config, host)
    auths = dict(_section(config, "auths", path))
    keys = [key for key in auths if _hostname(key) in _names(host)]
    there = bool(keys)
    if helper and _ask_helper(helper, _server(host), environment) is not None:
        there = True
        with _helper(helper, environment) as store:
            store.erase(_server(host))
    if keys:
        for key in keys:
            del auths[key]
        _write(path, {**config, "auths": auths})
    return there


def _load(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(f"{path} cannot be read", (error.strerror or "").lower()) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON", str(error)[:120], "repair or remove it") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path} does not hold a JSON object", "", "repair or remove it")
    return value


def _section(config: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = config.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"`{name}` in {path} is not an object", "", "repair or remove it")
    return value


def _helper_for(config: Mapping[str, Any], host: str) -> str:
    helpers = config.get("credHelpers")
    if isinstance(helpers, dict):
        for key, program in helpers.items():
            if _hostname(key) in _names(host) and isinstance(program, str):
                return program
    store = config.get("credsStore")
    return store if isinstance(store, str) else ""


def _ask_helper(program: str, server: str, environment: Mapping[str, str]) -> Credentials | None:
    from docker.credentials.errors import CredentialsNotFound

    try:
        with _helper(program, environment) as store:
            entry = store.get(server)
    except ImgctlError as error:
        if isinstance(error.__cause__, CredentialsNotFound):
            return None
        raise
    username, secret = str(entry.get("Username", "")), str(entry.get("Secret", ""))
    if username == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username, secret)


@contextlib.contextmanager
def _helper(program: str, environment: Mapping[str, str]) -> Iterator[Any]:
    """Docker's own way to speak to `docker-credential-<program>`; its failures in our words."""
    from docker.credentials import Store
    from docker.credentials.errors import StoreError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing program is an error below
            store = Store(program, environment=dict(environment))
        yield store
    except (StoreError, ValueError) as error:
        raise ImgctlError(
            f"the credential helper docker-credential-{program} failed",
            str(error).split("\n")[0][:200],
            f"check {CONFIG_FILE} in Docker's configuration, and that the helper is installed",
        ) from error


def _decode(entry: Mapping[str, Any], key: str, path: Path) -> Credentials:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    if "auth" not in entry:
        return Credentials(str(entry.get("username", "")), str(entry.get("password", "")))
    try:
        pair = base64.b64decode(str(entry["auth"]), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    username, colon, password = pair.partition(":")
    if not colon or not username:
        raise BadInput(
            f"the entry for {key} in {path} cannot be read",
            "its `auth` is not base64 of USER:PASSWORD",
            f"log in again: imgctl login {_hostname(key)}",
        )
    return Credentials(username, password.rstrip("\0"))


def _hostname(key: str) -> str:
    """`https://host/v1/` and `host` name the same registry."""
    return key.split("://", 1)[-1].split("/", 1)[0].lower()


def _names(host: str) -> frozenset[str]:
    return _HUB_HOSTS if host in _HUB_HOSTS else frozenset({host.lower()})


def _server(host: str) -> str:
    return _HUB_KEY if host in _HUB_HOSTS else host


def _write(path: Path, config: Mapping[str, Any]) -> None:
    target = path.resolve()  # a linked config.json stays a link
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=".config-", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(config, file, indent="\t", ensure_ascii=False)
            file.write("\n")
        Path(aside).replace(target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
