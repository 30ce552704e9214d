"""What is announced: seldom what is put into the outbox, for NOTIFY makes commits wait for each other; and of a change of
rights whose they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from gateway.database.changes import CHANNEL
from gateway.database.pool import Database
from gateway.messaging.queued import Queued
from gateway.process.background import running
from tests.contract.test_guard import APPLICATION, GROUP, MADE, TAKING_AWAY, USER
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


IDS = "select n::text from generate_series(1, {}) n"
CHANGES = [
    *TAKING_AWAY,
    pytest.param(GROUP, "update groups set name = 'x'", id="a group is called something else"),
    pytest.param(APPLICATION, "delete from losant_applications", id="an application itself"),
    pytest.param("2000", f"select alter_rights(array({IDS.format(2000)}))", id="as many as can be"),
]


@pytest.mark.parametrize(("whose", "change"), CHANGES)
async def test_a_change_of_rights_says_whose_they_are_and_nothing_of_everybody(
    connection: asyncpg.Connection, announced: list[str], whose: object, change: str
) -> None:
    await connection.execute(MADE)
    await connection.execute("select pg_notify($1, 'made')", CHANNEL)
    await until(lambda: "made" in announced)
    announced.clear()
    await connection.execute(change)
    told = await all_of(announced, connection)
    assert "identity" not in told
    named = {one for text in told for one in text.removeprefix("rights ").split()}
    assert ({"1", "100"} if whose == "anybody" else {str(whose)}) <= named


async def test_a_log_in_that_ends_is_its_users_affair(
    database: Database, connection: asyncpg.Connection, announced: list[str]
) -> None:
    """Unless an earlier gateway ends it, which does not say whose it was."""
    await database.run("end_token", uuid4(), datetime.now(UTC), USER)
    assert [f"rights {USER}"] == await all_of(announced, connection)
    announced.clear()
    await connection.execute("insert into ended_tokens values (gen_random_uuid(), now())")
    assert ["identity"] == await all_of(announced, connection)


async def test_more_than_can_be_named_are_everybody(
    connection: asyncpg.Connection, announced: list[str]
) -> None:
    await connection.execute(f"select alter_rights(array({IDS.format(2001)}))")
    assert ["identity"] == await all_of(announced, connection)
