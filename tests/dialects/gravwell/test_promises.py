"""What every file is promised, of files that are made here: hook, counters, audit, sweep, whole lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from benchmarks.user_files import fill
from gateway.upkeep.sweep import GracePeriods, sweep
from gateway.wiring import open_stores
from tests.dialects.gravwell.conftest import FILES, FORM, add, form, number_of, read, send
from tests.tools.client import Answer, Client
from tests.tools.deployment import deployment_of
from tests.tools.hook import ALLOW, HookServer, deny, running_hook
from tests.tools.rawhttp import raw_connection

MANY = 20_000  # more than a socket takes


@pytest.fixture
async def hook() -> AsyncIterator[HookServer]:
    """The hook, which allows until told otherwise."""
    async with running_hook() as running:
        yield running


@pytest.fixture
def settings(hook: HookServer) -> dict[str, Any]:
    """Every request is asked about; what is removed may be swept at once."""
    return {
        "hook_url": hook.url,
        "hook_cache_seconds": 0,
        "garbage_grace_seconds": 0,
        "orphan_grace_seconds": 0,
        "incoming_grace_seconds": 0,
    }


def stored(folder: Path) -> list[Path]:
    """All files that hold bytes of users."""
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


async def ask(client: Client, method: str, path: str) -> Answer:
    if method in ("POST", "PUT"):
        return await send(client, [("file", b"other")], path, method)
    return await client.ask(method, path, *([{"Name": "other"}] if method == "PATCH" else []))


@pytest.mark.parametrize(
    ("method", "suffix", "operation"),
    [
        ("POST", None, "create"),
        ("GET", None, "read"),
        ("GET", "", "read"),
        ("HEAD", "", "read"),
        ("GET", "/details", "read"),
        ("POST", "", "create"),
        ("PUT", "", "create"),
        ("PATCH", "", "create"),
        ("DELETE", "", "delete"),
    ],
)
async def test_what_the_hook_denies_is_not_done(
    user: Client, hook: HookServer, tmp_path: Path, method: str, suffix: str | None, operation: str
) -> None:
    made = await add(user, b"old", Name="n")
    path = FILES if suffix is None else f"{FILES}/{made['GUID']}{suffix}"
    before = stored(tmp_path)
    hook.at("authorise", deny("not on sundays"))
    hook.requests.clear()
    answer = await ask(user, method, path)
    assert 403 == answer.status
    assert method == "HEAD" or "not on sundays\n" == answer.text
    assert [("authorise", operation)] == [(r.phase, r.operation) for r in hook.requests]
    hook.always(ALLOW)
    assert "old" == await read(user, made["GUID"])
    assert [made] == (await user.ask("GET", FILES)).json
    assert before == stored(tmp_path)


@pytest.mark.parametrize("method", ["create", "POST", "PUT"])
async def test_what_the_hook_denies_when_it_is_uploaded_leaves_nothing_behind(
    user: Client, hook: HookServer, tmp_path: Path, method: str
) -> None:
    made = await add(user, b"old")
    before = stored(tmp_path)
    hook.at("commit", deny("not this one"))
    hook.requests.clear()
    path = FILES if method == "create" else f"{FILES}/{made['GUID']}"
    answer = await ask(user, "POST" if method == "create" else method, path)
    assert (403, "not this one\n") == (answer.status, answer.text)
    assert ["authorise", "commit"] == [request.phase for request in hook.requests]
    hook.always(ALLOW)
    assert [made] == (await user.ask("GET", FILES)).json
    assert "old" == await read(user, made["GUID"])
    assert before == stored(tmp_path)


async def test_counters_and_audit_tell_all_that_happened_and_the_sweeper_leaves_nothing(
    user: Client,
    stranger: Client,
    root: Client,
    connection: asyncpg.Connection,
    tmp_path: Path,
    database_url: str,
    settings: dict[str, Any],
) -> None:
    made = await add(user, b"12345")
    path = f"{FILES}/{made['ThingUUID']}"
    await send(user, [("file", b"1234567")], path, "PUT")
    await user.ask("PATCH", path, {"Name": "n"})
    to = {"UID": await number_of(stranger)}
    assert 200 == (await root.ask("PATCH", f"{path}?admin=true", to)).status
    counted = "select sum(files)::int, sum(bytes)::int from usage where kind = 'users'"
    each = f"{counted} group by owner having sum(files) > 0"
    assert [(1, 7)] == [tuple(row) for row in await connection.fetch(each)]
    assert 200 == (await stranger.ask("DELETE", path)).status
    assert [(0, 0)] == [tuple(row) for row in await connection.fetch(counted)]
    told = await connection.fetch(
        "select event, email from audit join users u on u.id::text = actor"
        " where kind = 'users' and event <> 'logged-in' order by audit.id"
    )
    people = ("test@email.com", "admin@example.com", "stranger@email.com")
    assert [
        *((event, people[0]) for event in ("created", "replaced", "amended")),
        *((event, people[1]) for event in ("amended", "transferred", "received")),
        ("removed", people[2]),
    ] == [tuple(row) for row in told]
    assert 2 == len(stored(tmp_path))
    deployment = deployment_of(data_dir=tmp_path, secret="s" * 32, **settings)
    async with open_stores(deployment, database_url) as stores:
        report = await sweep(stores.blobs, stores.ledger, GracePeriods(0, 0))
    assert (2, 0) == (report.garbage, report.orphans)
    assert [] == stored(tmp_path)


async def test_a_form_that_ends_anywhere_within_is_refused_and_leaves_nothing(
    user: Client, tmp_path: Path
) -> None:
    whole = form([("meta", b'{"Name": "n"}'), ("file", b"content"), ("sha256", b"")])
    whole = whole.replace(b'name="sha256"', b'name="desc"')
    end = whole.rindex(b"--\r\n")
    for length in range(end + 1):
        body = whole[:length]
        answer = await user.ask("POST", FILES, body, **{"Content-Type": FORM})
        assert (length, 400) == (length, answer.status)
        assert 1 == answer.text.count("\n")
        assert len(answer.text) < 256
    assert [] == stored(tmp_path) == (await user.ask("GET", FILES)).json


async def test_a_connection_that_ends_anywhere_within_leaves_nothing(
    user: Client, tmp_path: Path
) -> None:
    body = form([("meta", b'{"Name": "n"}'), ("file", b"content" * 10_000), ("desc", b"d")])
    port = urlsplit(user.url).port
    assert port is not None
    for length in (*range(0, 400, 7), *range(400, len(body), 9_001), len(body) - 1):
        headers = [
            ("Authorization", f"Bearer {user.token}"),
            ("Content-Type", FORM),
            ("Content-Length", str(len(body))),
        ]
        async with raw_connection(port) as raw:
            await raw.send_head("POST", FILES, headers)
            await raw.send(body[:length])
    while stored(tmp_path):  # the last one may still be on its way out
        await asyncio.sleep(0.01)
    assert [] == (await user.ask("GET", FILES)).json


async def test_the_products_own_limit_is_the_limit(user: Client) -> None:
    most = 8 * 1024 * 1024
    assert most == (await add(user, bytes(most)))["Size"]
    answer = await send(user, [("file", bytes(most + 1))])
    assert (413, 1) == (answer.status, len((await user.ask("GET", FILES)).json))


@pytest.fixture
async def many(user: Client, connection: asyncpg.Connection) -> int:
    """So many files of the user, without bytes."""
    owner = await connection.fetchval("select id from users where email = 'test@email.com'")
    await fill(connection, str(owner), MANY, "many")
    return MANY


@pytest.mark.parametrize("who", ["owner", "admin"])
async def test_a_list_is_whole_or_cut_and_never_taken_for_whole(
    user: Client, root: Client, connection: asyncpg.Connection, many: int, who: str
) -> None:
    client, path = (user, FILES) if who == "owner" else (root, f"{FILES}?admin=true")
    listed = (await client.ask("GET", path)).json
    uid = await number_of(user)
    assert (many, {uid}) == (len(listed), {record["UID"] for record in listed})
    assert many == len({record["ThingUUID"] for record in listed})
    headers = {"Authorization": f"Bearer {client.token}"}
    async with client.session.get(client.url + path, headers=headers) as reply:
        await reply.content.readexactly(1)
        await _end_streams(connection)
        with pytest.raises(aiohttp.ClientError):
            await reply.read()
    assert (
        200
        == (await client.ask("GET", f"{FILES}/{listed[0]['ThingUUID']}/details?admin=true")).status
    )


async def _end_streams(connection: asyncpg.Connection) -> None:
    """As if the database server had ended the connection that the list is read from."""
    ended = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid()"
        " and datname = current_database() and state = 'idle in transaction'"
    )
    while not await connection.fetchval(ended):
        await asyncio.sleep(0.01)
