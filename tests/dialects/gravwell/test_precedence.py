"""Whose file a GUID means: own, then shared with a group, then global; ties by the newest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from tests.dialects.gravwell.conftest import (
    FILES,
    add,
    keeping_client,
    numbers_of_groups,
    read,
    send,
)
from tests.tools.client import Client
from tests.tools.waiting import PATIENCE_SECONDS

GUID = "1945c39e-0bd1-40cf-b069-6da64d3f8afe"
RANKS = ("own", "first", "second", "global")
SUBSETS = [c for size in range(len(RANKS) + 1) for c in combinations(RANKS, size)]


@pytest.mark.parametrize("there", SUBSETS, ids="+".join)
async def test_every_combination_before_and_after_each_removal(
    user: Client, member: Client, stranger: Client, root: Client, there: tuple[str, ...]
) -> None:
    """Each file says its rank. ``user`` is in both groups, ``stranger`` in none."""
    groups = await numbers_of_groups(user)
    made: dict[str, Any] = {}
    for rank in there:  # the later one of the two groups is the newer
        if rank == "own":
            made[rank] = await add(member, rank.encode(), GUID=GUID)
        elif rank == "global":
            made[rank] = await add(root, rank.encode(), GUID=GUID, Global=True)
        else:
            made[rank] = await add(user, rank.encode(), GUID=GUID, GIDs=[groups[rank]])

    def expected(order: tuple[str, ...]) -> str | int:
        return next((rank for rank in order if rank in made), 404)

    async def check() -> None:
        assert expected(("own", "second", "first", "global")) == await read(member, GUID)
        assert expected(("second", "first", "global")) == await read(user, GUID)
        assert expected(("global",)) == await read(stranger, GUID)
        assert expected(("global",)) == await read(root, GUID)

    await check()
    for rank in there:
        for file in made.values():  # the unique address means one file, to whoever sees it
            assert isinstance(await read(root, file["ThingUUID"], "?admin=true"), str)
        owner = {"own": member, "global": root}.get(rank, user)
        gone = made.pop(rank)
        assert 200 == (await owner.ask("DELETE", f"{FILES}/{gone['ThingUUID']}")).status
        assert 404 == await read(root, gone["ThingUUID"], "?admin=true")
        await check()


async def test_of_several_own_ones_the_newest_counts(user: Client) -> None:
    old = await add(user, b"old", GUID=GUID)
    await add(user, b"new", GUID=GUID)
    assert "new" == await read(user, GUID)
    await user.ask("PATCH", f"{FILES}/{old['ThingUUID']}", {"Desc": "touched"})
    assert "old" == await read(user, GUID)


async def test_a_guid_that_is_anothers_thing_uuid_takes_nothing_from_it(
    user: Client, stranger: Client
) -> None:
    made = await add(user, b"mine")
    await add(stranger, b"theirs", GUID=made["ThingUUID"])
    assert "mine" == await read(user, made["ThingUUID"])
    assert "theirs" == await read(stranger, made["ThingUUID"])


async def test_what_is_made_shared_or_taken_away_counts_at_once(
    user: Client, member: Client, root: Client
) -> None:
    """Nobody reads what was right a moment ago, although what was read is kept."""
    groups = await numbers_of_groups(user)
    await add(root, b"global", GUID=GUID, Global=True)
    assert "global" == await read(member, GUID) == await read(member, GUID)
    shared = await add(user, b"shared", GUID=GUID, GIDs=[groups["first"]])
    assert "shared" == await read(member, GUID)
    own = await add(member, b"own", GUID=GUID)
    assert "own" == await read(member, GUID)
    await send(member, [("file", b"own too")], f"{FILES}/{GUID}", "PUT")
    assert "own too" == await read(member, GUID)
    await member.ask("DELETE", f"{FILES}/{own['ThingUUID']}")
    assert "shared" == await read(member, GUID)
    await user.ask("PATCH", f"{FILES}/{shared['ThingUUID']}", {"GIDs": None})
    assert "global" == await read(member, GUID)


async def test_who_leaves_a_group_between_two_ranges_gets_no_more(
    user: Client, member: Client
) -> None:
    groups = await numbers_of_groups(user)
    await add(user, b"0123456789", GUID=GUID, GIDs=[groups["first"]])
    first = await member.ask("GET", f"{FILES}/{GUID}", Range="bytes=0-4")
    assert "01234" == first.text
    listed = (await user.ask("GET", "/groups")).json["groups"]
    group = next(g["id"] for g in listed if g["name"] == "first")
    members = (await user.ask("GET", f"/groups/{group}/members")).json["members"]
    leaving = next(m["id"] for m in members if m.get("email") == "member@email.com")
    left = await user.ask("DELETE", f"/groups/{group}/members", {"members": [leaving]})
    assert 204 == left.status
    second = await member.ask("GET", f"{FILES}/{GUID}", Range="bytes=5-9")
    assert 404 == second.status


@pytest.fixture
async def beside(
    nobody: Client, tmp_path: Path, database_url: str, aiohttp_client: AiohttpClient
) -> AsyncIterator[Client]:
    """Nobody yet, before another gateway on the same data, which keeps what it reads for an hour."""
    async with keeping_client(
        tmp_path, database_url, aiohttp_client, read_cache_seconds=3600
    ) as client:
        yield client


async def test_what_is_made_at_one_gateway_counts_at_another(
    user: Client, member: Client, root: Client, beside: Client
) -> None:
    reader = Client(beside.session, beside.url, member.token)
    groups = await numbers_of_groups(user)

    async def comes_to_be(expected: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while expected != await read(reader, GUID):
                await asyncio.sleep(0.01)

    await add(root, b"global", GUID=GUID, Global=True)
    await comes_to_be("global")
    shared = await add(user, b"shared", GUID=GUID, GIDs=[groups["first"]])
    await comes_to_be("shared")
    own = await add(member, b"own", GUID=GUID)
    await comes_to_be("own")
    await member.ask("DELETE", f"{FILES}/{own['ThingUUID']}")
    await comes_to_be("shared")
    await user.ask("PATCH", f"{FILES}/{shared['ThingUUID']}", {"GIDs": None})
    await comes_to_be("global")
    await user.ask("PATCH", f"{FILES}/{shared['ThingUUID']}", {"GIDs": [groups["first"]]})
    await comes_to_be("shared")
