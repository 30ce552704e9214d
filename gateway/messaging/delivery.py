"""Deliveries: a worker in each gateway takes what waits in the outbox and posts it.

Webhooks are leased, so that several workers and machines share them; each is served by one worker
at a time and in order, so that one that hangs keeps only itself waiting. A worker serves so many at
once: a few of one host, and of one user so many that others find a place.

Rule: a delivery leaves the outbox after its receiver said 2xx, never before, so what is
interrupted is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid4

from gateway.database.pool import Database
from gateway.messaging.budget import Budget
from gateway.messaging.posting import AttemptOutcome, Failed, Letter, Poster, open_poster
from gateway.messaging.queued import Queued
from gateway.messaging.records import Delivery, Disabled
from gateway.messaging.rows import outbox
from gateway.messaging.rows.outbox import LeasedWebhook, RetryPolicy
from gateway.messaging.signing import WebhookSecrets
from gateway.messaging.targets import PUBLIC_ONLY, TargetRules
from gateway.model.change import Change, DeliveriesWaiting
from gateway.model.errors import CatalogueUnavailable, cause_of
from gateway.process.background import running

_log: Final = logging.getLogger(__name__)
_POLL_SECONDS: Final = 1.0
_PER_HOST: Final = 4
# A quarter of the places is kept for users who have less than an eighth, as with uploads.
_RESERVE: Final = 4
_SHARE: Final = 8
Observe = Callable[[AttemptOutcome], None]
_ATTEMPTS_IF_REFUSED: Final = 5
_ATTEMPTS_TO_CONFIRM: Final = 10


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How deliveries are made. ``timeout_seconds`` bounds one attempt as a whole.

    ``bytes_per_hour`` is what is sent for one user; 0 is no limit. Without news the outbox is
    looked at every ``poll_seconds``.
    """

    timeout_seconds: float
    concurrency: int
    retries: RetryPolicy
    rules: TargetRules = PUBLIC_ONLY
    nameservers: tuple[str, ...] = ()
    bytes_per_hour: int = 0
    poll_seconds: float = _POLL_SECONDS

    @property
    def lease_seconds(self) -> float:
        """Longer than an attempt takes: what is left of a dead worker waits for so long."""
        return 2 * self.timeout_seconds + 5


class _Places:
    """Who is served now, and for whom there is a place."""

    def __init__(self, concurrency: int, serving: Iterable[LeasedWebhook]) -> None:
        self._reserve = concurrency // _RESERVE
        self._share = max(1, concurrency // _SHARE)
        self._hosts = Counter[str]()
        self._owners = Counter[UUID]()
        self.free = concurrency
        for leased in serving:
            self._count(leased)

    def busy_hosts(self) -> list[str]:
        """Hosts that have all that one may have."""
        return [host for host, number in self._hosts.items() if number >= _PER_HOST]

    def busy_owners(self) -> list[UUID]:
        """Users who have all that one may have now."""
        return [owner for owner in self._owners if not self._is_left_for(owner)]

    def take(self, leased: LeasedWebhook) -> bool:
        """A place for the webhook, if there is one for it."""
        fits = self._hosts[leased.host] < _PER_HOST and self._is_left_for(leased.owner_id)
        if fits:
            self._count(leased)
        return fits

    def _is_left_for(self, owner: UUID) -> bool:
        return self.free > (0 if self._owners[owner] < self._share else self._reserve)

    def _count(self, leased: LeasedWebhook) -> None:
        self.free -= 1
        self._hosts[leased.host] += 1
        self._owners[leased.owner_id] += 1


class Deliverer:
    """Delivers for as long as it runs; an ``ChangeListener``, because a change may be its work."""

    def __init__(
        self, database: Database, poster: Poster, policy: DeliveryPolicy, observe: Observe
    ) -> None:
        self._database = database
        self._poster = poster
        self._policy = policy
        self._observe = observe
        self._budget = Budget(database, policy.bytes_per_hour)
        self._wake = asyncio.Event()
        self._serving: dict[asyncio.Task[None], LeasedWebhook] = {}

    def wake(self) -> None:
        """Something waits."""
        self._wake.set()

    def on_change(self, change: Change) -> None:
        """Something may wait."""
        if isinstance(change, DeliveriesWaiting):
            self.wake()

    def on_connected(self) -> None:
        """News arrive again: something may wait."""
        self.wake()

    def on_disconnected(self) -> None:
        """No news for a while; it looks by itself every second anyway."""

    async def run(self) -> None:
        """Until cancelled; then what is under way is left to whoever comes next."""
        try:
            while True:
                self._wake.clear()
                await self._claim()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._policy.poll_seconds):
                        await self._wake.wait()
        finally:
            await self._let_go()

    async def _claim(self) -> None:
        places = _Places(self._policy.concurrency, self._serving.values())
        if places.free <= 0:
            return
        with _database_may_be_away():
            for leased in await outbox.claim_webhooks(
                self._database,
                uuid4(),
                self._policy.lease_seconds,
                busy_hosts=places.busy_hosts(),
                busy_owners=places.busy_owners(),
                limit=places.free,
            ):
                if places.take(leased):
                    self._serve_soon(leased)
                else:
                    await outbox.release(self._database, leased)
                    self._wake.set()  # there may be others, of whom there are less

    def _serve_soon(self, leased: LeasedWebhook) -> None:
        task = asyncio.create_task(self._serve(leased))
        self._serving[task] = leased
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.pop(task, None)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            _log.error("a delivery broke", exc_info=task.exception())

    async def _serve(self, leased: LeasedWebhook) -> None:
        """Deliver what waits for the webhook, in order, until nothing does or it fails."""
        with _database_may_be_away():
            lease = self._policy.lease_seconds
            while delivery := await outbox.next_delivery(self._database, leased, lease):
                failed = await self._attempt(leased, delivery)
                self._observe(failed.outcome if failed else AttemptOutcome.DELIVERED)
                if failed is not None:
                    await self._end_turn(leased, delivery, failed)
                    return
                await outbox.finish(self._database, delivery)
            await outbox.release(self._database, leased)

    async def _attempt(self, leased: LeasedWebhook, delivery: Delivery) -> Failed | None:
        if delivery.unconfirmed and (failed := await self._confirm(leased, delivery)):
            return failed
        letter = await self._poster.letter(delivery)
        if isinstance(letter, Failed):
            return letter
        return await self._pay(leased, letter) or await self._poster.send(letter)

    async def _confirm(self, leased: LeasedWebhook, delivery: Delivery) -> Failed | None:
        """Ask the receiver first; ``None`` if it wants to hear of us."""
        question, challenge = self._poster.question(delivery)
        if failed := await self._pay(leased, question):
            return failed
        if failed := await self._poster.ask(question, challenge):
            kept = failed.outcome is AttemptOutcome.GONE
            return failed if kept else replace(failed, outcome=AttemptOutcome.UNCONFIRMED)
        await outbox.confirm(self._database, leased)
        return None

    async def _pay(self, leased: LeasedWebhook, letter: Letter) -> Failed | None:
        seconds = await self._budget.take(leased.owner_id, letter.size)
        return Failed("over budget", AttemptOutcome.POSTPONED, seconds) if seconds else None

    async def _end_turn(self, leased: LeasedWebhook, delivery: Delivery, failed: Failed) -> None:
        """The webhook rests, or is at its end."""
        _log.info(
            "a delivery failed",
            extra={
                "webhook_id": str(leased.webhook_id),
                "delivery_id": delivery.id,
                "attempts": delivery.attempts + 1,
                "reason": failed.reason,
            },
        )
        last_question = delivery.failures + 1 >= _ATTEMPTS_TO_CONFIRM
        if failed.outcome is AttemptOutcome.GONE:
            await outbox.end(self._database, leased, Disabled.GONE, failed.reason)
        elif failed.outcome is AttemptOutcome.UNCONFIRMED and last_question:
            await outbox.end(self._database, leased, Disabled.UNCONFIRMED, failed.reason)
        elif failed.outcome is AttemptOutcome.POSTPONED:
            retries, seconds = self._policy.retries, failed.rest_seconds
            await outbox.postpone(self._database, leased, seconds, retries)
        else:
            await self._retry_later(leased, delivery, failed)

    async def _retry_later(self, leased: LeasedWebhook, delivery: Delivery, failed: Failed) -> None:
        retries = self._policy.retries
        if failed.outcome is AttemptOutcome.REFUSED:
            least = min(retries.attempts, _ATTEMPTS_IF_REFUSED)
            retries = replace(retries, attempts=least)
        await outbox.fail(
            self._database,
            leased,
            delivery,
            failed.reason,
            retries,
            rest_seconds=failed.rest_seconds,
        )

    async def _let_go(self) -> None:
        held = dict(self._serving)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        with _database_may_be_away():
            for leased in held.values():
                await outbox.release(self._database, leased)


@contextlib.asynccontextmanager
async def delivering(
    database: Database,
    policy: DeliveryPolicy,
    secrets: WebhookSecrets | None = None,
    *,
    observe: Observe = lambda _: None,
    queued: Queued | None = None,
) -> AsyncIterator[Deliverer]:
    """A deliverer that runs for as long as the block does. ``observe`` hears of every attempt.

    What is ``queued`` in this process is delivered at once, and the other gateways are told of it.
    """
    queued = queued or Queued()
    async with open_poster(
        policy.rules,
        secrets,
        connections=policy.concurrency,
        timeout_seconds=policy.timeout_seconds,
        nameservers=policy.nameservers,
    ) as poster:
        deliverer = Deliverer(database, poster, policy, observe)
        with queued.waking(deliverer.wake):
            async with running(deliverer.run()), running(queued.tell_others(database)):
                yield deliverer


@contextlib.contextmanager
def _database_may_be_away() -> Any:
    """A lease that cannot be given back runs out; what waits, waits on."""
    try:
        yield
    except CatalogueUnavailable as exc:
        _log.warning("deliveries wait for the database", extra={"cause": cause_of(exc)})
