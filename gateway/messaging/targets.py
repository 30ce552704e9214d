"""Addresses that users name for us to call: which of them are the public internet's.

Knows URLs and addresses; resolves nothing.

Rule: what is not certainly public is private. An address that carries another one inside
(mapped, translated, tunnelled) is judged by both. Of a name nothing is said before a delivery: a
user is told no more of the names of the inside than of those that do not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from gateway.model.errors import Malformed
from gateway.resolvers import literal_address

_LONGEST: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_UNICAST: Final = IPv6Network("2000::/3")
_DOCUMENTATION: Final = IPv6Network("3fff::/20")  # RFC 9637, younger than what Python knows
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: what DNS64 makes of IPv4
_LAST_32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that is fit to be called. ``host`` as written, without brackets."""

    url: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TargetRules:
    """Which targets a deployment allows: private ones too, or hosts of its choice alone.

    A host is ``erp.example.com`` or, for all below it, ``*.example.com``, in lower case.
    """

    private: bool = False
    hosts: tuple[str, ...] = ()

    def check(self, target: Target) -> None:
        """Raise ``Malformed`` unless webhooks may name it, as far as it says so itself."""
        if not self.allows(target.host):
            raise Malformed("the url's host is not one that webhooks may name")
        if not self.private and _is_inside(target.host):
            raise Malformed("the url's address is not a public one")

    def allows(self, host: str) -> bool:
        """Whether the host is among those that may be called."""
        return not self.hosts or self.names(host)

    def names(self, host: str) -> bool:
        """Whether the deployment itself has named the host."""
        name = host.lower().removesuffix(".")
        return any(
            name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:]))
            for allowed in self.hosts
        )


PUBLIC_ONLY: Final = TargetRules()


def parse_target(url: object) -> Target:
    """The target of an ``http`` or ``https`` URL without user, fragment or odd characters.

    Raises ``Malformed``.
    """
    if not isinstance(url, str) or not url or len(url) > _LONGEST:
        raise Malformed("url is missing, or longer than 2048 characters")
    if not url.isascii() or not url.isprintable() or any(c in url for c in ' "<>\\^`{|}#'):
        raise Malformed("url has characters that a URL does not have")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as exc:
        raise Malformed("url cannot be understood") from exc
    if "@" in parts.netloc:
        raise Malformed("url names a user")
    if parts.scheme not in _PORTS or not _AUTHORITY.fullmatch(parts.netloc) or port == 0:
        raise Malformed("url is not an http:// or https:// URL")
    return Target(url, host, port or _PORTS[parts.scheme])


def is_public(address: str) -> bool:
    """Whether the address is one of the public internet's, and carries no other that is not.

    Raises ``ValueError`` for what is no address.
    """
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return _is_public_v4(found)
    if found in _TRANSLATED:
        return _is_public_v4(_last_32(found))
    if found not in _UNICAST or found in _DOCUMENTATION or not found.is_global:
        return False
    return all(_is_public_v4(inner) for inner in _carried(found))


def _is_inside(host: str) -> bool:
    """Whether the host, without a look-up, is an address of the inside (RFC 6761 6.3, too)."""
    literal = literal_address(host)
    if literal is not None:
        return not is_public(literal)
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    """What 6to4 and Teredo put inside."""
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def _last_32(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & _LAST_32)
