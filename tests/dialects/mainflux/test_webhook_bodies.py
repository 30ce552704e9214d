"""What a webhook is sent of a message: what the thing sent, or, if it asked, what that comes to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.messaging.delivery import delivering
from gateway.messaging.rows.outbox import remove_sent
from tests.tools.client import Client
from tests.tools.receiver import Received, Receiver, running_receiver
from tests.tools.waiting import until
from tests.tools.webhooks import Talker, policy_of

# In no order, with spaces, a float in an odd form and an escape: none of it survives being parsed.
WRITTEN = (
    b'[ {"bn":"gate:","bt":1.6e9,"n":"b","v":1.50,"t":2},\n\t{"n":"\\u0061","vs":"\xc3\xa4"} ]'
)
RESOLVED = [{"n": "gate:a", "t": 1.6e9, "vs": "ä"}, {"n": "gate:b", "t": 1.6e9 + 2, "v": 1.5}]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


@pytest.fixture
async def talker(user: Client) -> Talker:
    return await Talker.of(user)


async def told(
    database: Database, receiver: Receiver, talker: Talker, count: int
) -> dict[str, Received]:
    """Deliver, until so many have arrived; they by their path."""
    async with delivering(database, policy_of()):
        await receiver.until(lambda: len(receiver.taken) == count)
        await until(lambda: _none_waits(talker))
    return {received.path.strip("/"): received for received in receiver.taken}


async def _none_waits(talker: Talker) -> bool:
    return all(hook["waiting"] == 0 for hook in await talker.hooks())


async def test_a_message_is_forwarded_as_each_format_promises(
    database: Database, receiver: Receiver, talker: Talker
) -> None:
    formats = ("json", "senml", "records", "resolved")
    for format_ in formats:
        await talker.hook(f"{receiver.url}/{format_}", format=format_)
    assert list(formats) == [hook["format"] for hook in await talker.hooks()]
    await talker.say(WRITTEN)
    got = await told(database, receiver, talker, 4)
    assert {WRITTEN} == {got["json"].body, got["senml"].body}
    types = {format_: got[format_].headers["Content-Type"] for format_ in formats}
    plain = dict.fromkeys(("json", "senml", "records"), "application/json")
    assert {**plain, "resolved": "application/senml+json"} == types
    assert RESOLVED == got["resolved"].json
    origin = {
        **dict.fromkeys(("channel", "channel_name"), talker.channel),
        "publisher": talker.thing["id"],
        "protocol": "http",
        "subtopic": "under.way",
    }
    assert [
        {**origin, "name": "gate:b", "time": 1.6e9 + 2, "value": 1.5},
        {**origin, "name": "gate:a", "time": 1.6e9, "string_value": "ä"},
    ] == got["records"].json


async def test_relative_times_count_from_when_a_message_came_not_from_its_delivery(
    database: Database, receiver: Receiver, talker: Talker
) -> None:
    await talker.hook(f"{receiver.url}/resolved", format="resolved")
    await talker.say([{"n": "a", "v": 1, "t": -5}])
    read = await talker.client.ask("GET", f"/channels/{talker.channel}/messages")
    got = await told(database, receiver, talker, 1)
    assert read.json["messages"][0]["time"] == got["resolved"].json[0]["t"]


async def test_a_message_is_kept_once_for_all_its_webhooks_and_goes_with_the_last(
    database: Database, connection: asyncpg.Connection, receiver: Receiver, talker: Talker
) -> None:
    """A base name of a thousand characters in a thousand records: it is stored as it was written."""
    pack = json.dumps([{"bn": "b" * 1000, "n": "0", "v": 0}, *[{"v": i} for i in range(900)]])
    for i in range(20):
        await talker.hook(f"{receiver.url}/{i}")
    await talker.say(pack.encode())
    kept = "select count(*), sum(octet_length(body)) from sent_messages"
    assert (1, len(pack)) == tuple((await connection.fetch(kept))[0])
    queued = "select count(*), sum(octet_length(body)) from deliveries"
    assert (20, 0) == tuple((await connection.fetch(queued))[0])
    got = await told(database, receiver, talker, 20)
    assert {pack.encode()} == {received.body for received in got.values()}
    await remove_sent(database)
    assert (0, None) == tuple((await connection.fetch(kept))[0])


async def test_a_message_stays_while_one_webhook_waits_for_it(
    database: Database, connection: asyncpg.Connection, receiver: Receiver, talker: Talker
) -> None:
    receiver.decide = lambda received: 500 if received.path == "/bad" else 200
    for path in ("good", "bad"):
        await talker.hook(f"{receiver.url}/{path}")
    await talker.say()
    async with delivering(database, policy_of()):
        await receiver.until(lambda: len(receiver.tried) > 3)
        await remove_sent(database)
        assert 1 == await connection.fetchval("select count(*) from sent_messages")
        receiver.decide = lambda _: 200
        await receiver.until(lambda: len(receiver.taken) == 2)
        await until(lambda: _none_waits(talker))
    assert 0 == await connection.fetchval("select count(*) from sent_messages")


async def test_a_message_that_nobody_is_told_of_is_not_kept_as_it_was(
    connection: asyncpg.Connection, talker: Talker
) -> None:
    await talker.hook("http://127.0.0.1/", events=["files"])
    await talker.say()
    assert 0 == await connection.fetchval("select count(*) from sent_messages")
    assert 1 == await connection.fetchval("select count(*) from messages")


@pytest.fixture
def settings() -> dict[str, object]:
    return {"webhook_private_targets": True}
