"""Rows of deliveries: which webhook is whose to serve, what comes next, how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.messaging.records import Delivery, Disabled, Format, Origin, SentMessage


@dataclass(frozen=True, slots=True)
class LeasedWebhook:
    """A webhook that is ours to deliver to for as long as the lease is renewed."""

    webhook_id: UUID
    owner_id: UUID
    host: str
    lease: UUID


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, how long and at what pace a delivery is tried. Times in seconds."""

    attempts: int
    give_up_seconds: float
    first_pause_seconds: float
    longest_pause_seconds: float


async def claim_webhooks(
    queries: Queries,
    lease: UUID,
    seconds: float,
    *,
    busy_hosts: Sequence[str],
    busy_owners: Sequence[UUID],
    limit: int,
) -> list[LeasedWebhook]:
    """Take up to ``limit`` webhooks that something waits for, none of a busy host or user."""
    rows = await queries.rows("claim_webhooks", lease, seconds, busy_hosts, limit, busy_owners)
    return [LeasedWebhook(row["id"], row["owner_id"], row["host"], lease) for row in rows]


async def next_delivery(queries: Queries, leased: LeasedWebhook, seconds: float) -> Delivery | None:
    """The first that waits, and the lease for longer; ``None``: there is none, or no lease."""
    row = await queries.row("next_delivery", leased.webhook_id, leased.lease, seconds)
    if row is None:
        return None
    return _delivery(row)


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        webhook_id=row["webhook_id"],
        thing_id=row["thing_id"],
        url=row["url"],
        host=row["host"],
        format=Format(row["format"]),
        event=row["event"],
        body=row["body"],
        attempts=row["attempts"],
        message=_sent(row) if row["sent"] is not None else None,
        queued_at=row["queued_at"],
        failures=row["failures"],
        unconfirmed=row["unconfirmed"],
        secrets=[secret for secret in (row["secret"], row["previous"]) if secret is not None],
        headers=row["headers"],
    )


def _sent(row: Row) -> SentMessage:
    origin = Origin(row["channel_id"], row["publisher"], row["protocol"], row["subtopic"])
    return SentMessage(origin, row["received_at"], row["sent"])


async def finish(queries: Queries, delivery: Delivery) -> None:
    """It arrived."""
    await queries.run("finish_delivery", delivery.id, delivery.webhook_id)


async def fail(
    queries: Queries,
    leased: LeasedWebhook,
    delivery: Delivery,
    error: str,
    retries: RetryPolicy,
    *,
    rest_seconds: float = 0.0,
) -> None:
    """It did not: the webhook rests, its lease ends, and what ran out of time is given up.

    It rests for ``rest_seconds`` at least.
    """
    await queries.run(
        "fail_delivery",
        delivery.id,
        delivery.webhook_id,
        leased.lease,
        error,
        retries.attempts,
        retries.give_up_seconds,
        retries.first_pause_seconds,
        retries.longest_pause_seconds,
        rest_seconds,
    )


async def postpone(
    queries: Queries, leased: LeasedWebhook, seconds: float, retries: RetryPolicy
) -> None:
    """Nothing was tried: the webhook rests, its lease ends, what waited too long is given up."""
    await queries.run(
        "postpone_webhook", leased.webhook_id, leased.lease, seconds, retries.give_up_seconds
    )


async def end(queries: Queries, leased: LeasedWebhook, why: Disabled, error: str) -> None:
    """Its receiver does not want it: what waits is given up, and nothing is queued any more."""
    await queries.run("end_webhook", leased.webhook_id, leased.lease, why, error)


async def confirm(queries: Queries, leased: LeasedWebhook) -> None:
    """Its receiver wants to hear of us."""
    await queries.run("confirm_webhook", leased.webhook_id)


async def reserve(queries: Queries, owner: UUID, size: int, most: int) -> tuple[bool, float]:
    """Whether ``size`` more bytes are within the user's hour; the seconds that are left of it."""
    row = await queries.row("reserve_webhook_bytes", owner, size, most)
    assert row is not None, "a select without from has one row"
    return row["granted"], row["seconds"]


async def release(queries: Queries, leased: LeasedWebhook) -> None:
    """Somebody else may deliver to the webhook."""
    await queries.run("release_webhook", leased.webhook_id, leased.lease)


async def remove_dead(queries: Queries, seconds: float) -> None:
    """Remove what was given up so long ago."""
    await queries.run("remove_dead_deliveries", seconds)


async def remove_sent(queries: Queries) -> None:
    """Remove messages that nobody is to be told any more."""
    await queries.run("remove_sent_messages")


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What waits and what ended, 10,000 of each at most; seconds that the oldest has waited."""

    waiting: int
    dead: int
    disabled: int
    oldest_seconds: float


async def outbox_state(queries: Queries) -> OutboxState:
    """How it is now."""
    row = await queries.row("outbox_state")
    assert row is not None, "a select without from has one row"
    return OutboxState(row["waiting"], row["dead"], row["disabled"], row["oldest"])
