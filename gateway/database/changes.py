"""Changes announced by every gateway on the database, through PostgreSQL's LISTEN and NOTIFY.

Rule: a listener is told that it hears everything only while that is true. A connection
that went silent is found by a heartbeat, and is taken for lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from gateway.model.change import (
    Change,
    ChangeListener,
    DeliveriesWaiting,
    FileChanged,
    RightsChanged,
)
from gateway.model.file import Scope
from gateway.process.background import running

CHANNEL: Final = "gateway_changes"
_OUTBOX: Final = "deliveries"
_RIGHTS: Final = "rights "

_log: Final = logging.getLogger(__name__)
_HEARTBEAT_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 1.0
# Longer than a busy event loop takes to look: what readers keep expires by itself before that.
_PATIENCE_SECONDS: Final = 10.0
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@contextlib.asynccontextmanager
async def listening(dsn: str, listener: ChangeListener) -> AsyncIterator[None]:
    """Tell ``listener`` of every change for as long as the block runs."""
    async with running(_listen_for_ever(dsn, listener)):
        yield


def parse_change(payload: str) -> Change:
    """The change that a notification announces; one that we do not know may be any."""
    if payload.startswith("["):
        kind, owner, name = json.loads(payload)
        return FileChanged(Scope(kind, owner), name)
    if payload == _OUTBOX:
        return DeliveriesWaiting()
    if payload.startswith(_RIGHTS):
        return RightsChanged(frozenset(payload.removeprefix(_RIGHTS).split()))
    return RightsChanged()


async def _listen_for_ever(dsn: str, listener: ChangeListener) -> None:
    while True:
        try:
            await _listen_once(dsn, listener)
        except _LOST as exc:
            _log.warning("changes are not heard", extra={"error": type(exc).__name__})
        await asyncio.sleep(_RETRY_SECONDS)


async def _listen_once(dsn: str, listener: ChangeListener) -> None:
    """Listen until the connection fails, which raises."""
    connection = await asyncpg.connect(dsn, timeout=_PATIENCE_SECONDS)
    try:
        await connection.add_listener(CHANNEL, _told(listener))
        connection.add_termination_listener(lambda _: listener.on_disconnected())
        listener.on_connected()
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            await connection.execute("select 1", timeout=_PATIENCE_SECONDS)
    finally:
        listener.on_disconnected()
        connection.terminate()


def _told(listener: ChangeListener) -> Any:
    def on_change(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        listener.on_change(parse_change(str(payload)))

    return on_change
