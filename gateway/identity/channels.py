"""Channels: what things are connected to, to send and read messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from gateway.identity import postgres_channels as rows
from gateway.identity.postgres_things import find_thing, owned_things
from gateway.identity.records import Channel, ChannelDraft, Listing, Page, Thing
from gateway.identity.rights import owner_filter, user_id
from gateway.model.access import Principal
from gateway.model.errors import NotFound
from gateway.postgres import Database, Queries


class Channels:
    """The channels. A user sees and changes their own; an admin, all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Principal, drafts: Sequence[ChannelDraft]) -> list[Channel]:
        """All of the channels, or none. Raises ``Conflict`` if an id is taken."""
        owner = user_id(caller)
        channels = [Channel(d.id or uuid4(), owner, d.name, d.metadata) for d in drafts]
        await rows.add_channels(self._database, owner, channels)
        return channels

    async def get(self, caller: Principal, channel_id: UUID) -> Channel:
        """One channel. Raises ``NotFound``."""
        channel = await rows.find_channel(self._database, channel_id, owner_filter(caller))
        if channel is None:
            raise NotFound()
        return channel

    async def list(self, caller: Principal, listing: Listing) -> Page[Channel]:
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
        """Change what is given. Raises ``NotFound``."""
        if not await rows.amend_channel(
            self._database, channel_id, owner_filter(caller), name=name, metadata=metadata
        ):
            raise NotFound()

    async def remove(self, caller: Principal, channel_id: UUID) -> None:
        """Remove the channel and its connections. Raises ``NotFound``."""
        if not await rows.remove_channel(self._database, channel_id, owner_filter(caller)):
            raise NotFound()

    async def connect(
        self, caller: Principal, channel_ids: Sequence[UUID], thing_ids: Sequence[UUID]
    ) -> None:
        """Every one of the caller's things to every one of the channels, or none.

        What is connected stays so. Raises ``NotFound``.
        """
        async with self._database.transaction() as session:
            await _check_owned(session, caller, channel_ids, thing_ids)
            await rows.connect(session, channel_ids, thing_ids)

    async def disconnect(
        self, caller: Principal, channel_ids: Sequence[UUID], thing_ids: Sequence[UUID]
    ) -> None:
        """The reverse; what is not connected is no error. Raises ``NotFound``."""
        async with self._database.transaction() as session:
            await _check_owned(session, caller, channel_ids, thing_ids)
            await rows.disconnect(session, channel_ids, thing_ids)

    async def list_of_thing(
        self, caller: Principal, thing_id: UUID, listing: Listing
    ) -> Page[Channel]:
        """The channels that the caller's thing is connected to, as far as they may be seen."""
        owner = owner_filter(caller)
        if await find_thing(self._database, thing_id, owner) is None:
            raise NotFound()
        return await rows.list_channels_of_thing(self._database, thing_id, owner, listing)

    async def list_things(
        self, caller: Principal, channel_id: UUID, listing: Listing
    ) -> Page[Thing]:
        """The things connected to the caller's channel, as far as they may be seen."""
        await self.get(caller, channel_id)
        owner = owner_filter(caller)
        return await rows.list_things_of_channel(self._database, channel_id, owner, listing)

    async def connected(self, channel_id: UUID, thing_id: UUID) -> bool:
        """Whether the thing may send to the channel and read from it."""
        return await rows.connected(self._database, channel_id, thing_id)


async def _check_owned(
    queries: Queries, caller: Principal, channel_ids: Sequence[UUID], thing_ids: Sequence[UUID]
) -> None:
    owner = owner_filter(caller)
    if await rows.owned_channels(queries, channel_ids, owner) != set(channel_ids):
        raise NotFound()
    if await owned_things(queries, thing_ids, owner) != set(thing_ids):
        raise NotFound()
