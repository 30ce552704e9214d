"""Messaging, put together on one database."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.messaging.messages import Messages
from gateway.postgres import Database


@dataclass(frozen=True, slots=True)
class Messaging:
    """What handlers and the sweeper work with."""

    messages: Messages

    async def tidy(self) -> None:
        """Remove what is too old; make room for what comes."""
        await self.messages.tidy()


def messaging_on(database: Database, *, retention_days: int = 0) -> Messaging:
    """Messaging on ``database``; messages are kept for so many days, or for ever with 0."""
    return Messaging(Messages(database, retention_days=retention_days))
