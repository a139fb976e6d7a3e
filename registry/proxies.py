"""Which proxy, if any, stands before a host: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

Read as curl and Go read them, with one rule of our own: loopback is never proxied.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from registry.errors import BadInput
from registry.url import is_loopback, split_port

_SCHEMES = ("http://", "https://", "socks5://", "socks5h://")


@dataclass(frozen=True)
class Proxies:
    """Proxy URLs by the scheme of the request, and the hosts that go without."""

    http: str = ""
    https: str = ""
    bypass: tuple[str, ...] = ()

    @classmethod
    def parse(cls, environment: Mapping[str, str]) -> Proxies:
        """From environment variables, lower case winning; raises BadInput for a bad proxy URL."""

        def value(name: str) -> str:
            return environment.get(name.lower()) or environment.get(name) or ""

        everything = _check("ALL_PROXY", value("ALL_PROXY"))
        bypass = tuple(item.strip().lower() for item in value("NO_PROXY").split(","))
        return cls(
            _check("HTTP_PROXY", value("HTTP_PROXY")) or everything,
            _check("HTTPS_PROXY", value("HTTPS_PROXY")) or everything,
            tuple(item for item in bypass if item),
        )

    def for_host(self, scheme: str, netloc: str) -> str | None:
        """The proxy's URL for requests to `host[:port]`, or None to go straight there."""
        proxy = self.https if scheme == "https" else self.http
        if not proxy or is_loopback(netloc):
            return None
        return None if any(_bypasses(rule, netloc) for rule in self.bypass) else proxy


def _check(name: str, url: str) -> str:
    if not url:
        return ""
    if "://" not in url:
        url = "http://" + url
    if not url.startswith(_SCHEMES):
        scheme = url.split("://", 1)[0]
        raise BadInput(
            f"{name} names a proxy that cannot be used",
            f"its scheme is {scheme!r}",
            "write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT",
        )
    return url


def _bypasses(rule: str, netloc: str) -> bool:
    """Whether one NO_PROXY entry covers a host: `*`, name, suffix, address, network, with port."""
    if rule == "*":
        return True
    host, port = split_port(netloc.lower())
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        rule_host, rule_port = split_port(rule)
    if rule_port and rule_port != port:
        return False
    name = rule_host.removeprefix("*").removeprefix(".")
    return host == name or host.endswith("." + name)
