"""Addresses of hosts, as far as whose they are matters."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

_HOST_BITS: Final = 64


@lru_cache(maxsize=4096)
def host_of(address: str) -> str:
    """What one host has: an IPv4 address, or the network of 64 bits of an IPv6 one.

    Raises ``ValueError`` if it is no address.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    if mapped is not None or parsed.version == 4:
        return str(mapped or parsed)
    return str(ipaddress.ip_network((parsed, _HOST_BITS), strict=False))
