"""What all handlers can reach: files, messages, quotas, the quarantine, the room left.

Who calls is in ``authentication``, what uploads and downloads need in the ``context`` of their
rooms, what one dialect keeps in that dialect.
"""

from __future__ import annotations

from typing import Final, Protocol

from aiohttp import web

from gateway.filestore import Filestore
from gateway.messaging.service import Messaging
from gateway.quotas.service import Quotas
from gateway.upkeep.quarantine import Ward


class Room(Protocol):
    """Whether there is room for more rows."""

    async def check(self) -> None:
        """Raise ``StorageFull`` if what is left is kept for the database itself."""


FILES: Final = web.AppKey("files", Filestore)
MESSAGING: Final = web.AppKey("messaging", Messaging)
QUOTAS: Final = web.AppKey("quotas", Quotas)
WARD: Final = web.AppKey("ward", Ward)
ROOM: Final[web.AppKey[Room]] = web.AppKey("room")
