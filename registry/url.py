"""URLs that go on the wire exactly as a registry gave them.

A registry signs the query of an upload's Location; a library that decodes and encodes it again
breaks the signature. So a URL here is three strings, of which the last is never rewritten.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from registry.errors import RegistryError

_ABSOLUTE = re.compile(r"(https?)://([^/?#]+)([^#]*)", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Url:
    """scheme `http` or `https`; netloc `host[:port]`; target: path and query, as sent."""

    scheme: str
    netloc: str
    target: str = "/"

    @classmethod
    def parse(cls, text: str) -> Url:
        """Take an absolute http(s) URL apart; raises RegistryError when it is none."""
        match = _ABSOLUTE.fullmatch(text.strip().partition("#")[0])
        if match is None or "@" in match[2]:
            raise RegistryError("the registry sent an address that cannot be used", text[:200])
        target = match[3] if match[3].startswith("/") else "/" + match[3]
        return cls(match[1].lower(), match[2].lower(), _wire(target))

    def at(self, target: str) -> Url:
        """Another path on the same host."""
        return replace(self, target=_wire(target))

    def follow(self, location: str) -> Url:
        """Where a Location or Link header seen at this URL points."""
        location = location.strip()
        if location.startswith("//"):
            location = f"{self.scheme}:{location}"
        if _ABSOLUTE.match(location):
            return Url.parse(location)
        if location.startswith("/"):
            return self.at(location)
        return self.at(urljoin(self.target, location))

    def with_query(self, pair: str) -> Url:
        """The same with one more `key=value` (already encoded) at the end of the query."""
        return replace(self, target=self.target + ("&" if "?" in self.target else "?") + pair)

    @property
    def host(self) -> str:
        """The host without its port; IPv6 without brackets."""
        return split_port(self.netloc)[0]

    @property
    def port(self) -> str:
        """The port, written out or the scheme's own."""
        return split_port(self.netloc)[1] or _PORTS[self.scheme]

    def same_host(self, other: Url) -> bool:
        """Whether both name one host and port; `h`, `h:80` and `h:443` are the same host.

        Behind a proxy a registry may take the scheme for another than the one it is reached by.
        """
        if self.host != other.host:
            return False
        return self.port == other.port or {self.port, other.port} == {"80", "443"}

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.target}"


def split_port(netloc: str) -> tuple[str, str]:
    """`host:port` taken apart; the port is empty where there is none."""
    if netloc.startswith("["):
        host, _, rest = netloc[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = netloc.partition(":")
    return host, port


def is_loopback(netloc: str) -> bool:
    """Whether `host[:port]` is this machine by its name or address."""
    host = split_port(netloc)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wire(target: str) -> str:
    """Escape only what HTTP cannot carry (spaces, control and non-ASCII characters)."""
    if target.isascii() and target.isprintable() and " " not in target:
        return target
    raw = target.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if 0x21 <= byte <= 0x7E else f"%{byte:02X}" for byte in raw)
