"""Downloads under way, which end when their blob turns out to be damaged.

Knows which blob goes to whom. Does not know how it is sent, nor who found the damage.

Rule: a download that was looked up before its blob was known to be damaged is refused if it has
not begun, and cut if it has.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from aiohttp import web

from gateway.model.change import BlobQuarantined, Change
from gateway.model.errors import InQuarantine
from gateway.traffic.cache import BoundedCache

_REMEMBERED: Final = 4096


class DownloadsUnderWay:
    """The downloads of more than one write; a ``ChangeListener``."""

    def __init__(self) -> None:
        self._sending: dict[UUID, set[asyncio.Transport]] = {}
        self._damaged: BoundedCache[UUID, float] = BoundedCache(_REMEMBERED)

    def check(self, blob_id: UUID, seen: float) -> None:
        """Raise ``InQuarantine`` if the blob's damage was heard of after the loop's time ``seen``.

        Who looks later sees it in the row.
        """
        heard_at = self._damaged.find(blob_id)
        if heard_at is not None and seen <= heard_at:
            raise InQuarantine()

    def begin(self, blob_id: UUID, request: web.Request) -> asyncio.Transport | None:
        """The blob is about to be sent; what ``end`` is to be given."""
        transport = request.transport
        if transport is not None:
            self._sending.setdefault(blob_id, set()).add(transport)
        return transport

    def end(self, blob_id: UUID, transport: asyncio.Transport | None) -> None:
        """It is sent no longer."""
        transports = self._sending.get(blob_id, set())
        if transport is not None:
            transports.discard(transport)
        if not transports:
            self._sending.pop(blob_id, None)

    def on_change(self, change: Change) -> None:
        """Cut the downloads of a blob that is damaged."""
        if not isinstance(change, BlobQuarantined):
            return
        self._damaged.keep(change.blob_id, asyncio.get_running_loop().time())
        for transport in self._sending.get(change.blob_id, ()):
            transport.abort()

    def on_connected(self) -> None:
        """Nothing is remembered here that could be stale."""

    def on_disconnected(self) -> None:
        """What goes unheard is refused once it is looked up again."""
