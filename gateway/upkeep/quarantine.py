"""Quarantine: what was found damaged is sent to nobody, and what is right again comes out.

Theory of operation. Damage is met in three ways. A scrub or a check looks at every blob. A read
that fails in the middle, or finds too few bytes, only *suspects* its blob: it is looked at here,
one after the other beside the service, and goes into quarantine if two looks, a moment apart, find
it wanting, too: a disk that failed for a moment has damaged nothing. A read that has hashed all of
a blob and found other bytes *knows*, and puts it there at once.

A store that is away, because its disk is not mounted or its network is down, looks as if every
blob was missing. So one that is not there at all goes into quarantine only if another one is there
(``witnesses``).

Rule: rows and bytes stay. What is put here is told of at once, in this process and in all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from gateway.blobs.port import BlobStore
from gateway.catalogue.damage import Quarantine
from gateway.catalogue.port import BlobLedger
from gateway.model.change import BlobQuarantined, ChangeListener, ChangeListeners, FileChanged
from gateway.model.damage import Fault, FoundBy
from gateway.model.errors import BlobMissing, GatewayError, StorageFailed, cause_of
from gateway.model.file import Blob, FileName
from gateway.process.background import running
from gateway.traffic.cache import BoundedCache
from gateway.upkeep.examine import examine

_log: Final = logging.getLogger(__name__)
_WITNESSES: Final = 20
_MOST_SUSPECTS: Final = 256
_LOOKED_AT: Final = 4096
_AGAIN_SECONDS: Final = 60.0
_MOMENT_SECONDS: Final = 1.0


class StoreAway(StorageFailed):
    """No blob can be opened: it is the store that is not there."""

    sentence = "the store seems to be away: none of its blobs can be opened"


def _unseen(fault: Fault, found_by: FoundBy) -> None:
    del fault, found_by


@dataclass(frozen=True, slots=True)
class Ward:
    """Where damaged blobs are kept from being sent.

    ``listener`` keeps what an entry makes stale in this process; ``seen`` is told of each new one.
    """

    blobs: BlobStore
    ledger: BlobLedger
    quarantine: Quarantine
    listener: ChangeListener = field(default_factory=ChangeListeners)
    seen: Callable[[Fault, FoundBy], None] = _unseen

    async def admit(self, blob: Blob, fault: Fault, found_by: FoundBy) -> bool:
        """Put the blob into quarantine; whether it is there and was not.

        Raises ``StoreAway`` if it may be the store that is not there.
        """
        if fault.damage.is_absence and not await self._is_there():
            raise StoreAway()
        file = await self.quarantine.put(blob.id, fault, found_by)
        if file is None:
            return False
        self._tell(blob.id, file)
        self.seen(fault, found_by)
        _log.error(
            "a blob is damaged, and in quarantine",
            extra={
                "blob_id": str(blob.id),
                "scope": str(file.scope),
                "file": file.name,
                "what": fault.damage.value,
                "found_by": found_by.value,
                "detail": fault.detail,
            },
        )
        return True

    async def release(self, blob_id: UUID, found_by: FoundBy) -> bool:
        """The blob's bytes are right; whether it was in quarantine."""
        file = await self.quarantine.release(blob_id, found_by)
        if file is None:
            return False
        self.listener.on_change(FileChanged(file.scope, file.name))
        named = {"blob_id": str(blob_id), "scope": str(file.scope), "file": file.name}
        _log.warning("a blob is right again, and out of quarantine", extra=named)
        return True

    def _tell(self, blob_id: UUID, file: FileName) -> None:
        self.listener.on_change(FileChanged(file.scope, file.name))
        self.listener.on_change(BlobQuarantined(blob_id))

    async def _is_there(self) -> bool:
        """Whether any blob can be opened, or there is none to try."""
        start = uuid4()
        witnesses = [
            *await self.ledger.blobs_after(start, _WITNESSES),
            *await self.ledger.blobs_after(UUID(int=0), _WITNESSES),
        ]
        for blob in witnesses:
            with contextlib.suppress(BlobMissing, StorageFailed):
                (await self.blobs.open(blob)).close()
                return True
        return len({blob.id for blob in witnesses}) < 2


class Suspects:
    """Blobs that a read found wanting, looked at one after the other beside the service."""

    def __init__(self, ward: Ward) -> None:
        self._ward = ward
        self._waiting: dict[UUID, Blob] = {}
        self._looked_at: BoundedCache[UUID, bool] = BoundedCache(_LOOKED_AT)
        self._woken = asyncio.Event()

    def suspect(self, blob: Blob) -> None:
        """Something is wrong with the blob, or with the way to it. Does not block."""
        known = blob.quarantined or self._looked_at.find(blob.id)
        if not known and len(self._waiting) < _MOST_SUSPECTS:
            self._waiting[blob.id] = blob
            self._woken.set()

    async def convict(self, blob: Blob, fault: Fault) -> None:
        """All of the blob was read, and that is wrong with it. Raises nothing."""
        with self._logged():
            await self._ward.admit(blob, fault, FoundBy.READ)

    @contextlib.asynccontextmanager
    async def examining(self) -> AsyncIterator[None]:
        """Within the block, suspects are looked at."""
        async with running(self._examine_for_ever()):
            yield

    async def _examine_for_ever(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                blob = self._waiting.pop(next(iter(self._waiting)))
                expires = self._looked_at.now() + _AGAIN_SECONDS
                self._looked_at.keep(blob.id, value=True, expires=expires)
                with self._logged():
                    if await self._is_damaged(blob):
                        self._looked_at.drop(blob.id)

    async def _is_damaged(self, blob: Blob) -> bool:
        """Look twice; it may have been removed meanwhile, which is no damage."""
        fault = await examine(self._ward.blobs, blob)
        if fault is not None:
            await asyncio.sleep(_MOMENT_SECONDS)
            fault = await examine(self._ward.blobs, blob)
        if fault is None:
            _log.info("a read failed, and its blob is right", extra={"blob_id": str(blob.id)})
            return False
        return await self._ward.admit(blob, fault, FoundBy.READ)

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except GatewayError as exc:
            _log.warning("a suspected blob was not examined", extra={"cause": cause_of(exc)})
