"""The registry the base comes from, and the one images go to."""

from __future__ import annotations

from builder.base_image import RemoteBase
from builder.doctor.check import Check, failed, failed_by, ok, warning
from registry.client import RegistryClient
from registry.errors import ImgctlError, Unauthorized
from registry.harbor.api import HarborApi, SystemInfo
from registry.harbor.problems import NotHarbor

BASE, TARGET = "base", "harbor"
_MIRROR = "name a registry that has the bases with --base-mirror HOST[/PREFIX]"


def check_registry(client: RegistryClient, host: str) -> Check:
    """Whether the registry bases come from answers, and lets us in as who we are."""
    try:
        client.ping(host)
    except ImgctlError as error:
        return _failed(error)
    return ok(BASE, f"{host} answers {_as_whom(client, host)}")


def check_base(remote: RemoteBase | ImgctlError) -> Check:
    """Whether the base could be read. remote: it, or the error instead."""
    if isinstance(remote, ImgctlError):
        return _failed(remote)
    packed = sum(layer.size for layer in remote.manifest.layers)
    return ok(BASE, f"{remote.source} is there: {packed / 10**6:.0f} MB to pull, packed")


def check_target(client: RegistryClient, host: str) -> Check:
    """Whether the registry images are pushed to answers, and knows who we are."""
    login = f"imgctl login {host}"
    try:
        if client.options.credentials(host) is None:
            client.ping(host)
            says = f"{host} answers, and there is no login for it here: it may refuse a push"
            return warning(TARGET, says, login)
        asked = client.check_login(host)
        system = _harbor(client, host)
    except Unauthorized as error:
        found = failed_by(TARGET, error)
        return Check(TARGET, "failed", found.says, tuple(dict.fromkeys((login, *found.remedies))))
    except ImgctlError as error:
        return failed_by(TARGET, error)
    kind = (
        f"{host} is no Harbor (push there with --registry) and"
        if system is None
        else (f"Harbor {system.version or ''} on {host}".replace("  ", " "))
    )
    if system is not None and system.read_only:
        return failed(TARGET, f"{kind} is in read-only mode", "ask an administrator to end it")
    whom = _as_whom(client, host) if asked else "and asks nobody for a password"
    return ok(TARGET, f"{kind} answers {whom}")


def _harbor(client: RegistryClient, host: str) -> SystemInfo | None:
    """What Harbor says of itself; None for any other registry."""
    try:
        return HarborApi(client, host).system()
    except NotHarbor:
        return None


def _failed(error: ImgctlError) -> Check:
    found = failed_by(BASE, error)
    return Check(BASE, "failed", found.says, (*found.remedies, _MIRROR))


def _as_whom(client: RegistryClient, host: str) -> str:
    found = client.options.credentials(host)
    return f"to {found.username}" if found is not None and found.username else "to anybody"
