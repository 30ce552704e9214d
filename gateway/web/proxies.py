"""Which peers may speak for others: the proxies whose forwarding headers are believed.

Rule: a header that a client could have written itself proves nothing; only the address of
the connection, or a secret shared with the proxy, does.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final

from aiohttp import web

from gateway.model.address import host_of
from gateway.model.errors import Malformed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED_FOR: Final = "X-Forwarded-For"
SECRET_HEADER: Final = "X-Filestore-Proxy-Secret"  # noqa: S105 - a header's name


class TrustedPeers:
    """The networks, and perhaps the shared secrets, of proxies that we believe.

    An entry ``unix`` stands for connections over a Unix socket.
    """

    def __init__(self, entries: Iterable[str] = (), *secrets: str) -> None:
        listed = set(entries)
        self._unix = "unix" in listed
        self._networks = tuple(ipaddress.ip_network(e) for e in sorted(listed - {"unix"}))
        self._secrets = tuple(secret.encode() for secret in secrets if secret)

    def trusts(self, request: web.Request) -> bool:
        """Whether the peer of this connection is a trusted proxy."""
        return self._knows_address(request) or self._knows_secret(request.headers)

    def client_of(self, headers: Mapping[str, str], peer: str | None) -> str | None:
        """Whose request it is, for the log: the peer, or whom a trusted proxy names as its own.

        ``peer`` is the peer's address, empty or ``None`` on a Unix socket. Of several names the
        last one is the proxy's; those before it may be the client's invention.
        """
        named = headers.get(FORWARDED_FOR)
        if named is None:
            return peer
        known = self._knows(peer) if peer else self._unix
        if not known and not self._knows_secret(headers):
            return peer
        address = named.rpartition(",")[2].strip()
        return address if _is_address(address) else peer

    def address_of(self, request: web.Request) -> str | None:
        """The address that a request comes from, as a trusted proxy says or as we see it.

        Of an IPv6 address its network of 64 bits, which one host may have all of. ``None`` if it
        is not known: behind a socket, or a proxy that does not say.
        """
        found = request.transport.get_extra_info("peername") if request.transport else None
        peer = found[0] if isinstance(found, tuple) else None
        client = self.client_of(request.headers, peer)
        if client is None or (client == peer and self.trusts(request)):
            return None
        return host_of(client)

    def is_proxy(self, peer: str) -> bool:
        """Whether connections from there are of many clients, by the address alone."""
        return bool(self._networks) and self._knows(peer)

    def _knows_address(self, request: web.Request) -> bool:
        if not self._networks and not self._unix:
            return False
        peer = request.transport.get_extra_info("peername") if request.transport else None
        if not isinstance(peer, tuple):
            return self._unix and peer is not None
        return self._knows(peer[0])

    def _knows(self, peer: str) -> bool:
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)

    def _knows_secret(self, headers: Mapping[str, str]) -> bool:
        if not self._secrets:
            return False
        given = headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        known = [hmac.compare_digest(given, secret) for secret in self._secrets]  # always all
        return any(known)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def single_header(request: web.Request, name: str) -> str | None:
    """A header's value. Raises ``Malformed`` if it is there more than once."""
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise Malformed(f"the header {name} is given more than once")
    return values[0] if values else None
