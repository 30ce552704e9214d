"""What is put into the outbox is announced seldom: NOTIFY makes commits wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from gateway.database.changes import CHANNEL
from gateway.database.pool import Database
from gateway.messaging.queued import Queued
from gateway.process.background import running
from tests.tools.waiting import until

QUEUE = "insert into deliveries (webhook_id, event, body, message_id) values ($1, $2, '', $3)"
END = "end"


@pytest.fixture
async def announced(database: Database, connection: asyncpg.Connection) -> AsyncIterator[list[str]]:
    """What was announced since."""
    del database  # it is empty
    heard = list[str]()

    def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        heard.append(str(payload))

    await connection.add_listener(CHANNEL, hear)
    yield heard
    await connection.remove_listener(CHANNEL, hear)


async def all_of(announced: list[str], connection: asyncpg.Connection) -> list[str]:
    """Once everything that was announced until now was heard."""
    await connection.execute("select pg_notify($1, $2)", CHANNEL, END)
    await until(lambda: END in announced)
    return announced[: announced.index(END)]


async def test_messages_are_announced_by_no_row_and_events_only_if_nothing_waited(
    connection: asyncpg.Connection, announced: list[str]
) -> None:
    one, other = uuid4(), uuid4()
    for message in range(3):
        await connection.execute(QUEUE, one, "messages", message)
    for webhook in (other, other, uuid4(), one):
        await connection.execute(QUEUE, webhook, "files", None)
    assert ["deliveries"] * 2 == await all_of(announced, connection)


async def test_however_many_are_queued_others_are_told_seldom_and_our_own_at_once(
    database: Database, connection: asyncpg.Connection, announced: list[str]
) -> None:
    queued, woken = Queued(), list[int]()
    with queued.waking(lambda: woken.append(1)):
        async with running(queued.tell_others(database, pause_seconds=30)):
            for number in range(100):
                queued.add()
                assert number + 1 == len(woken)
                await asyncio.sleep(0)
            await until(lambda: bool(announced))
    assert ["deliveries"] == await all_of(announced, connection)
