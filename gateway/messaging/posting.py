"""One attempt to deliver: a request to a receiver that may be anybody.

Knows HTTP as a client, and how to judge what comes back. Does not know what waits, nor when it
is tried again.

Rule: no connection is opened to an address that was not judged, no redirect is followed, no proxy
asked. A status is an answer: nothing that comes, or does not come, after it changes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from gateway.http_client import address_of, http_client
from gateway.messaging.records import Delivery
from gateway.messaging.render import rendered
from gateway.messaging.targets import PUBLIC_ONLY, TargetRules, is_public
from gateway.process.background import aside
from gateway.resolvers import ForeignNames

_REPLY_BYTES: Final = 16 * 1024
_REPLY_SECONDS: Final = 1.0
_LOOK_UP_SECONDS: Final = 5.0
# It is this message that the receiver does not want: it will not help to insist.
_REFUSED: Final = frozenset({400, 413, 415, 422})


class NotPublic(OSError):
    """The address is not one of the public internet's."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a delivery did not arrive."""

    reason: str
    refused: bool = False


class Poster:
    """Posts deliveries, one request each, to hosts that the ``rules`` allow."""

    def __init__(self, session: aiohttp.ClientSession, rules: TargetRules = PUBLIC_ONLY) -> None:
        self._session = session
        self._rules = rules

    async def post(self, delivery: Delivery) -> Failed | None:
        """Send it; ``None`` if the receiver took it."""
        if not self._rules.allows(delivery.host):
            return Failed("host not allowed")
        wording = await aside(delivery.size, rendered, delivery)
        headers = {
            "Content-Type": wording.content_type,
            "X-Webhook-Id": str(delivery.webhook_id),
            "X-Webhook-Event": wording.event,
            "X-Webhook-Delivery": str(delivery.id),
        }
        status = 0
        try:
            async with self._session.post(
                address_of(delivery.url),
                data=io.BytesIO(wording.body),
                headers=headers,
                allow_redirects=False,
            ) as reply:
                status = reply.status
                await _skip(reply)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            if not status:
                return Failed(_reason(exc))
        return _judged(status)


@contextlib.asynccontextmanager
async def open_poster(
    rules: TargetRules, *, connections: int, timeout_seconds: float, nameservers: tuple[str, ...]
) -> AsyncIterator[Poster]:
    """A poster with its own connections and look-ups; nothing is waited for at its end."""
    names = ForeignNames(nameservers, seconds=min(_LOOK_UP_SECONDS, timeout_seconds))
    connector = aiohttp.TCPConnector(
        limit=connections,
        force_close=True,  # each delivery has its own connection, to an address judged for it
        resolver=names,
        use_dns_cache=False,
        socket_factory=open_socket if rules.private else open_public_socket,
    )
    try:
        async with http_client(connector, timeout_seconds=timeout_seconds) as session:
            yield Poster(session, rules)
    finally:
        await names.close()


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that a name was resolved to."""
    family, kind, protocol, *_ = address
    return socket.socket(family, kind, protocol)


def open_public_socket(address: tuple[Any, ...]) -> socket.socket:
    """The same, for the very address that is connected to next. Raises ``NotPublic``."""
    if not is_public(address[4][0]):
        raise NotPublic("not a public address")
    return open_socket(address)


def _reason(exc: Exception) -> str:
    """Of a name that leads inside the same as of one that leads nowhere."""
    cause = exc.__cause__ or exc
    if isinstance(exc, aiohttp.ClientConnectorDNSError) or isinstance(cause, NotPublic):
        return "unreachable"
    return type(cause).__name__


def _judged(status: int) -> Failed | None:
    if 200 <= status < 300:
        return None
    return Failed(f"status {status}", refused=status in _REFUSED)


async def _skip(reply: aiohttp.ClientResponse) -> None:
    """Take a short response, so that its sender sees no reset; of any other, no more than that."""
    left = _REPLY_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REPLY_SECONDS):
            while left > 0 and (chunk := await reply.content.read(left)):
                left -= len(chunk)
