"""Ends downloads whose reader has stopped reading.

Knows how Linux counts what a peer has acknowledged. Knows no absolute deadline: a device
may be as slow as it likes as long as it moves.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.web import metrics

# struct tcp_info (linux/tcp.h): 8 bytes of flags, 24 times u32 (the fifth: segments that are not
# acknowledged), two rates, bytes acked and received, segments out and in, bytes not sent.
_BYTES_ACKED: Final = struct.Struct("@120xQ")
_OUTSTANDING: Final = struct.Struct("@24xI116xI")


class StallWatch:
    """Looks at every long transfer now and then; cuts those that made no progress."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
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
                metrics.stalled.inc()
                transport.abort()
            elif acknowledged is not None:
                self._watched[transport] = acknowledged
        self._timer = self._next_look() if self._watched else None


def bytes_acknowledged(transport: asyncio.WriteTransport) -> int | None:
    """Bytes that the peer has acknowledged on this connection; ``None`` if not TCP."""
    info = _tcp_info(transport, _BYTES_ACKED)
    return int(info[0]) if info else None


def is_acknowledged(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer has acknowledged all that was written; true if that cannot be known."""
    return not any(_tcp_info(transport, _OUTSTANDING))


def _tcp_info(transport: asyncio.BaseTransport, layout: struct.Struct) -> tuple[int, ...]:
    """Fields of the connection's ``tcp_info``; none if it is not TCP."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None:
        return ()
    try:
        return layout.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, layout.size))
    except (OSError, struct.error):
        return ()
