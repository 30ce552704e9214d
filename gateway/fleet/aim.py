"""What the fleet is aimed at, and whether it may be.

Rule: without the owner's word nothing but loopback is ever connected to.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

OWNER_FLAG = "--i-own-this-server"


class Refused(Exception):
    """The target will not be aimed at; the message says why."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A file's address, its host resolved once."""

    address: str
    port: int
    host: str
    path: str
    tls: bool

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        return ip_address(self.address).is_loopback

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is of IPv6."""
        return ip_address(self.address).version == 6


def aim_at(url: str, *, owned: bool = False) -> Aim:
    """The target of a URL. Raises ``Refused`` for one that is not on loopback and not ``owned``."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(f"{url} is no http:// or https:// address")
    tls = parts.scheme == "https"
    addresses = _addresses(parts.hostname, parts.port or (443 if tls else 80))
    if not owned:
        check_loopback(parts.hostname, [address for address, _ in addresses])
    address, port = addresses[0]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    return Aim(address, port, host, path, tls)


def check_loopback(host: str, addresses: Sequence[str]) -> None:
    """Raise ``Refused`` unless all of a host's addresses are this machine's own."""
    if not all(ip_address(address).is_loopback for address in addresses):
        raise Refused(
            f"{host} is not this machine. A fleet is a load that only the owner of a server may "
            f"put on it: say so with {OWNER_FLAG}"
        )


def _addresses(host: str, port: int) -> list[tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise Refused(f"{host} cannot be resolved") from exc
    return [(str(place[0]).partition("%")[0], int(place[1])) for *_, place in found]
