"""Credentials out of a request.

Knows where HTTP carries them; ``identity`` knows whose they are.
"""

from __future__ import annotations

from aiohttp import web

from gateway.model.access import Principal
from gateway.model.errors import Unauthenticated
from gateway.web.context import GATEWAY
from gateway.web.proxies import single_header


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
    gateway = request.app[GATEWAY]
    key = credential(request, "thing")
    return await gateway.principals.principal("thing", key, gateway.registry.thing_by_key)


async def bearer(request: web.Request) -> Principal:
    """The user of ``Authorization: Bearer <token>``. Raises ``Unauthenticated``."""
    gateway = request.app[GATEWAY]
    token = credential(request, "bearer")
    return await gateway.principals.principal("bearer", token, gateway.registry.user_by_token)
