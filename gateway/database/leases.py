"""Work that one gateway at a time does for all of them, and that another goes on with if it dies.

Knows rows of ``leases``; does not know what the work is.

Theory of operation. Who takes a lease has it for some seconds by the database's clock, and renews
it several times meanwhile; who cannot renew it in time stops its work before the time is over, so
that whoever takes it next finds nobody at it. A process that was paused for longer is beside its
successor when it goes on, until its next renewal: the work has to bear that.

Rule: nobody is told to wait for a lease. Who does not get it comes again later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from gateway.database.pool import Database
from gateway.model.errors import Failure

LEASE_SECONDS: Final = 15.0
_RENEWALS: Final = 3


class LeaseLost(Failure):
    """The work was ended before its end: somebody else may be at it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether the work was done here, and when it was last done by anybody before, if it was.

    ``before`` is in seconds since 1970.
    """

    done: bool
    before: float | None


async def take_turn(
    database: Database,
    name: str,
    work: Callable[[], Awaitable[object]],
    *,
    every_seconds: float = 0.0,
    lease_seconds: float = LEASE_SECONDS,
) -> Turn:
    """Do ``work`` to its end, unless another does, or it was done less than ``every_seconds`` ago.

    Raises what ``work`` raises, ``CatalogueUnavailable``, and ``LeaseLost`` if the lease was lost
    meanwhile, and ``work`` cancelled.
    """
    holder = uuid4()
    row = await database.row("take_lease", name, holder, lease_seconds, every_seconds)
    assert row is not None, "a select without from has one row"
    if not row["taken"]:
        return Turn(False, row["done_at"])
    done = False
    try:
        await _while_held(database, name, holder, work, lease_seconds)
        done = True
    finally:
        with contextlib.suppress(Failure):  # it runs out by itself
            await database.run("end_lease", name, holder, done)
    return Turn(True, row["done_at"])


async def _while_held(
    database: Database,
    name: str,
    holder: UUID,
    work: Callable[[], Awaitable[object]],
    lease_seconds: float,
) -> None:
    working = asyncio.ensure_future(work())
    holding = asyncio.create_task(_hold(database, name, holder, lease_seconds))
    try:
        done, _ = await asyncio.wait({working, holding}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        holding.cancel()
        await asyncio.gather(working, holding, return_exceptions=True)
    if working in done:
        working.result()
        return
    raise LeaseLost(name)


async def _hold(database: Database, name: str, holder: UUID, lease_seconds: float) -> None:
    """Renew it until it is lost, or may be."""
    pause = lease_seconds / _RENEWALS
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.sleep(pause)
            async with asyncio.timeout(lease_seconds - pause * 1.5):
                if not await _renewed(database, name, holder, lease_seconds):
                    return


async def _renewed(database: Database, name: str, holder: UUID, lease_seconds: float) -> bool:
    """Whether it is still ours; asked again while the database is away."""
    while True:
        try:
            return await database.value("renew_lease", name, holder, lease_seconds) is not None
        except Failure:
            await asyncio.sleep(lease_seconds / _RENEWALS / 10)
