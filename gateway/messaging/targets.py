"""Addresses that users name for us to call: which of them are the public internet's.

Knows URLs and addresses; resolves nothing.

Rule: what is not certainly public is private. An address that carries another one inside
(mapped, translated, tunnelled) is judged by both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from gateway.model.errors import Malformed

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
