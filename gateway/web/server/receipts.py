"""Whether a client received what was sent, and that it has left.

Theory of operation. What is handed to the kernel is not received. Three things tell what became of
it: the client says more on the same connection, so it has read all that came before; or it ends
the connection in order and TCP has everything acknowledged; or the connection breaks. Whoever has
sent something leaves a ``Receipt``, a function that is called once with the answer. A call of
``data_received`` without bytes is aiohttp's own, when it goes on reading, and says nothing of the
client.

Likewise somebody who waits for something else than the socket (its turn to send) is not told by
aiohttp that the client left: the next write would find out, which may be long after.
``ending_the_block`` cancels the waiting task and turns the cancellation into an error.

Knows the callbacks of asyncio's protocols, and nothing private. Does not know what was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from gateway.web.server.exchange import Receipt, Telling
from gateway.web.server.tcp import is_acknowledged


class TellingConnection(web.RequestHandler, Telling):
    """A connection that tells of its client."""

    __slots__ = ("_lose", "_receipt")

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._receipt: Receipt | None = None
        self._lose: Callable[[], None] | None = None

    def on_receipt(self, receipt: Receipt) -> None:
        """Tell ``receipt``, once it is known, whether the client got all that was sent by now."""
        self._receipt = receipt

    @contextmanager
    def ending_the_block(self) -> Iterator[None]:
        """End the block with ``ConnectionResetError`` as soon as the client is gone."""
        task, lost = asyncio.current_task(), False
        assert task is not None, "handlers run in tasks"
        cancelled_before = task.cancelling()

        def lose() -> None:
            nonlocal lost
            lost = True
            task.cancel()

        self._lose = lose
        try:
            yield
        except asyncio.CancelledError:
            if lost and task.uncancel() <= cancelled_before:
                raise ConnectionResetError("the client left") from None
            raise
        finally:
            self._lose = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp does, and whoever waits for a receipt or within a block is told."""
        receipt, self._receipt = self._receipt, None
        if receipt is not None and self.transport is not None:
            receipt(exc is None and is_acknowledged(self.transport))
        super().connection_lost(exc)
        if self._lose is not None:
            self._lose()

    def data_received(self, data: bytes) -> None:
        """As aiohttp does. The client said more: it has what was sent."""
        if data and self._receipt is not None:
            receipt, self._receipt = self._receipt, None
            receipt(True)
        super().data_received(data)
