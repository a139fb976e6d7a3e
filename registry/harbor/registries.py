"""Registries that Harbor knows as endpoints: where a proxy cache or a replication fetches from.

Harbor has no adapter of NVIDIA's own: nvcr.io is a `docker-registry`, its user `$oauthtoken`, the
password an NGC key, and neither is needed for what anybody may pull.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from registry.errors import RegistryError
from registry.harbor.api import HarborApi, created_id
from registry.harbor.steps import State, Step, attempt
from registry.harbor.values import mapping, number, text

DOCKER_REGISTRY = "docker-registry"
NGC_USER = "$oauthtoken"


@dataclass(frozen=True)
class Endpoint:
    """A registry for Harbor to fetch from. url: with its scheme. username: empty for nobody.
    id: 0 for one that Harbor does not know yet."""

    name: str
    url: str
    kind: str = DOCKER_REGISTRY
    username: str = ""
    password: str = field(default="", repr=False)
    id: int = 0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Endpoint:
        """From Harbor's Registry object, which keeps the password to itself."""
        return cls(
            text(value, "name"),
            text(value, "url"),
            text(value, "type"),
            text(mapping(value, "credential"), "access_key"),
            id=number(value, "id"),
        )

    def to_json(self) -> dict[str, Any]:
        """As Harbor takes it for a new one."""
        value: dict[str, Any] = {
            "name": self.name,
            "type": self.kind,
            "url": self.url,
            "insecure": self.url.startswith("http://"),
        }
        if self.username:
            value["credential"] = {
                "type": "basic",
                "access_key": self.username,
                "access_secret": self.password,
            }
        return value


def find(api: HarborApi, url: str) -> Endpoint | None:
    """The first endpoint with this address, whatever its name. Takes a system administrator."""
    for item in api.pages("/registries", f"list the registries that {api.host} knows"):
        endpoint = Endpoint.from_json(item)
        if endpoint.url.rstrip("/") == url.rstrip("/"):
            return endpoint
    return None


def create(api: HarborApi, endpoint: Endpoint) -> int:
    """Let Harbor know of a registry; its number. Harbor tries it out, and refuses one that it
    cannot reach: RegistryError says so. Raises Conflict for a name that is taken."""
    doing = f"let {api.host} know of {endpoint.url}"
    answer = api.change("POST", "/registries", doing, endpoint.to_json(), also=(400,))
    if answer.status == 400:
        unhealthy = "unhealthy" in answer.message
        raise RegistryError(
            f"cannot {doing}",
            answer.message,
            "Harbor itself must reach it, perhaps through its own proxy, and log in there"
            if unhealthy
            else "",
            status=400,
        )
    return created_id(answer)


def set_up_endpoint(api: HarborApi, wish: Endpoint, *, dry_run: bool = False) -> Iterator[Step]:
    """Make the endpoint unless there is one with its address; one step."""
    yield from attempt("endpoint", partial(_endpoint, api, wish, dry_run))


def _endpoint(api: HarborApi, wish: Endpoint, dry_run: bool) -> Step:
    found = find(api, wish.url)
    if found is not None:
        who = f" as {found.username}" if found.username else ""
        return Step("endpoint", State.THERE, f"{found.name}: {found.url}{who}")
    if not dry_run:
        create(api, wish)
    who = f" as {wish.username}" if wish.username else ", without a login"
    return Step("endpoint", State.MADE, f"{wish.name}: {wish.url}{who}")
