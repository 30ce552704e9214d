"""What handlers can reach: a frozen value on the application for each kind of work.

Who calls is in ``authentication``. Knows the ports; the concrete classes meet only in ``app``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.filestore import Filestore
from gateway.messaging.service import Messaging


@dataclass(frozen=True, slots=True)
class Gateway:
    """What all who ask for files work with. There is more in the ``context`` of a room."""

    files: Filestore


GATEWAY: Final = web.AppKey("gateway", Gateway)
MESSAGING: Final = web.AppKey("messaging", Messaging)
