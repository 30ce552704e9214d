"""Uploads that nobody completes: given up after a time, and nothing else with them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.database.pool import Database
from gateway.model.errors import GatewayError
from tests.dialects.losant.conftest import Inside, Owner, key_of
from tests.tools.waiting import until


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"losant_upkeep_seconds": 0, "losant_pending_seconds": 0.5}


async def be_over(database: Database) -> None:
    """Wait until the uploads that are awaited now have been awaited long enough."""

    async def over() -> bool:
        text = "select coalesce(max(expires_at) <= now(), true) from losant_files"
        async with database.session() as session:
            return bool(await session.connection.fetchval(text))

    await until(over)


async def test_a_file_that_never_comes_goes_and_its_directory_stays(
    owner: Owner, inside: Inside, database: Database
) -> None:
    await owner.directory("d")
    made = await owner.awaited("late", "/d/")
    await owner.file("there", "/d/")
    await inside.work()
    assert ["/d/", "/d/late", "/d/there"] == await owner.paths()
    await be_over(database)
    await inside.work()
    assert ["/d/", "/d/there"] == await owner.paths()
    with pytest.raises(GatewayError):
        await inside.complete(key_of(made), b"too late")
    # Its name is free.
    assert (await owner.awaited("late", "/d/"))["id"] != made["id"]


async def test_bytes_that_were_there_stay(owner: Owner, inside: Inside, database: Database) -> None:
    made = await owner.file("a", content=b"first")
    again = (await owner.ask("PATCH", f"/{made}", {"fileSize": 99, "contentType": "text/csv"})).json
    assert ("pending", 99, "text/csv") == (again["status"], again["fileSize"], again["contentType"])
    await be_over(database)
    await inside.work()
    seen = (await owner.ask("GET", f"/{made}")).json
    assert ("completed", 5) == (seen["status"], seen["fileSize"])
    assert "text/csv" != seen["contentType"]
    assert b"first" == await inside.content(await inside.file(owner, made))
    with pytest.raises(GatewayError):
        await inside.complete(key_of(again), b"too late")


async def test_a_new_wait_is_not_cut_short_by_the_old_one(
    owner: Owner, inside: Inside, database: Database
) -> None:
    made = await owner.awaited("a")
    await be_over(database)
    again = (await owner.ask("PATCH", f"/{made['id']}", {})).json
    await inside.work()
    await inside.complete(key_of(again), b"x")
    assert "completed" == (await owner.ask("GET", f"/{made['id']}")).json["status"]


async def test_a_completed_upload_is_never_given_up(
    owner: Owner, inside: Inside, database: Database
) -> None:
    """Whoever is first, once: it is completed and stays, or it is given up and refused."""
    made = [await owner.awaited(f"f{number}") for number in range(12)]
    await be_over(database)

    async def complete(number: int) -> bool:
        try:
            await inside.complete(key_of(made[number]), b"x")
        except GatewayError:
            return False
        return True

    *completed, _, _ = await asyncio.gather(*map(complete, range(12)), inside.work(), inside.work())
    left = {item["id"] for item in await owner.all()}
    assert {one["id"] for one, done in zip(made, completed, strict=True) if done} == left


async def test_more_than_a_page_of_them_go(
    owner: Owner, inside: Inside, database: Database
) -> None:
    async with database.session() as session:
        await session.connection.execute(
            """
            insert into files (id, kind, owner, name, content_type, attributes, creator)
            select gen_random_uuid(), 'applications', $1, 'f' || n, '',
                   jsonb_build_object('type', 'file', 'parent', '/', 'name', 'n' || n,
                       'status', 'pending', 'generation', 1, 'expires', 1.5)
                   , ''
            from generate_series(1, 450) n
            """,
            owner.application,
        )
    await inside.work()
    assert [] == await owner.all()
