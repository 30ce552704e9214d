"""What handlers can reach: a frozen value on the application for each kind of work.

Who calls is in ``authentication``. Knows the ports; the concrete classes meet only in ``app``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.blobs.port import BlobReader
from gateway.filestore import Filestore
from gateway.messaging.service import Messaging
from gateway.model.access import Access
from gateway.settings.fastways import ALL_WAYS, FastWay
from gateway.traffic.bandwidth import Bandwidth, Pace
from gateway.traffic.limits import ConcurrencyLimit
from gateway.traffic.resolved import ReadCache, Resolved
from gateway.traffic.resumes import ResumeGuard
from gateway.web.server.stall import StallWatch

ResolvedRead = Resolved[BlobReader]


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
    """What uploads and downloads work with."""

    files: Filestore
    limits: Limits
    uploads: ConcurrencyLimit
    stalls: StallWatch
    reads: ReadCache[BlobReader]
    downloads: ResumeGuard
    accel: str | None = None
    edge_seconds: float = 0.0
    store_md5: bool = False
    bandwidth: Bandwidth | None = None
    ways: frozenset[FastWay] = ALL_WAYS

    def pace_of(self, access: Access) -> Pace | None:
        """What limits how fast this read is answered; ``None``: nothing."""
        return None if self.bandwidth is None else self.bandwidth.pace_of(access)


GATEWAY: Final = web.AppKey("gateway", Gateway)
MESSAGING: Final = web.AppKey("messaging", Messaging)
