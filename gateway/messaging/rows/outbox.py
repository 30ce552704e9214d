"""Rows of deliveries: which webhook is whose to serve, what comes next, how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.messaging.records import Delivery, Format, Origin, SentMessage


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
    )


def _sent(row: Row) -> SentMessage:
    origin = Origin(row["channel_id"], row["publisher"], row["protocol"], row["subtopic"])
    return SentMessage(origin, row["received_at"], row["sent"])


async def finish(queries: Queries, delivery: Delivery) -> None:
    """It arrived."""
    await queries.run("finish_delivery", delivery.id, delivery.webhook_id)


async def fail(
    queries: Queries, leased: LeasedWebhook, delivery: Delivery, error: str, retries: RetryPolicy
) -> None:
    """It did not: the webhook rests, its lease ends, and what ran out of time is given up."""
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
    )


async def release(queries: Queries, leased: LeasedWebhook) -> None:
    """Somebody else may deliver to the webhook."""
    await queries.run("release_webhook", leased.webhook_id, leased.lease)


async def remove_dead(queries: Queries, seconds: float) -> None:
    """Remove what was given up so long ago."""
    await queries.run("remove_dead_deliveries", seconds)


async def remove_sent(queries: Queries) -> None:
    """Remove messages that nobody is to be told any more."""
    await queries.run("remove_sent_messages")


async def count_deliveries(queries: Queries) -> tuple[int, int]:
    """How many wait and how many are dead letters, 10,000 of each at most."""
    row = await queries.row("count_deliveries")
    assert row is not None, "a select without from has one row"
    return row["waiting"], row["dead"]
