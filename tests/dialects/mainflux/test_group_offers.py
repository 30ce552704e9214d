"""``GET /groupfiles``: a device finds out what it may ask its groups for."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.tools.mainflux import Thing, User, upload
from tests.web.conftest import admin, gateway, http

__all__ = ["admin", "gateway", "http"]

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMES = {0: ("a.bin", "b.bin", "same.bin"), 1: (), 2: ("c.bin", "same.bin")}


async def offered(thing: Thing, admin: User, query: str = "") -> dict[str, Any]:
    url = f"{admin.url}/groupfiles{query}"
    async with admin.session.get(url, headers=thing.headers) as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


async def test_each_group_s_files_are_listed_page_by_page_and_each_is_what_is_sent(
    admin: User, http: aiohttp.ClientSession
) -> None:
    thing, other = await admin.thing(), await admin.thing()
    groups = [await admin.group(f"group {n}", thing.id) for n in NAMES]
    for number, names in NAMES.items():
        for name in names:
            url = f"{admin.url}/groups/{groups[number]}/files"
            await upload(http, url, admin.headers, name, f"{number} {name}".encode())
    whole = await offered(thing, admin, "?limit=0&order=name&dir=asc")
    listed = [(file["group_id"], file["name"]) for file in whole["files"]]
    assert sorted(listed) == sorted(
        (groups[n], name) for n, names in NAMES.items() for name in names
    )
    assert (5, 200) == (whole["total"], whole["limit"])
    for limit in (1, 2, 3, 5):
        pages = [
            await offered(thing, admin, f"?limit={limit}&offset={offset}&order=name&dir=asc")
            for offset in range(0, 5, limit)
        ]
        assert {5} == {page["total"] for page in pages}
        assert listed == [(f["group_id"], f["name"]) for page in pages for f in page["files"]]
    first = {file["name"]: file for file in reversed(whole["files"])}
    for name, file in first.items():
        async with http.get(f"{admin.url}/groupfiles/{name}", headers=thing.headers) as answer:
            number = groups.index(file["group_id"])
            assert f"{number} {name}" == await answer.text()
    assert [("same.bin")] * 2 == [
        f["name"] for f in (await offered(thing, admin, "?name=SAME"))["files"]
    ]
    assert [] == (await offered(other, admin))["files"]


async def test_only_a_thing_is_offered_anything(admin: User, http: aiohttp.ClientSession) -> None:
    for headers, status in ((admin.headers, 401), ({}, 401), ({"Authorization": "Thing x"}, 403)):
        async with http.get(f"{admin.url}/groupfiles", headers=headers) as answer:
            assert status == answer.status
