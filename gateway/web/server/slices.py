"""A large body that is in memory, sent in slices between which others have their turn.

Theory of operation. A write copies as much as the kernel takes, megabytes perhaps, while the
event loop stands still; and of two hundred clients who ask for such a body at once, all may become
writable in one turn of the loop. So a slice is written, and the next one when the client's turn
has come again, in the same rounds in which requests begin.

Knows aiohttp's payloads. Does not know whose turn it is.

Rule: whoever asks for much waits in turns; whoever asks for little waits for a slice at most.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

SLICE_BYTES: Final = 64 * 1024

Turn = Callable[[], Awaitable[object]]


class SlicedBody(Payload):
    """``body``, which awaits ``turn`` before each slice but the first."""

    _autoclose = True  # there is nothing to close
    _value: bytes

    def __init__(self, body: bytes, turn: Turn) -> None:
        super().__init__(body)
        self._size = len(body)
        self._turn = turn

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it. Raises ``ConnectionError`` if the client left."""
        body = memoryview(self._value)
        for start in range(0, len(body), SLICE_BYTES):
            if start:
                await self._turn()
            await writer.write(body[start : start + SLICE_BYTES])


def send_in_slices(response: web.StreamResponse, turn: Turn) -> None:
    """Have the body of ``response`` sent in slices if it is in memory and large."""
    if isinstance(response, web.Response):
        body = response.body
        if isinstance(body, bytes) and len(body) > SLICE_BYTES:
            response.body = SlicedBody(body, turn)
