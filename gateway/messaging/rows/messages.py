"""Rows of messages, in partitions by the week in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from gateway.database.pool import Database, Queries, Row
from gateway.messaging.records import (
    Comparator,
    Message,
    MessagePage,
    MessageQuery,
    Origin,
    SentMessage,
)
from gateway.messaging.senml import Record

_COUNTED_BEYOND: Final = 10_000
_WEEKS_AHEAD: Final = 4
_STREAMS: Final = 100
_REMOVED_AT_ONCE: Final = 5_000


async def add_messages(database: Database, sent: SentMessage, records: Sequence[Record]) -> bool:
    """New rows, all or none; whether a webhook is to be told.

    Raises ``Unrelated`` if the channel is gone.
    """
    values = (*_values(sent.origin, records), sent.body, sent.received_at)
    try:
        row = await database.change("add_messages", *values)
    except asyncpg.CheckViolationError:  # no partition for today: nobody has swept for weeks
        await make_partitions(database)
        row = await database.change("add_messages", *values)
    return row is not None and row["told"]


async def list_messages(database: Database, channel_id: UUID, wanted: MessageQuery) -> MessagePage:
    """One page."""
    filters = _filters(wanted)
    async with database.session() as session:
        rows = await session.rows(
            "list_messages", channel_id, *filters, wanted.limit, wanted.offset
        )
        total = await _count(session, channel_id, filters, wanted)
    return MessagePage(total, [_message(channel_id, row) for row in rows])


async def make_partitions(queries: Queries) -> None:
    """The partitions of this week and of the next few, if they are not there yet."""
    await queries.run("make_message_partitions", _WEEKS_AHEAD)


async def drop_partitions(queries: Queries, days: int) -> int:
    """Drop what came more than so many days ago, in whole weeks; how many of them."""
    return int(await queries.value("drop_message_partitions", days))


async def remove_ended_streams(queries: Queries) -> None:
    """Remove the messages of channels that are gone."""
    for row in await queries.rows("ended_streams", _STREAMS):
        while await queries.run("remove_messages", row["id"], _REMOVED_AT_ONCE):
            pass
        await queries.run("forget_stream", row["id"])


async def _count(
    queries: Queries, channel_id: UUID, filters: Sequence[object], wanted: MessageQuery
) -> int:
    if all(value is None for value in filters):
        return int(await queries.value("count_messages", channel_id))
    most = wanted.offset + wanted.limit + _COUNTED_BEYOND
    return int(await queries.value("count_matching_messages", channel_id, *filters, most))


def _filters(wanted: MessageQuery) -> tuple[object, ...]:
    least, most, exclusive = _bounds(wanted)
    return (
        wanted.name,
        wanted.publisher,
        wanted.subtopic,
        wanted.protocol,
        wanted.since,
        wanted.until,
        least,
        most,
        exclusive,
        wanted.bool_value,
        wanted.string_value,
        wanted.data_value,
    )


def _bounds(wanted: MessageQuery) -> tuple[float | None, float | None, bool | None]:
    value, how = wanted.value, wanted.comparator
    below = how in (Comparator.LESS, Comparator.LESS_OR_EQUAL)
    above = how in (Comparator.GREATER, Comparator.GREATER_OR_EQUAL)
    exclusive = None if value is None else how in (Comparator.LESS, Comparator.GREATER)
    return None if below else value, None if above else value, exclusive


def _values(origin: Origin, records: Sequence[Record]) -> tuple[object, ...]:
    return (
        origin.channel_id,
        origin.publisher,
        origin.protocol,
        origin.subtopic,
        [r.name for r in records],
        [r.unit for r in records],
        [r.time for r in records],
        [r.update_time for r in records],
        [r.value for r in records],
        [r.string_value for r in records],
        [r.bool_value for r in records],
        [r.data_value for r in records],
        [r.sum for r in records],
    )


def _message(channel_id: UUID, row: Row) -> Message:
    origin = Origin(channel_id, row["publisher"], row["protocol"], row["subtopic"])
    record = Record(
        name=row["name"],
        time=row["time"],
        unit=row["unit"],
        value=row["value"],
        string_value=row["string_value"],
        bool_value=row["bool_value"],
        data_value=row["data_value"],
        sum=row["sum"],
        update_time=row["update_time"],
    )
    return Message(origin, record)
