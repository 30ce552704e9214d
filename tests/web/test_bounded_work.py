"""No request works in proportion to a number that its sender chooses.

Each kind of request is made at its limit, where it must be served, and just beyond, where it must
be refused before it costs anything. What it costs is the processor time of the gateway itself,
which does not depend on what else the machine has to do; on the one event loop it is the time in
which nobody else is served.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from gateway.dialects.mainflux.fields import METADATA_BYTES, MOST_ITEMS
from gateway.dialects.mainflux.query import MOST_SHOWN
from gateway.identity.groups import DEEPEST
from gateway.messaging.senml import MOST_BYTES
from gateway.web.uploads.body import SMALL
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import User, sign_in
from tests.tools.rawhttp import raw_connection
from tests.tools.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_SECONDS = 0.5
"""Far above what any of these costs, a tenth of a second, and far below what they did: seconds."""
PAGE_BYTES = 1 << 20


def processor_seconds(process: int) -> float:
    """What the process has worked so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def asked(gateway: GatewayProcess) -> Callable[..., Any]:
    """Makes a request; its status, its JSON, and what it cost."""

    async def ask(user: User, method: str, path: str, body: object = None) -> tuple[int, Any]:
        before = processor_seconds(gateway.pid)
        async with user.session.request(
            method, f"{gateway.url}{path}", json=body, headers=user.headers
        ) as answer:
            text = await answer.read()
        spent = processor_seconds(gateway.pid) - before
        assert spent < MOST_SECONDS, f"{method} {path[:40]} worked {spent} s"
        return answer.status, json.loads(text) if text else None

    return ask


@pytest_asyncio.fixture(loop_scope="module")
async def user(gateway: GatewayProcess) -> AsyncIterator[User]:
    """Somebody who registered a moment ago."""
    email, password = f"{uuid4()}@test.test", "correct-horse"
    async with aiohttp.ClientSession() as session:
        admin = await sign_in(session, gateway.url)
        body = {"email": email, "password": password}
        async with session.post(f"{gateway.url}/users", json=body, headers=admin.headers) as answer:
            assert answer.status == 201
        yield await sign_in(session, gateway.url, email, password)


async def made(asked: Callable[..., Any], user: User, kind: str, count: int = 1) -> list[str]:
    status, body = await asked(user, "POST", f"/{kind}", [{"name": "x"}] * count)
    assert status == 201
    return [item["id"] for item in body[kind]]


@pytest.mark.parametrize("kind", ["things", "channels"])
@pytest.mark.parametrize(
    ("expected", "count"),
    [(201, MOST_ITEMS), (413, MOST_ITEMS + 1), (413, 100_000)],
    ids=["at the limit", "beyond it", "far beyond it"],
)
async def test_so_many_are_made_at_once(
    asked: Callable[..., Any], user: User, kind: str, expected: int, count: int
) -> None:
    status, _ = await asked(user, "POST", f"/{kind}", [{}] * count)
    assert status == expected
    _, listed = await asked(user, "GET", f"/{kind}")
    assert listed["total"] == (count if expected == 201 else 0)


@pytest.mark.parametrize("limit", [0, MOST_SHOWN])
async def test_a_list_without_a_limit_is_the_largest_page(
    asked: Callable[..., Any], user: User, limit: int
) -> None:
    await made(asked, user, "things", MOST_SHOWN + 1)
    status, listed = await asked(user, "GET", f"/things?limit={limit}")
    assert (status, len(listed["things"]), listed["limit"]) == (200, MOST_SHOWN, MOST_SHOWN)
    assert listed["total"] == MOST_SHOWN + 1


async def test_a_page_is_bounded_in_bytes_and_says_how_long_it_became(
    asked: Callable[..., Any], user: User
) -> None:
    """Whoever adds its limit to its offset comes by everything."""
    metadata = {"a": "x" * (METADATA_BYTES - 8)}
    for _ in range(4):
        status, _ = await asked(user, "POST", "/things", [{"metadata": metadata}] * 10)
        assert status == 201
    offset, seen = 0, set[str]()
    while len(seen) < 40:
        _, listed = await asked(user, "GET", f"/things?limit=0&offset={offset}")
        assert len(json.dumps(listed)) < PAGE_BYTES + METADATA_BYTES
        assert 0 < len(listed["things"]) <= listed["limit"]
        seen |= {thing["id"] for thing in listed["things"]}
        offset += listed["limit"]
        assert listed["total"] == 40


@pytest.mark.parametrize(
    ("expected", "size"), [(201, METADATA_BYTES), (413, METADATA_BYTES + 1)], ids=["at", "beyond"]
)
async def test_metadata_has_a_limit(
    asked: Callable[..., Any], user: User, expected: int, size: int
) -> None:
    metadata = {"a": "x" * (size - len('{"a":""}'))}
    for kind in ("things", "channels", "groups", "orgs"):
        body: object = {"name": "x", "metadata": metadata}
        status, _ = await asked(user, "POST", f"/{kind}", body)
        assert status == expected, kind
    status, _ = await asked(user, "PUT", "/users", {"metadata": metadata})
    assert status == (200 if expected == 201 else expected)


async def test_lists_of_ids_have_a_limit_and_count_each_once(
    asked: Callable[..., Any], user: User
) -> None:
    [channel], [thing] = await made(asked, user, "channels"), await made(asked, user, "things")
    body = {"channel_ids": [channel] * MOST_ITEMS, "thing_ids": [thing] * MOST_ITEMS}
    assert (await asked(user, "POST", "/connect", body))[0] == 200
    body["thing_ids"].append(thing)
    assert (await asked(user, "POST", "/connect", body))[0] == 413
    ids = [str(uuid4()) for _ in range(101)]
    body = {"channel_ids": ids, "thing_ids": ids}
    assert (await asked(user, "POST", "/connect", body))[0] == 413, "their product counts"
    async with user.session.post(
        f"{user.url}/groups", json={"name": "g"}, headers=user.headers
    ) as answer:
        group = answer.headers["Location"].rpartition("/")[2]
    path = f"/groups/{group}/members"
    assert (await asked(user, "POST", path, {"members": [thing] * MOST_ITEMS}))[0] == 200
    assert (await asked(user, "POST", path, {"members": [thing] * (MOST_ITEMS + 1)}))[0] == 413


async def test_groups_are_nested_so_deep_and_no_deeper(
    asked: Callable[..., Any], user: User, gateway: GatewayProcess
) -> None:
    """And a page of them costs what a page costs."""
    parent = ""
    for depth in range(1, DEEPEST + 2):
        body = {"name": "g"} | ({"parent_id": parent} if parent else {})
        async with user.session.post(
            f"{user.url}/groups", json=body, headers=user.headers
        ) as answer:
            assert answer.status == (201 if depth <= DEEPEST else 400)
            parent = answer.headers.get("Location", "").rpartition("/")[2]
    status, listed = await asked(user, "GET", "/groups?limit=0")
    assert (200, DEEPEST) == (status, max(group["level"] for group in listed["groups"]))


async def test_offsets_have_a_limit(asked: Callable[..., Any], user: User) -> None:
    """What is passed over costs as much as what is shown."""
    [channel] = await made(asked, user, "channels")
    messages = f"/channels/{channel}/messages"
    for path, most in (("/things", 1_000_000), (messages, 100_000)):
        assert (await asked(user, "GET", f"{path}?offset={most}"))[0] == 200
        assert (await asked(user, "GET", f"{path}?offset={most + 1}"))[0] == 400


async def test_a_pack_is_bounded_by_what_it_says_when_it_is_resolved(
    asked: Callable[..., Any], user: User, gateway: GatewayProcess
) -> None:
    """A base name of a kilobyte is copied into each record."""
    [channel] = await made(asked, user, "channels")
    _, body = await asked(user, "POST", "/things", [{}])
    thing = body["things"][0]
    await asked(user, "POST", "/connect", {"channel_ids": [channel], "thing_ids": [thing["id"]]})
    url, headers = f"{user.url}/http/channels/{channel}/messages", {}
    headers["Authorization"] = f"Thing {thing['key']}"
    name = "n" * 1023
    for expected, count in ((202, MOST_BYTES // 1100), (413, MOST_BYTES // 1000), (413, 9_999)):
        pack = [{"bn": name, "n": "a", "v": 1}, *({"n": "a", "v": 1} for _ in range(count - 1))]
        before = processor_seconds(gateway.pid)
        async with user.session.post(url, json=pack, headers=headers) as answer:
            assert answer.status == expected
        assert processor_seconds(gateway.pid) - before < MOST_SECONDS


UNKNOWN = [
    "/tokens",
    "/identify",
    "/identify/channels/6467f518-7f63-4e1b-a609-fee1d09feafb/access-by-id",
    "/api/login",
    "/auth/user",
]


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
async def test_who_is_not_known_yet_may_send_little(
    gateway: GatewayProcess, path: str, declared: bool
) -> None:
    """Declared, it is refused before a byte of it was asked for."""
    kind = "application/x-www-form-urlencoded" if path == "/api/login" else "application/json"
    size = SMALL.size + 1
    length = ("Content-Length", str(size)) if declared else ("Transfer-Encoding", "chunked")
    async with raw_connection(gateway.port) as raw:
        await raw.send_head("POST", path, [("Content-Type", kind), length])
        if not declared:
            await raw.send(b"%x\r\n%b\r\n" % (size, b" " * size))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await raw.read_answer()).status == 413


async def test_who_is_not_known_yet_is_not_waited_for(gateway: GatewayProcess) -> None:
    """A byte from time to time does not keep a body open."""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(SMALL.size))]
    async with raw_connection(gateway.port) as raw, asyncio.timeout(SMALL.seconds + 20):
        await raw.send_head("POST", "/tokens", headers)

        async def trickle() -> None:
            while True:
                await raw.send(b" " * 400)
                await asyncio.sleep(0.5)

        trickling = asyncio.create_task(trickle())
        try:
            assert (await raw.read_answer()).status == 408
        finally:
            trickling.cancel()
            await asyncio.gather(trickling, return_exceptions=True)
