"""Who may see how the gateway is: everybody, or who has the operations token.

Rule: whether it is alive, and whether it is ready, is for everybody; numbers, reasons and the
description of its routes are not, where a token is set.
"""

from __future__ import annotations

import hmac
from typing import Final

from aiohttp import web

from gateway.web.dialect import Handler
from gateway.web.responses import json_reply

_REFUSAL: Final = {"error": "the operations token is needed"}


class Operators:
    """Those who send ``token`` as a Bearer token; without one, everybody."""

    def __init__(self, token: str = "") -> None:
        self._token = token.encode()

    def knows(self, request: web.Request) -> bool:
        """Whether the request is an operator's."""
        if not self._token:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)
        return known and scheme.lower() == "bearer"

    def only(self, handler: Handler) -> Handler:
        """``handler`` for operators, 401 for others."""
        if not self._token:
            return handler

        async def guarded(request: web.Request) -> web.StreamResponse:
            if self.knows(request):
                return await handler(request)
            return json_reply(_REFUSAL, 401, {"WWW-Authenticate": "Bearer"})

        return guarded


EVERYBODY: Final = Operators()
