"""What a request turned out to be while it was served, for its line in the log.

Rule: a credential is never among it, only whom it proves.
"""

from __future__ import annotations

from typing import Final, Protocol

from aiohttp import web
from aiohttp.payload import Payload

from gateway.model.access import Principal

_PRINCIPAL: Final = web.RequestKey("principal", Principal)


class Sending(Protocol):
    """A body on its way."""

    @property
    def left(self) -> int:
        """How many of its bytes have left us."""


_SENDING: Final[web.RequestKey[Sending]] = web.RequestKey("sending")


def note_principal(request: web.Request, principal: Principal) -> Principal:
    """Whose request it is; the principal itself."""
    request[_PRINCIPAL] = principal
    return principal


def note_sending(request: web.Request, sending: Sending) -> None:
    """What is being sent: it knows how far it came, also if the client leaves."""
    request[_SENDING] = sending


def caller_of(request: web.Request) -> str | None:
    """Kind and id of the caller, if there was one who proved it."""
    principal = request.get(_PRINCIPAL)
    return None if principal is None else name_of(principal)


def name_of(principal: Principal) -> str:
    """Kind and id."""
    return f"{principal.kind}/{principal.id}"


def bytes_of(request: web.Request, response: web.StreamResponse | None) -> int:
    """How many bytes of body the gateway itself sends, or has sent before the client left."""
    sending = request.get(_SENDING)
    if sending is not None:
        count: int = sending.left
        return count
    if response is None or request.method == "HEAD":
        return 0
    if isinstance(response, web.Response):
        body = response.body
        if isinstance(body, Payload):
            return body.size or 0
        return len(body) if isinstance(body, bytes | bytearray) else 0
    return int(response.body_length)
