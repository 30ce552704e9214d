"""What all handlers can reach on the application: the files, and the messages.

Who calls is in ``authentication``, what uploads and downloads need in the ``context`` of their
rooms, what one dialect keeps in that dialect.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.filestore import Filestore
from gateway.messaging.service import Messaging

FILES: Final = web.AppKey("files", Filestore)
MESSAGING: Final = web.AppKey("messaging", Messaging)
