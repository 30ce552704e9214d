"""Callers: credentials out of a request, and all that says whose they are and what they may.

Knows where HTTP carries them; ``identity`` knows whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.identity.port import AuthHook
from gateway.identity.registry import Registry
from gateway.model.access import Principal
from gateway.model.change import ChangeListener
from gateway.model.errors import Unauthenticated
from gateway.traffic.credentials import PrincipalCache
from gateway.web.proxies import TrustedPeers, single_header


@dataclass(frozen=True, slots=True)
class Callers:
    """Who there is, who may do what, and who speaks for others.

    ``credentials`` remembers whose they were; ``listeners`` hear of what makes that stale.
    """

    registry: Registry
    hook: AuthHook
    proxies: TrustedPeers
    credentials: PrincipalCache
    listeners: ChangeListener


CALLERS: Final = web.AppKey("callers", Callers)


def credential(request: web.Request, scheme: str) -> str:
    """What follows ``scheme`` in the Authorization header (RFC 9110 11.6.2).

    Raises ``Unauthenticated`` if there is none, or one of another scheme.
    """
    header = single_header(request, "Authorization") or ""
    given, _, value = header.partition(" ")
    value = value.strip()
    if given.lower() != scheme or not value or not value.isascii():
        raise Unauthenticated()
    return value


def has_scheme(request: web.Request, scheme: str) -> bool:
    """Whether the Authorization header is of that scheme."""
    header = request.headers.get("Authorization", "")
    return header.partition(" ")[0].lower() == scheme


async def thing_key(request: web.Request) -> Principal:
    """The thing of ``Authorization: Thing <key>``. Raises ``Unauthenticated``, ``Forbidden``."""
    return await thing_of(request, credential(request, "thing"))


async def bearer(request: web.Request) -> Principal:
    """The user of ``Authorization: Bearer <token>``. Raises ``Unauthenticated``."""
    return await user_of(request, credential(request, "bearer"))


async def thing_of(request: web.Request, key: str) -> Principal:
    """The thing whose key this is, wherever it stood. Raises ``Forbidden``."""
    callers = request.app[CALLERS]
    return await callers.credentials.principal("thing", key, callers.registry.thing_by_key)


async def user_of(request: web.Request, token: str) -> Principal:
    """The user whose token this is, wherever it stood. Raises ``Unauthenticated``."""
    callers = request.app[CALLERS]
    return await callers.credentials.principal("bearer", token, callers.registry.user_by_token)
