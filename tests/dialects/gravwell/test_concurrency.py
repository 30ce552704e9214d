"""Several at once on one file: right bytes or a clear refusal, never another's file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.dialects.gravwell.conftest import (
    FILES,
    FORM,
    add,
    form,
    number_of,
    numbers_of_groups,
    read,
    send,
)
from tests.tools.client import Client
from tests.tools.rawhttp import RawConnection, raw_connection

GUID = "1945c39e-0bd1-40cf-b069-6da64d3f8afe"
BIG = bytes(range(251)) * 24_000  # more than the kernel takes at once
JSON = "application/json"


@asynccontextmanager
async def connected(client: Client, **options: int) -> AsyncIterator[RawConnection]:
    port = urlsplit(client.url).port
    assert port is not None
    async with raw_connection(port, **options) as connection:
        yield connection


class Held:
    """A request whose body its sender holds back until the gateway has looked everything up."""

    def __init__(self, client: Client, raw: RawConnection, content_type: str, body: bytes) -> None:
        self._raw, self._body = raw, body
        self._headers = [
            ("Authorization", f"Bearer {client.token}"),
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Expect", "100-continue"),
        ]

    async def begin(self, method: str, path: str) -> None:
        await self._raw.send_head(method, path, self._headers)
        assert 100 == (await self._raw.read_head()).status

    async def finish(self) -> tuple[int, bytes]:
        await self._raw.send(self._body)
        answer = await self._raw.read_answer()
        return answer.status, answer.body


async def test_concurrent_updates_are_whole_and_one_of_them_stays(user: Client) -> None:
    made = await add(user, b"0" * 1000)
    contents = [str(n).encode() * (70_000 + n) for n in range(1, 9)]
    path = f"{FILES}/{made['GUID']}"

    async def watch() -> None:
        for _ in range(20):
            text = await read(user, made["GUID"])
            assert isinstance(text, str)
            assert {len(text): text}.items() <= {
                len(known): known.decode() for known in (b"0" * 1000, *contents)
            }.items()

    watching = asyncio.create_task(watch())
    answers = await asyncio.gather(
        *(send(user, [("file", content)], path, "PUT") for content in contents)
    )
    await watching
    assert [(200, len(content)) for content in contents] == [
        (answer.status, answer.json["Size"]) for answer in answers
    ]
    listed = (await user.ask("GET", FILES)).json
    assert 1 == len(listed)
    assert await read(user, made["GUID"]) in {content.decode() for content in contents}


@pytest.mark.parametrize("change", ["unshared", "removed", "replaced", "given away"])
async def test_a_download_under_way_ends_with_the_bytes_that_it_began_with(
    user: Client, member: Client, stranger: Client, root: Client, change: str
) -> None:
    groups = await numbers_of_groups(user)
    made = await add(user, BIG, GUID=GUID, GIDs=[groups["first"]])
    path = f"{FILES}/{GUID}"
    async with connected(member, receive_buffer=4096) as raw:
        await raw.send_head("GET", path, [("Authorization", f"Bearer {member.token}")])
        head = await raw.read_head()
        assert 200 == head.status
        if change == "unshared":
            assert 200 == (await user.ask("PATCH", path, {"GIDs": None})).status
        elif change == "removed":
            assert 200 == (await user.ask("DELETE", path)).status
        elif change == "replaced":
            assert 200 == (await send(user, [("file", b"new")], path, "PUT")).status
        else:
            to = {"UID": await number_of(stranger), "GIDs": None}
            by_thing = f"{FILES}/{made['ThingUUID']}?admin=true"
            assert 200 == (await root.ask("PATCH", by_thing, to)).status
        assert BIG == await raw.read_body(head)
    assert ("new" if change == "replaced" else 404) == await read(member, GUID)


async def test_two_whole_records_at_once_each_change_what_they_change(user: Client) -> None:
    made = await add(user, Name="n", Desc="d", Labels=["a"])
    path = f"{FILES}/{made['GUID']}"
    async with connected(user) as one, connected(user) as other:
        said: list[dict[str, Any]] = [{"Name": "m"}, {"Desc": "e", "Labels": ["b"]}]
        requests = [
            Held(user, raw, JSON, json.dumps({**made, **changed}).encode())
            for raw, changed in zip((one, other), said, strict=True)
        ]
        for request in requests:
            await request.begin("PATCH", path)
        answers = await asyncio.gather(*(request.finish() for request in requests))
        assert [200, 200] == [status for status, _ in answers]
    shown = (await user.ask("GET", f"{path}/details")).json
    assert ("m", "e", ["b"]) == tuple(shown[key] for key in ("Name", "Desc", "Labels"))


async def test_who_may_write_does_not_restore_a_sharing_by_sending_an_old_record(
    user: Client, member: Client
) -> None:
    """The gateway has looked the file up for the one when the other ends its sharing."""
    groups = await numbers_of_groups(user)
    gid = groups["first"]
    made = await add(user, GUID=GUID, GIDs=[gid], WriteAccess={"GIDs": [gid]})
    path = f"{FILES}/{GUID}"
    async with connected(member) as raw:
        held = Held(member, raw, JSON, json.dumps({**made, "Desc": "theirs"}).encode())
        await held.begin("PATCH", path)
        assert 200 == (await user.ask("PATCH", path, {"GIDs": None})).status
        status, _ = await held.finish()
    shown = (await user.ask("GET", f"{path}/details")).json
    assert (200, None, "theirs") == (status, shown["GIDs"], shown["Desc"])


async def test_an_update_under_way_does_not_follow_a_file_to_another_owner(
    user: Client, stranger: Client, root: Client
) -> None:
    made = await add(user, b"old", GUID=GUID)
    to = {"UID": await number_of(stranger), "Name": "given"}
    async with connected(user) as raw:
        held = Held(user, raw, FORM, form([("file", b"late")]))
        await held.begin("PUT", f"{FILES}/{GUID}")
        by_thing = f"{FILES}/{made['ThingUUID']}?admin=true"
        assert 200 == (await root.ask("PATCH", by_thing, to)).status
        assert 404 == (await held.finish())[0]
    assert "old" == await read(stranger, GUID)
    details = await stranger.ask("GET", f"{FILES}/{GUID}/details")
    assert ("given", to["UID"], 3) == tuple(details.json[key] for key in ("Name", "UID", "Size"))


async def test_a_patch_under_way_does_not_either(
    user: Client, stranger: Client, root: Client
) -> None:
    made = await add(user, GUID=GUID, Name="n")
    async with connected(user) as raw:
        held = Held(user, raw, JSON, b'{"Name": "late"}')
        await held.begin("PATCH", f"{FILES}/{GUID}")
        by_thing = f"{FILES}/{made['ThingUUID']}?admin=true"
        to = {"UID": await number_of(stranger)}
        assert 200 == (await root.ask("PATCH", by_thing, to)).status
        assert 404 == (await held.finish())[0]
    assert "n" == (await stranger.ask("GET", f"{FILES}/{GUID}/details")).json["Name"]


async def test_updates_and_a_gift_at_once(
    user: Client, stranger: Client, root: Client, connection: asyncpg.Connection
) -> None:
    """Each update is in the file, or was refused; the file is whole, and it is the other's."""
    to = {"UID": await number_of(stranger), "Desc": "given"}
    for turn in range(5):
        made = await add(user, b"old")
        path = f"{FILES}/{made['ThingUUID']}"
        updates = [send(user, [("file", f"{turn} {n}".encode())], path, "PUT") for n in range(4)]
        *answers, given = await asyncio.gather(
            *updates, root.ask("PATCH", f"{path}?admin=true", to)
        )
        assert (200, "given") == (given.status, given.json["Desc"])
        assert {answer.status for answer in answers} <= {200, 404}
        there = {f"{turn} {n}" for n, answer in enumerate(answers) if answer.status == 200}
        assert await read(stranger, made["GUID"]) in (there or {"old"})
        assert 404 == await read(user, made["GUID"])
    counted = await connection.fetch(
        "select owner, sum(files)::int as files, sum(bytes)::int as bytes from usage"
        " where kind = 'users' group by owner having sum(files) <> 0 or sum(bytes) <> 0"
    )
    actual = await connection.fetch(
        "select f.owner, count(*)::int as files, sum(size)::int as bytes"
        " from files f join blobs b on b.id = f.blob_id where f.kind = 'users' group by f.owner"
    )
    assert sorted(map(tuple, actual)) == sorted(map(tuple, counted))


async def test_removals_at_once_remove_one_file(user: Client) -> None:
    for content in (b"older", b"newer"):
        await add(user, content, GUID=GUID)
    listed = (await user.ask("GET", FILES)).json
    newer = max(listed, key=lambda record: str(record["Updated"]))["ThingUUID"]
    answers = await asyncio.gather(*(user.ask("DELETE", f"{FILES}/{newer}") for _ in range(4)))
    assert [200, 404, 404, 404] == sorted(answer.status for answer in answers)
    assert "older" == await read(user, GUID)


async def begun(client: Client, path: str, stop: int) -> Any:
    return await client.ask("GET", path, Range=f"bytes=0-{stop - 1}")


async def test_a_download_is_not_continued_with_another_file_of_its_guid(
    user: Client, member: Client, root: Client
) -> None:
    """The GUID meant the global file when it began, and means another's by the time it goes on."""
    content = b"0123456789"
    await add(root, content, GUID=GUID, Global=True, Name="n")
    path, groups = f"{FILES}/{GUID}", await numbers_of_groups(user)
    assert b"01234".decode() == (await begun(member, path, 5)).text
    await add(user, b"abcdefghij", GUID=GUID, GIDs=[groups["first"]], Name="n")
    assert 412 == (await member.ask("GET", path, Range="bytes=5-9")).status
    assert "abcdefghij" == await read(member, GUID)
    assert "fghij" == (await member.ask("GET", path, Range="bytes=5-9")).text


async def test_files_of_one_name_are_not_taken_for_versions_of_one_file(user: Client) -> None:
    one, other = [await add(user, content, Name="same") for content in (b"0123", b"abcd")]
    assert "01" == (await begun(user, f"{FILES}/{one['GUID']}", 2)).text
    answer = await user.ask("GET", f"{FILES}/{other['GUID']}", Range="bytes=2-3")
    assert (206, "cd") == (answer.status, answer.text)
