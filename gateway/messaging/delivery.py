"""Deliveries: a worker in each gateway takes what waits in the outbox and posts it.

Knows HTTP as a client. Webhooks are leased, so that several workers and machines share them;
each is served by one worker at a time and in order, so that one that hangs keeps only itself
waiting.

Rule: a delivery leaves the outbox after its receiver said 2xx, never before, so what is
interrupted is sent again. No connection is opened to an address that was not judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import aiohttp

from gateway.database.pool import Database
from gateway.http_client import address_of, http_client
from gateway.messaging.records import Delivery
from gateway.messaging.render import rendered
from gateway.messaging.rows import outbox
from gateway.messaging.rows.outbox import LeasedWebhook, RetryPolicy
from gateway.messaging.targets import is_public
from gateway.model.change import Change, DeliveriesWaiting
from gateway.model.errors import CatalogueUnavailable
from gateway.process.background import running

_log: Final = logging.getLogger(__name__)
_REPLY_BYTES: Final = 16 * 1024
_POLL_SECONDS: Final = 1.0
_PER_HOST: Final = 4
# It is this message that the receiver does not want: it will not help to insist.
_REFUSED: Final = frozenset({400, 413, 415, 422})
_ATTEMPTS_IF_REFUSED: Final = 5


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How deliveries are made. ``timeout_seconds`` bounds one attempt as a whole."""

    timeout_seconds: float
    concurrency: int
    private_targets: bool
    retries: RetryPolicy

    @property
    def lease_seconds(self) -> float:
        """Longer than an attempt takes: what is left of a dead worker waits for so long."""
        return 2 * self.timeout_seconds + 5


class NotPublic(OSError):
    """The address is not one of the public internet's."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a delivery did not arrive."""

    reason: str
    refused: bool = False


class Poster:
    """Posts deliveries, one request each: no redirect is followed, no long response read."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(self, delivery: Delivery) -> Failed | None:
        """Send it; ``None`` if the receiver took it."""
        wording = rendered(delivery)
        headers = {
            "Content-Type": wording.content_type,
            "X-Webhook-Id": str(delivery.webhook_id),
            "X-Webhook-Event": wording.event,
            "X-Webhook-Delivery": str(delivery.id),
        }
        try:
            async with self._session.post(
                address_of(delivery.url),
                data=io.BytesIO(wording.body),
                headers=headers,
                allow_redirects=False,
            ) as reply:
                await _skip(reply)
                return _judged(reply.status)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            return Failed(type(exc.__cause__ or exc).__name__)


class Deliverer:
    """Delivers for as long as it runs; an ``ChangeListener``, because a change may be its work."""

    def __init__(self, database: Database, poster: Poster, policy: DeliveryPolicy) -> None:
        self._database = database
        self._poster = poster
        self._policy = policy
        self._wake = asyncio.Event()
        self._serving: dict[asyncio.Task[None], LeasedWebhook] = {}

    def on_change(self, change: Change) -> None:
        """Something may wait."""
        if isinstance(change, DeliveriesWaiting):
            self._wake.set()

    def on_connected(self) -> None:
        """News arrive again: something may wait."""
        self._wake.set()

    def on_disconnected(self) -> None:
        """No news for a while; it looks by itself every second anyway."""

    async def run(self) -> None:
        """Until cancelled; then what is under way is left to whoever comes next."""
        try:
            while True:
                self._wake.clear()
                await self._claim()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()
        finally:
            await self._let_go()

    async def _claim(self) -> None:
        free = self._policy.concurrency - len(self._serving)
        if free <= 0:
            return
        hosts = Counter(leased.host for leased in self._serving.values())
        busy = [host for host, number in hosts.items() if number >= _PER_HOST]
        with _database_may_be_away():
            for leased in await outbox.claim_webhooks(
                self._database, uuid4(), self._policy.lease_seconds, busy=busy, limit=free
            ):
                hosts[leased.host] += 1
                if hosts[leased.host] > _PER_HOST:
                    await outbox.release(self._database, leased)
                else:
                    self._serve_soon(leased)

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
                failed = await self._poster.post(delivery)
                if failed is not None:
                    await self._fail(leased, delivery, failed)
                    return
                await outbox.finish(self._database, delivery)
            await outbox.release(self._database, leased)

    async def _fail(self, leased: LeasedWebhook, delivery: Delivery, failed: Failed) -> None:
        _log.info(
            "a delivery failed",
            extra={
                "webhook_id": str(leased.webhook_id),
                "delivery_id": delivery.id,
                "attempts": delivery.attempts + 1,
                "reason": failed.reason,
            },
        )
        retries = self._policy.retries
        if failed.refused:
            least = min(retries.attempts, _ATTEMPTS_IF_REFUSED)
            retries = replace(retries, attempts=least)
        await outbox.fail(self._database, leased, delivery, failed.reason, retries)

    async def _let_go(self) -> None:
        held = dict(self._serving)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        with _database_may_be_away():
            for leased in held.values():
                await outbox.release(self._database, leased)


@contextlib.asynccontextmanager
async def delivering(database: Database, policy: DeliveryPolicy) -> AsyncIterator[Deliverer]:
    """A deliverer that runs for as long as the block does."""
    connector = aiohttp.TCPConnector(
        limit=policy.concurrency,
        force_close=True,  # each delivery has its own connection, to an address judged for it
        use_dns_cache=False,
        socket_factory=open_socket if policy.private_targets else open_public_socket,
    )
    async with http_client(connector, timeout_seconds=policy.timeout_seconds) as session:
        deliverer = Deliverer(database, Poster(session), policy)
        async with running(deliverer.run()):
            yield deliverer


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that a name was resolved to."""
    family, kind, protocol, *_ = address
    return socket.socket(family, kind, protocol)


def open_public_socket(address: tuple[Any, ...]) -> socket.socket:
    """The same, for the very address that is connected to next. Raises ``NotPublic``."""
    if not is_public(address[4][0]):
        raise NotPublic("not a public address")
    return open_socket(address)


@contextlib.contextmanager
def _database_may_be_away() -> Any:
    """A lease that cannot be given back runs out; what waits, waits on."""
    try:
        yield
    except CatalogueUnavailable:
        _log.warning("deliveries wait for the database", exc_info=True)


def _judged(status: int) -> Failed | None:
    if 200 <= status < 300:
        return None
    return Failed(f"status {status}", refused=status in _REFUSED)


async def _skip(reply: aiohttp.ClientResponse) -> None:
    """Take a short response; of a longer one, no more than that."""
    left = _REPLY_BYTES
    while left > 0 and (chunk := await reply.content.read(left)):
        left -= len(chunk)
