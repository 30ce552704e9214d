"""What handlers can reach: a frozen value on the application for each kind of work.

Who calls is in ``authentication``. Knows the ports; the concrete classes meet only in ``app``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.filestore import Filestore
from gateway.messaging.service import Messaging
from gateway.settings.fastways import ALL_WAYS, FastWay
from gateway.traffic.limits import ConcurrencyLimit


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask of us. Sizes in bytes, times in seconds."""

    file_bytes: int
    stall_seconds: float
    min_upload_bytes_per_second: int
    field_bytes: int = 64 * 1024
    fields: int = 32
    part_header_bytes: int = 8 * 1024
    part_headers: int = 16
    preamble_bytes: int = 8 * 1024
    json_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Gateway:
    """What uploads, and all who ask for files, work with."""

    files: Filestore
    limits: Limits
    uploads: ConcurrencyLimit
    store_md5: bool = False
    ways: frozenset[FastWay] = ALL_WAYS


GATEWAY: Final = web.AppKey("gateway", Gateway)
MESSAGING: Final = web.AppKey("messaging", Messaging)
