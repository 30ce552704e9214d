"""What every connection of a server is given: one value that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from gateway.model.errors import GatewayError
from gateway.traffic.rounds import Rounds
from gateway.web.server.exchange import SendAtOnce
from gateway.web.server.stop import Stop
from gateway.web.server.unparsed import RequestLine

LINGERING_SECONDS: Final = 2.0
READ_BUFFER_BYTES: Final = 64 * 1024

RenderError = Callable[[GatewayError, RequestLine | None, str | None], web.Response]
"""Words an error, for whoever sent that line, if there was one, from that address."""


def _unobserved(_peer: str, _by: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Options:
    """How connections behave.

    ``render_error`` words what never reaches a handler. ``send_at_once`` is the fast path, if
    there is one; ``past_parser`` lets large bodies be received past aiohttp's parser.
    ``on_change`` is told 1 when a connection of this peer (its address, or ``""``) begins and -1
    when it ends. ``rounds`` says when the next request of a peer begins. ``stop`` is
    the server's, and is told of whom it has to wait for.
    """

    render_error: RenderError
    keepalive_seconds: float
    send_at_once: SendAtOnce | None = None
    past_parser: bool = True
    on_change: Callable[[str, int], object] = _unobserved
    rounds: Rounds | None = None
    stop: Stop = field(default_factory=Stop)
