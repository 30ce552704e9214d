"""Rows of channels, and of the things connected to them.

A ``user`` of ``None`` means anybody: the caller administers the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.database.statements import ordered
from gateway.identity.records.channels import Channel
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.things import Thing
from gateway.identity.rights import Right
from gateway.identity.rows.things import thing_of
from gateway.model.paging import Page


async def add_channels(queries: Queries, owner: UUID, channels: Sequence[Channel]) -> None:
    """New rows, all or none. Raises ``Taken`` if an id is."""
    # In order of id, so that two batches that share ids wait for each other only one way.
    places = sorted(range(len(channels)), key=lambda place: channels[place].id)
    ranked = [channels[place] for place in places]
    await queries.run(
        "add_channels",
        [channel.id for channel in ranked],
        owner,
        [channel.name for channel in ranked],
        [channel.metadata for channel in ranked],
        places,
    )


async def find_channel(
    queries: Queries, channel_id: UUID, user: UUID | None, right: Right = Right.READ
) -> Channel | None:
    """The channel of that id, if the user has that right, or ``None``."""
    row = await queries.row("channel_by_id", channel_id, user, str(right))
    return _channel(row) if row else None


async def channels_to_change(
    queries: Queries, ids: Sequence[UUID], user: UUID | None
) -> frozenset[UUID]:
    """Which of these channels the user may change; they stay until the transaction ends."""
    rows = await queries.rows("channels_to_change", ids, user)
    return frozenset(row["id"] for row in rows)


async def list_channels(
    queries: Queries, viewer: UUID | None, listing: EntityListing
) -> Page[Channel]:
    """One page."""
    asked = (viewer, listing.name, listing.metadata)
    total = await queries.value("count_channels", *asked)
    statement = ordered("list_channels", listing.order, descending=listing.descending)
    rows = await queries.rows(statement, *asked, listing.limit, listing.offset)
    return Page(total, [_channel(row) for row in rows])


async def amend_channel(
    queries: Queries,
    channel_id: UUID,
    user: UUID | None,
    *,
    name: str | None,
    metadata: Mapping[str, Any] | None,
) -> bool:
    """Change what is not ``None``; whether there is such a channel."""
    return await queries.run("amend_channel", channel_id, user, name, metadata) == 1


async def remove_channel(queries: Queries, channel_id: UUID, user: UUID | None) -> bool:
    """Remove the row and every connection; whether there was one."""
    return await queries.run("remove_channel", channel_id, user) == 1


async def connect(queries: Queries, channels: Sequence[UUID], things: Sequence[UUID]) -> None:
    """Every thing to every channel; what is connected stays."""
    await queries.run("connect_things", channels, things)


async def disconnect(queries: Queries, channels: Sequence[UUID], things: Sequence[UUID]) -> None:
    """Every thing from every channel; absence is success."""
    await queries.run("disconnect_things", channels, things)


async def connected(queries: Queries, channel_id: UUID, thing_id: UUID) -> bool:
    """Whether the thing is connected to the channel."""
    return bool(await queries.value("connected", channel_id, thing_id))


async def list_channels_of_thing(
    queries: Queries,
    thing_id: UUID,
    user: UUID | None,
    listing: EntityListing,
    *,
    connected: bool,
) -> Page[Channel]:
    """A page of the thing's channels, in order of connection, or of all others."""
    which = "channels_of_thing" if connected else "channels_not_of_thing"
    total = await queries.value(f"count_{which}", thing_id, user)
    rows = await queries.rows(f"list_{which}", thing_id, user, listing.limit, listing.offset)
    return Page(total, [_channel(row) for row in rows])


async def list_things_of_channel(
    queries: Queries,
    channel_id: UUID,
    user: UUID | None,
    listing: EntityListing,
    *,
    connected: bool,
) -> Page[Thing]:
    """A page of the channel's things, in order of connection, or of all others."""
    which = "things_of_channel" if connected else "things_not_of_channel"
    total = await queries.value(f"count_{which}", channel_id, user)
    rows = await queries.rows(f"list_{which}", channel_id, user, listing.limit, listing.offset)
    return Page(total, [thing_of(row) for row in rows])


def _channel(row: Row) -> Channel:
    return Channel(row["id"], row["owner_id"], row["name"], row["metadata"])
