"""Mainflux messages over HTTP: SenML in, pages out."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.messaging.messages import Messages
from gateway.messaging.queued import Queued
from gateway.messaging.records import MessageQuery, Origin, SentMessage
from gateway.messaging.rows import messages as rows
from gateway.messaging.senml import Record
from gateway.model.errors import NotFound
from tests.tools.client import Answer, Client

UNKNOWN = "64140f0b-6448-41cf-967e-1bbcc703c332"
PUBLISHED = (
    b'[{"bn":"some-base-name:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V",'
    b'"v":120.1}, {"n":"current","t":-5,"v":1.2}, {"n":"current","t":-4,"v":1.3}]'
)
MIXED = [
    {"n": "a", "t": 1e9, "v": 1},
    {"n": "a", "t": 1e9 + 1, "v": 2},
    {"n": "b", "t": 1e9 + 2, "v": 3},
    {"n": "b", "t": 1e9 + 3, "vb": True},
    {"n": "b", "t": 1e9 + 4, "vb": False},
    {"n": "c", "t": 1e9 + 5, "vs": ""},
    {"n": "c", "t": 1e9 + 6, "vs": "on"},
    {"n": "d", "t": 1e9 + 7, "vd": "aGk"},
]


async def connected(user: Client) -> tuple[str, dict[str, Any]]:
    """A new channel's id, and a thing that is connected to it."""
    said = await user.ask("POST", "/channels", [{"name": "hall"}])
    channel, thing = said.json["channels"][0]["id"], await user.thing()
    await user.ask("PUT", f"/channels/{channel}/things/{thing['id']}")
    return channel, thing


async def send(client: Client, channel: str, thing: dict[str, Any], pack: object = PUBLISHED, under: str = "", **headers: str) -> Answer:  # fmt: skip
    path = f"/http/channels/{channel}/messages{under}"
    return await client.ask("POST", path, pack, Authorization=f"Thing {thing['key']}", **headers)


async def read(client: Client, channel: str, query: str = "") -> Any:
    said = await client.ask("GET", f"/channels/{channel}/messages{query}")
    assert 200 == said.status, said.text
    return said.json


async def test_the_published_messages_are_read_back(user: Client, nobody: Client) -> None:
    channel, thing = await connected(user)
    said = await send(nobody, channel, thing)
    assert (202, "") == (said.status, said.text)
    said = await nobody.ask(
        "GET", f"/channels/{channel}/messages?offset=0", Authorization=f"Thing {thing['key']}"
    )
    common = {
        "channel": channel,
        "channel_name": channel,
        "publisher": thing["id"],
        "protocol": "http",
    }
    expected = [
        ("some-base-name:voltage", "V", 1276020076.001, 120.1),
        ("some-base-name:current", "A", 1276020072.001, 1.3),
        ("some-base-name:current", "A", 1276020071.001, 1.2),
    ]
    assert {
        "offset": 0,
        "limit": 10,
        "format": "messages",
        "total": 3,
        "messages": [
            {**common, "name": name, "unit": unit, "time": at, "value": value}
            for name, unit, at, value in expected
        ],
    } == said.json
    assert said.json == await read(user, channel)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("", [7, 6, 5, 4, 3, 2, 1, 0], id="all, the latest first"),
        pytest.param("?limit=2&offset=1", [6, 5], id="page"),
        pytest.param("?limit=0&offset=6", [1, 0], id="limit of none"),
        pytest.param("?offset=8", [], id="beyond"),
        pytest.param("?name=a", [1, 0], id="name"),
        pytest.param("?v=2", [1], id="value"),
        pytest.param("?v=2&comparator=eq", [1], id="equal"),
        pytest.param("?v=2&comparator=lt", [0], id="less"),
        pytest.param("?v=2&comparator=le", [1, 0], id="at most"),
        pytest.param("?v=2&comparator=gt", [2], id="greater"),
        pytest.param("?v=2&comparator=ge", [2, 1], id="at least"),
        pytest.param("?vb=true", [3], id="true"),
        pytest.param("?vb=false", [4], id="false"),
        pytest.param("?vs=on", [6], id="string"),
        pytest.param("?vs=", [5], id="empty string"),
        pytest.param("?vd=aGk", [7], id="data"),
        pytest.param(f"?from={1e9 + 6}", [7, 6], id="from is included"),
        pytest.param(f"?to={1e9 + 1}", [0], id="to is not"),
        pytest.param("?protocol=http&limit=1", [7], id="protocol"),
        pytest.param("?protocol=mqtt", [], id="other protocol"),
        pytest.param(f"?publisher={UNKNOWN}", [], id="other publisher"),
        pytest.param("?subtopic=x", [], id="other subtopic"),
        pytest.param("?format=messages&name=b&v=3", [2], id="several"),
    ],
)
async def test_messages_are_filtered(user: Client, query: str, expected: list[int]) -> None:
    channel, thing = await connected(user)
    await send(user, channel, thing, MIXED)
    page = await read(user, channel, query)
    assert expected == [int(message["time"] - 1e9) for message in page["messages"]]
    if "limit" not in query and "offset" not in query:
        assert len(expected) == page["total"]


async def test_the_total_is_that_of_all_pages(user: Client) -> None:
    channel, thing = await connected(user)
    await send(user, channel, thing, MIXED)
    assert 8 == (await read(user, channel, "?limit=1"))["total"]
    assert 3 == (await read(user, channel, "?limit=1&name=b"))["total"]
    assert 8 == (await read(user, channel, f"?limit=1&publisher={thing['id']}"))["total"]


async def test_a_subtopic_is_the_rest_of_the_path(user: Client) -> None:
    channel, thing = await connected(user)
    assert 202 == (await send(user, channel, thing, under="/floor/2%20b")).status
    assert 202 == (await send(user, channel, thing)).status
    page = await read(user, channel, "?subtopic=floor.2%20b")
    assert [3, "floor.2 b"] == [page["total"], page["messages"][0]["subtopic"]]
    assert 6 == (await read(user, channel))["total"]
    for bad in ("/a//b", "/a/*", "/>", "/" + "a" * 1025, "/a%09b"):
        assert 400 == (await send(user, channel, thing, under=bad)).status, bad


@pytest.mark.parametrize(
    ("pack", "status"),
    [
        pytest.param([], 400, id="empty"),
        pytest.param([{"n": "a"}], 400, id="no value"),
        pytest.param([{"n": "a", "v": 1}, {"v": 1}], 400, id="one of two is bad"),
        pytest.param(b"[{", 400, id="no JSON"),
        pytest.param([{"n": "a", "vs": "\0"}], 400, id="NUL"),
        pytest.param([{"n": "a", "v": 1}] * 10_001, 413, id="too many"),
    ],
)
async def test_a_bad_pack_is_refused_whole(user: Client, pack: object, status: int) -> None:
    channel, thing = await connected(user)
    assert status == (await send(user, channel, thing, pack)).status
    assert 0 == (await read(user, channel))["total"]


async def test_a_pack_names_its_type(user: Client) -> None:
    channel, thing = await connected(user)
    kinds = {"application/json": 202, "application/senml+json": 202, "text/plain": 415}
    for kind, status in kinds.items():
        said = await send(user, channel, thing, Content_Type=kind)
        assert status == said.status, kind


@pytest.mark.parametrize(
    "query",
    [
        *("limit=1001", "limit=x", "offset=-1", "v=x", "v=nan", "vb=maybe", "from=x", "to=inf"),
        *("comparator=ne", "publisher=7", "format=json", "name=a&name=b", "vs=%00"),
    ],
)
async def test_a_bad_query_is_refused(user: Client, query: str) -> None:
    channel, _ = await connected(user)
    assert 400 == (await user.ask("GET", f"/channels/{channel}/messages?{query}")).status


async def test_who_may_send_and_who_may_read(
    user: Client, stranger: Client, root: Client, nobody: Client
) -> None:
    """A channel that is not there, and one that is not yours, look alike."""
    channel, thing = await connected(user)
    other, foreign = await connected(stranger)
    idle = await user.thing()
    for sender, to, status in [
        (thing, channel, 202),
        (idle, channel, 403),
        (foreign, channel, 403),
        (thing, other, 403),
        (thing, UNKNOWN, 403),
        ({"key": "no such key"}, channel, 403),
    ]:
        assert status == (await send(nobody, to, sender)).status
        path = f"/channels/{to}/messages"
        said = await nobody.ask("GET", path, Authorization=f"Thing {sender['key']}")
        assert (200 if status == 202 else 403) == said.status
    for reader, of, status in [
        (user, channel, 200),
        (root, channel, 200),
        (stranger, channel, 404),
        (user, UNKNOWN, 404),
        (nobody, channel, 401),
    ]:
        assert status == (await reader.ask("GET", f"/channels/{of}/messages")).status
    path = f"/http/channels/{channel}/messages"
    assert 401 == (await nobody.ask("POST", path, [])).status
    assert 401 == (await user.ask("POST", path, [])).status


async def test_a_disconnected_thing_neither_sends_nor_reads(user: Client) -> None:
    channel, thing = await connected(user)
    await user.ask("DELETE", f"/channels/{channel}/things/{thing['id']}")
    assert 403 == (await send(user, channel, thing)).status


async def test_a_channel_made_again_has_no_messages_of_its_predecessor(
    user: Client, database: Database
) -> None:
    channel, thing = await connected(user)
    await send(user, channel, thing)
    await user.ask("DELETE", f"/channels/{channel}")
    assert 404 == (await user.ask("GET", f"/channels/{channel}/messages")).status
    await user.ask("POST", "/channels", [{"id": channel}])
    page = await read(user, channel)
    assert (0, []) == (page["total"], page["messages"])
    await Messages(database, Queued(), retention_days=0).tidy()


async def test_the_sweeper_removes_messages_of_channels_that_are_gone(
    user: Client, database: Database, connection: asyncpg.Connection
) -> None:
    channel, thing = await connected(user)
    kept, other = await connected(user)
    await send(user, channel, thing)
    await send(user, kept, other)
    await user.ask("DELETE", f"/channels/{channel}")
    await Messages(database, Queued(), retention_days=0).tidy()
    assert 3 == await connection.fetchval("select count(*) from messages")
    assert 3 == await connection.fetchval("select sum(messages) from message_tallies")
    assert 0 == await connection.fetchval("select count(*) from ended_streams")


async def test_old_weeks_are_dropped_whole(
    user: Client, database: Database, connection: asyncpg.Connection
) -> None:
    """Five weeks ago there was a message, and today there is another."""
    channel, thing = await connected(user)
    await send(user, channel, thing, [{"n": "new", "v": 1}])
    stream = await connection.fetchval("select id from streams")
    await connection.execute(
        "create table messages_20200106 partition of messages"
        " for values from ('2020-01-06 00:00+00') to ('2020-01-13 00:00+00')"
    )
    await connection.execute(
        "insert into messages (stream, received_at, publisher, protocol, subtopic, name, unit, time)"
        " values ($1, '2020-01-07', $2, '', '', 'old', '', 0)",
        *(stream, UUID(thing["id"])),
    )
    await connection.execute("insert into message_tallies values ($1, '2020-01-06', 0, 1)", stream)
    assert 2 == (await read(user, channel))["total"]
    await Messages(database, Queued(), retention_days=0).tidy()
    assert 2 == (await read(user, channel))["total"]
    await Messages(database, Queued(), retention_days=30).tidy()
    page = await read(user, channel)
    assert (1, ["new"]) == (page["total"], [m["name"] for m in page["messages"]])
    assert 5 == await connection.fetchval(
        "select count(*) from pg_inherits where inhparent = 'messages'::regclass"
    )


async def test_a_missing_partition_is_made_by_who_needs_it(
    user: Client, connection: asyncpg.Connection
) -> None:
    """Nobody swept for weeks: the first sender makes the room."""
    channel, thing = await connected(user)
    for name in await connection.fetch(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'messages'::regclass"
    ):
        await connection.execute(f"drop table {name[0]}")
    assert 202 == (await send(user, channel, thing)).status
    assert 3 == (await read(user, channel))["total"]


async def test_a_page_is_read_off_an_index(user: Client, connection: asyncpg.Connection) -> None:
    """Whatever the filters are, no partition is read from end to end."""
    channel, thing = await connected(user)
    await send(user, channel, thing, [{"n": f"n{i % 50}", "v": i, "t": 1e9 + i} for i in range(9000)])  # fmt: skip
    await connection.execute("analyze messages")
    stream = await connection.fetchval("select id from streams")
    for condition in ("true", "name = 'n7'", f"publisher = '{thing['id']}'"):
        plan = await connection.fetch(
            f"explain select * from messages where stream = {stream} and {condition}"
            " order by time desc, id desc limit 10"
        )
        text = "\n".join(row[0] for row in plan)
        assert "Index Scan" in text
        assert "->  Sort" not in text


async def test_publishing_to_a_channel_that_went_meanwhile_keeps_nothing(
    database: Database, connection: asyncpg.Connection
) -> None:
    origin = Origin(UUID(UNKNOWN), UUID(UNKNOWN))
    with pytest.raises(NotFound):
        await rows.add_messages(
            database, SentMessage(origin, 0, b""), [Record("a", time.time(), value=1.0)]
        )
    assert 0 == await connection.fetchval("select count(*) from messages")
    page = await rows.list_messages(database, UUID(UNKNOWN), MessageQuery())
    assert (0, []) == (page.total, list(page.messages))
