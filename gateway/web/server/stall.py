"""Ends downloads whose reader has stopped reading.

Knows transports and what their peers have acknowledged. Knows no absolute deadline: a device
may be as slow as it likes as long as it moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.web.server.tcp import bytes_acknowledged


class StallWatch:
    """Looks at every long transfer now and then; cuts those that made no progress.

    ``on_stall`` is told of each that is cut.
    """

    def __init__(self, stall_seconds: float, on_stall: Callable[[], object]) -> None:
        self._stall_seconds = stall_seconds
        self._on_stall = on_stall
        self._watched: dict[asyncio.WriteTransport, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self, transport: asyncio.WriteTransport) -> Iterator[None]:
        """Watch ``transport`` during the block."""
        self.watch(transport)
        try:
            yield
        finally:
            self.unwatch(transport)

    def watch(self, transport: asyncio.WriteTransport) -> None:
        """Watch ``transport`` until it is said that it need not be any more."""
        self._watched[transport] = -1
        if self._timer is None:
            self._timer = self._next_look()

    def unwatch(self, transport: asyncio.WriteTransport) -> None:
        """It is no longer watched."""
        self._watched.pop(transport, None)

    def _next_look(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._stall_seconds, self._look)

    def _look(self) -> None:
        for transport, before in list(self._watched.items()):
            acknowledged = bytes_acknowledged(transport)
            if acknowledged is not None and acknowledged == before:
                self._on_stall()
                transport.abort()
            elif acknowledged is not None:
                self._watched[transport] = acknowledged
        self._timer = self._next_look() if self._watched else None
