"""Channels: what things are connected to, to send and read messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from gateway.database.pool import Database, Queries
from gateway.identity.records.channels import Channel, ChannelDraft
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.things import Thing
from gateway.identity.rights import Right, find_permitted, maker_id, owner_filter
from gateway.identity.rows import channels as rows
from gateway.identity.rows.things import find_thing, things_to_change
from gateway.model.access import Principal
from gateway.model.errors import NotFound
from gateway.model.paging import Page


class Channels:
    """The channels. A user sees and changes their own and what is granted; an admin, all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Principal, drafts: Sequence[ChannelDraft]) -> list[Channel]:
        """All of the channels, or none. Raises ``Conflict`` if an id is taken."""
        owner = maker_id(caller)
        channels = [Channel(d.id or uuid4(), owner, d.name, d.metadata) for d in drafts]
        await rows.add_channels(self._database, owner, channels)
        return channels

    async def get(self, caller: Principal, channel_id: UUID) -> Channel:
        """One channel. Raises ``NotFound``."""
        return await _find(self._database, caller, channel_id, Right.READ)

    async def get_to_change(self, caller: Principal, channel_id: UUID) -> Channel:
        """One channel that the caller may change. Raises ``NotFound`` or ``Forbidden``."""
        return await _find(self._database, caller, channel_id, Right.WRITE)

    async def list(self, caller: Principal, listing: EntityListing) -> Page[Channel]:
        """The channels that the caller may see."""
        return await rows.list_channels(self._database, owner_filter(caller), listing)

    async def amend(
        self,
        caller: Principal,
        channel_id: UUID,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is given. Raises ``NotFound`` or ``Forbidden``."""
        await self.get_to_change(caller, channel_id)
        if not await rows.amend_channel(
            self._database, channel_id, owner_filter(caller), name=name, metadata=metadata
        ):
            raise NotFound()

    async def remove(self, caller: Principal, channel_id: UUID) -> None:
        """Remove the channel and its connections. Raises ``NotFound`` or ``Forbidden``."""
        await _find(self._database, caller, channel_id, Right.DELETE)
        if not await rows.remove_channel(self._database, channel_id, owner_filter(caller)):
            raise NotFound()

    async def connect(
        self, caller: Principal, channel_ids: Sequence[UUID], thing_ids: Sequence[UUID]
    ) -> None:
        """Every one of the things to every one of the channels, or none.

        The caller must be allowed to change all of them. What is connected stays so.
        Raises ``NotFound`` or ``Forbidden``.
        """
        async with self._database.transaction() as session:
            await _check_to_change(session, caller, channel_ids, thing_ids)
            await rows.connect(session, channel_ids, thing_ids)

    async def disconnect(
        self, caller: Principal, channel_ids: Sequence[UUID], thing_ids: Sequence[UUID]
    ) -> None:
        """The reverse; what is not connected is no error. Raises as ``connect``."""
        async with self._database.transaction() as session:
            await _check_to_change(session, caller, channel_ids, thing_ids)
            await rows.disconnect(session, channel_ids, thing_ids)

    async def list_of_thing(
        self, caller: Principal, thing_id: UUID, listing: EntityListing, *, connected: bool = True
    ) -> Page[Channel]:
        """The channels that a thing is connected to, or is not, as far as they may be seen."""
        owner = owner_filter(caller)
        if await find_thing(self._database, thing_id, owner) is None:
            raise NotFound()
        return await rows.list_channels_of_thing(
            self._database, thing_id, owner, listing, connected=connected
        )

    async def list_things(
        self, caller: Principal, channel_id: UUID, listing: EntityListing, *, connected: bool = True
    ) -> Page[Thing]:
        """The things that are connected to a channel, or are not, as far as they may be seen."""
        await self.get(caller, channel_id)
        owner = owner_filter(caller)
        return await rows.list_things_of_channel(
            self._database, channel_id, owner, listing, connected=connected
        )

    async def connected(self, channel_id: UUID, thing_id: UUID) -> bool:
        """Whether the thing may send to the channel and read from it."""
        return await rows.connected(self._database, channel_id, thing_id)


async def _check_to_change(
    queries: Queries, caller: Principal, channel_ids: Sequence[UUID], thing_ids: Sequence[UUID]
) -> None:
    user = owner_filter(caller)
    allowed = await rows.channels_to_change(queries, channel_ids, user)
    for channel_id in set(channel_ids) - allowed:
        await _find(queries, caller, channel_id, Right.WRITE)
    allowed = await things_to_change(queries, thing_ids, user)
    for thing_id in set(thing_ids) - allowed:
        await find_permitted(Right.WRITE, partial(find_thing, queries, thing_id, user))


async def _find(queries: Queries, caller: Principal, channel_id: UUID, right: Right) -> Channel:
    user = owner_filter(caller)
    return await find_permitted(right, lambda r: rows.find_channel(queries, channel_id, user, r))
