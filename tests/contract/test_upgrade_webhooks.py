"""A database whose outbox an earlier release filled: its webhooks go on, with what they got before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from gateway.database.migrations import migrate
from gateway.database.pool import Database, open_database
from gateway.messaging.delivery import delivering
from gateway.messaging.records import Origin, SentMessage
from gateway.messaging.render import records_of
from gateway.messaging.rows.messages import add_messages
from tests.contract.test_upgrade import earlier_database
from tests.tools.deployment import sql_folders
from tests.tools.receiver import Receiver, running_receiver
from tests.tools.webhooks import policy_of

OWNER, THING, CHANNEL = UUID(int=1), UUID(int=2), UUID(int=3)
NONE = '"unit":"","value":null,"string_value":null,"bool_value":null,"data_value":null,"sum":null'
BODY = (
    f'{{"channel_id":"{CHANNEL}","publisher":"{THING}","protocol":"http","subtopic":"",'
    f'"records":[{{"name":"b","time":2.0,{NONE.replace("null", "1.5", 1)},"update_time":null}},'
    f'{{"name":"a","time":1.0,{NONE.replace("null", "2.5", 1)},"update_time":null}}]}}'
)
ROWS = f"""
insert into users (id, email, password_hash) values ('{OWNER}', 'one@email.com', 'x');
insert into things (id, owner_id, name, key_digest, key_sealed)
    values ('{THING}', '{OWNER}', 'lamp', sha256('key'), 'sealed');
insert into channels (id, owner_id, name) values ('{CHANNEL}', '{OWNER}', 'hall');
insert into webhooks (id, thing_id, name, url, host, format, messages, files) values
    ('{UUID(int=4)}', '{THING}', 'j', 'URL/json', '127.0.0.1', 'json', true, true),
    ('{UUID(int=5)}', '{THING}', 's', 'URL/senml', '127.0.0.1', 'senml', true, false);
insert into deliveries (webhook_id, event, body, attempts)
    select w.id, 'messages', '{BODY}', 3 from webhooks w;
insert into deliveries (webhook_id, event, body) values ('{UUID(int=4)}', 'files',
    '{{"event":"removed","kind":"things","owner":"{THING}","name":"a","size":null,"sha256":null,'
    '"content_type":null,"time":1.5}}');
"""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


@pytest.fixture
async def upgraded(postgres_server: str, receiver: Receiver) -> AsyncIterator[Database]:
    rows = ROWS.replace("URL", receiver.url)
    dsn = await earlier_database(postgres_server, "0015_folding.sql", rows)
    await migrate(dsn, sql_folders())
    async with open_database(dsn, sql_folders(), connections=4) as database:
        yield database


async def test_what_waits_arrives_in_the_form_that_its_receiver_knows_before_what_comes_now(
    upgraded: Database, receiver: Receiver
) -> None:
    sent = SentMessage(Origin(CHANNEL, THING), 3.0, b'[{"bn":"c","v":3,"t":1e9}]')
    await add_messages(upgraded, sent, records_of(sent))
    async with delivering(upgraded, policy_of()):
        await receiver.until(lambda: len(receiver.taken) == 5)
    told = {
        path: [(r.headers["X-Webhook-Event"], r.json) for r in receiver.taken if r.path == path]
        for path in ("/json", "/senml")
    }
    known = {
        **dict.fromkeys(("channel", "channel_name"), str(CHANNEL)),
        "publisher": str(THING),
        "protocol": "http",
    }
    removed = {"event": "deleted", "thing_id": str(THING), "name": "a", "time": 1.5}
    assert [
        (
            "messages",
            [
                {**known, "name": "b", "time": 2.0, "value": 1.5},
                {**known, "name": "a", "time": 1.0, "value": 2.5},
            ],
        ),
        ("file.deleted", removed),
        ("messages", [{**known, "name": "c", "time": 1e9, "value": 3.0}]),
    ] == told["/json"]
    assert [
        ("messages", [{"n": "a", "t": 1.0, "v": 2.5}, {"n": "b", "t": 2.0, "v": 1.5}]),
        ("messages", [{"n": "c", "t": 1e9, "v": 3.0}]),
    ] == told["/senml"]
    types = {r.path: r.headers["Content-Type"] for r in receiver.taken}
    assert {"/json": "application/json", "/senml": "application/senml+json"} == types


async def test_a_webhook_that_is_changed_to_the_format_of_mainflux_still_gets_what_waits(
    upgraded: Database, receiver: Receiver
) -> None:
    """What was sent is not known any more of what an earlier release queued: what it came to is."""
    async with upgraded.session() as session:
        await session.connection.execute("update webhooks set format = 'json', files = false")
    async with delivering(upgraded, policy_of()):
        await receiver.until(lambda: len(receiver.taken) == 3)
    packs = [r.json for r in receiver.taken if r.headers["X-Webhook-Event"] == "messages"]
    assert [[{"n": "a", "t": 1.0, "v": 2.5}, {"n": "b", "t": 2.0, "v": 1.5}]] * 2 == packs
    assert {"application/json"} == {r.headers["Content-Type"] for r in receiver.taken}
