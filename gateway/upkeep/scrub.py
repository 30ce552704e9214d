"""Scrubbing: every live blob is hashed again, by as many gateways as like, each blob once.

Theory of operation. A scrub is divided into portions by blob id. Whoever has time claims one, by a
lease in the database, and hashes its blobs in order of id; how far it came is written down with
every page and every so often, which keeps the lease. One that dies loses its lease, and another
goes on from there. What is found wanting goes into quarantine, and what was there and is right
again comes out.

The service works on one portion of a deployment at a time, so that its rate is the deployment's,
whatever the number of gateways. A command takes what is free, and waits for what others have.

Rule: a scrub changes no byte and no row but the quarantine's. A store that is away ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from gateway.catalogue.damage import Portion, ScrubKind, ScrubPlan, ScrubProgress
from gateway.model.damage import FoundBy
from gateway.model.errors import Failure, GatewayError, cause_of
from gateway.model.file import Blob
from gateway.process.background import running
from gateway.upkeep.examine import Throttle, examine
from gateway.upkeep.quarantine import Ward

_log: Final = logging.getLogger(__name__)
_PAGE: Final = 100
_KEEP_SECONDS: Final = 10.0
_WRITE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 1.0
_EVERYBODY: Final = 1000


def _untold(blob: Blob) -> None:
    del blob


class PortionLost(Exception):
    """Somebody else goes on with the portion."""


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Works on scrubs, reading ``bytes_per_second`` at most; 0: as fast as it can.

    ``hashed`` is told of each blob.
    """

    ward: Ward
    plan: ScrubPlan
    bytes_per_second: int = 0
    hashed: Callable[[Blob], None] = _untold

    async def work(self, scrub_id: int, *, most_at_once: int) -> ScrubProgress:
        """Hash what nobody else does until there is nothing left; how far it is then.

        Raises ``StoreAway``, ``CatalogueUnavailable``.
        """
        throttle = Throttle(self.bytes_per_second)
        while portion := await self.plan.claim(scrub_id, most_at_once=most_at_once):
            try:
                with contextlib.suppress(PortionLost):
                    await self._hash_portion(portion, throttle)
            finally:
                with contextlib.suppress(Failure):
                    await self.plan.let_go(portion)
        return await self.plan.progress(scrub_id)

    async def finish(self, scrub_id: int) -> ScrubProgress:
        """Work until all of it is done, by whomever. Raises as ``work``."""
        progress = await self.work(scrub_id, most_at_once=_EVERYBODY)
        while not progress.ended:  # what others have, they finish, or lose
            await asyncio.sleep(_WAIT_SECONDS)
            progress = await self.work(scrub_id, most_at_once=_EVERYBODY)
        return progress

    async def _hash_portion(self, portion: Portion, throttle: Throttle) -> None:
        held = _Held(self.plan, portion, throttle)
        while page := await self.plan.blobs(portion, _PAGE):
            known = await self.ward.quarantine.among([blob.id for blob in page])
            for blob in page:
                await self._hash(blob, held, was_known=blob.id in known)
                await held.hashed(blob)
            await held.write()
        await self.plan.advance(portion, portion.last, blobs=0, size=0, done=True)

    async def _hash(self, blob: Blob, held: _Held, *, was_known: bool) -> None:
        fault = await examine(self.ward.blobs, blob, held.read)
        if fault is not None:
            await self.ward.admit(blob, fault, FoundBy.SCRUB)
        elif was_known:
            await self.ward.release(blob.id, FoundBy.SCRUB)
        self.hashed(blob)


class _Held:
    """A portion while its blobs are hashed: what was done of it is written down now and then."""

    def __init__(self, plan: ScrubPlan, portion: Portion, throttle: Throttle) -> None:
        self._plan = plan
        self._portion = portion
        self._throttle = throttle
        self._done: list[Blob] = []
        self._written_at = _now()

    async def read(self, count: int) -> None:
        """So many bytes were read. Raises ``PortionLost``."""
        await self._throttle(count)
        if _now() - self._written_at > _KEEP_SECONDS:
            self._written_at = _now()
            if not await self._plan.keep(self._portion):
                raise PortionLost()

    async def hashed(self, blob: Blob) -> None:
        """The blob is done. Raises ``PortionLost``."""
        self._done.append(blob)
        if _now() - self._written_at > _WRITE_SECONDS:
            await self.write()

    async def write(self) -> None:
        """Write down what is done. Raises ``PortionLost``."""
        if not self._done:
            return
        last, size = self._done[-1].id, sum(blob.size for blob in self._done)
        kept = await self._plan.advance(
            self._portion, last, blobs=len(self._done), size=size, done=False
        )
        self._done, self._written_at = [], _now()
        if not kept:
            raise PortionLost()


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def scrubbing(
    scrubber: Scrubber, *, every_days: float, look_seconds: float = _LOOK_SECONDS
) -> AsyncIterator[None]:
    """Hash every blob once in so many days until the block ends; 0: never.

    Who else does so is looked after every ``look_seconds``.
    """
    if every_days == 0:
        yield
        return
    async with running(_scrub_for_ever(scrubber, every_days, look_seconds)):
        yield


async def _scrub_for_ever(scrubber: Scrubber, every_days: float, look_seconds: float) -> None:
    while True:
        await asyncio.sleep(look_seconds)
        try:
            if await scrubber.plan.is_due(every_days):
                scrub_id = await scrubber.plan.begin(ScrubKind.SERVICE)
                progress = await scrubber.work(scrub_id, most_at_once=1)
                if progress.ended:
                    _log.info("scrubbed", extra={"blobs": progress.blobs, "bytes": progress.size})
        except GatewayError as exc:
            _log.warning("the scrub did not go on", extra={"cause": cause_of(exc)})
