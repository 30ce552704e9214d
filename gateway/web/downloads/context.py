"""What downloads work with: one value on the application, beside what all handlers share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from gateway.blobs.port import BlobReader
from gateway.filestore import Filestore
from gateway.model.access import Access, PrincipalKind
from gateway.model.file import FileRecord, FrontPlace
from gateway.settings.fastways import ALL_WAYS, FastWay
from gateway.traffic.bandwidth import Bandwidth, Pace
from gateway.traffic.resolved import ReadCache, Resolved
from gateway.web.cors import CorsPolicy
from gateway.web.downloads.transfer import TransferWatch
from gateway.web.downloads.underway import DownloadsUnderWay
from gateway.web.server.stall import StallWatch
from gateway.web.signing.secure_link import SecureLinks

ResolvedRead = Resolved[BlobReader]


class DigestTexts(Protocol):
    """What is said beside a file of its digest."""

    async def text(self, record: FileRecord, algorithm: str, shown_name: str) -> bytes:
        """A line about the file."""


@dataclass(frozen=True, slots=True)
class Downloads:
    """What downloads work with. ``accel`` is nginx's internal location, times are in seconds.

    Without ``digests`` there is nothing beside a file. One in ``verify_one_in`` whole downloads is
    hashed while it is sent; 0: none. ``links`` are for a front server that checks them by itself.
    Callers of the kinds ``redirected`` are sent to the store, where that can be.
    """

    files: Filestore
    reads: ReadCache[BlobReader]
    stalls: StallWatch
    watch: TransferWatch
    accel: str | None = None
    edge_seconds: float = 0.0
    bandwidth: Bandwidth | None = None
    ways: frozenset[FastWay] = ALL_WAYS
    cors: CorsPolicy = field(default_factory=CorsPolicy)
    several_ranges: bool = False
    digests: DigestTexts | None = None
    under_way: DownloadsUnderWay = field(default_factory=DownloadsUnderWay)
    verify_one_in: int = 0
    says_surrogate_keys: bool = False
    links: SecureLinks | None = None
    redirected: frozenset[PrincipalKind] = frozenset()

    async def place_of(self, resolved: ResolvedRead) -> FrontPlace | None:
        """Where a front server finds the bytes, if it can at all; looked up once for a read.

        Again where the right to it is half over.

        Raises ``BlobMissing`` if they are not there whole.
        """
        if resolved.place is None or resolved.place.fresh_until <= time.monotonic():
            resolved.place = await self.files.locate(resolved.record)
        return resolved.place

    def surrogate_keys(self, record: FileRecord) -> Mapping[str, str]:
        """By what a CDN may be told to forget the file: its bytes, or all of its scope."""
        if not self.says_surrogate_keys:
            return {}
        scope = record.scope
        keys = f"sha256-{record.content.digest.hex} scope-{scope.kind}-{scope.owner}"
        return {"Surrogate-Key": keys}

    def pace_of(self, access: Access) -> Pace | None:
        """What limits how fast this read is answered; ``None``: nothing."""
        return None if self.bandwidth is None else self.bandwidth.pace_of(access)


DOWNLOADS: Final = web.AppKey("downloads", Downloads)
