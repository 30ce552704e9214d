"""Messages: what things send to channels, kept for as long as the deployment wants.

Who may send and read is not decided here: callers ask the registry first.
"""

from __future__ import annotations

from uuid import UUID

from gateway.database.pool import Database
from gateway.messaging.queued import Queued
from gateway.messaging.records import MessagePage, MessageQuery, SentMessage
from gateway.messaging.render import records_of
from gateway.messaging.rows import messages as rows
from gateway.traffic.bulk import aside, in_turn


class Messages:
    """The messages of all channels; ``retention_days`` of 0 keeps them for ever."""

    def __init__(self, database: Database, queued: Queued, *, retention_days: int) -> None:
        self._database = database
        self._queued = queued
        self._retention_days = retention_days

    async def publish(self, sent: SentMessage) -> None:
        """Keep what it says and queue what webhooks are told, in one transaction.

        Raises ``NotFound`` if the channel is gone; ``Malformed`` or ``TooLarge`` for what is no
        pack, or too long a one; ``TooMany`` if too many large ones come.
        """
        size = len(sent.body)
        async with in_turn(size):
            records = await aside(size, records_of, sent)
            if await rows.add_messages(self._database, sent, records):
                self._queued.add()

    async def read(self, channel_id: UUID, wanted: MessageQuery) -> MessagePage:
        """One page of the channel's messages."""
        return await rows.list_messages(self._database, channel_id, wanted)

    async def tidy(self) -> None:
        """Make room for the coming weeks; remove what is too old or has lost its channel."""
        await rows.make_partitions(self._database)
        if self._retention_days:
            await rows.drop_partitions(self._database, self._retention_days)
        await rows.remove_ended_streams(self._database)
