"""The attacks, each with who makes it. They go on until they are cancelled.

Knows what the review of November 2026 did, finding by finding. Does not know who is served meanwhile.

Rule: a number is that of the review, times the scale of the run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.attack.target import Attacker
from tests.tools.rawhttp import RawConnection, multipart

SLOW_SECONDS = 0.5
LARGE = 64 * 1024 * 1024
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. ``finding`` is its number in docs/security.md; ``fills`` the disk, so that nobody may add to it."""

    who: str
    finding: int
    run: Callable[[Attacker], Coroutine[Any, Any, None]]
    fills: bool = False


async def half_heads(attacker: Attacker) -> None:
    """10,000 connections with half a head, which goes on a byte at a time."""

    async def act(line: RawConnection, number: int) -> None:
        await line.send(b"GET /files/a HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        while True:
            await asyncio.sleep(20)
            await line.send(b"a")

    await attacker.crowd(10_000, act)


async def slow_json(attacker: Attacker) -> None:
    """600 log-ins whose bodies come in trickles."""

    async def act(line: RawConnection, number: int) -> None:
        await line.send_head("POST", "/tokens", [JSON, ("Content-Length", "16000")])
        for _ in range(15_000):
            await line.send(b" ")
            await asyncio.sleep(SLOW_SECONDS)

    await attacker.crowd(600, act)


async def log_ins(attacker: Attacker) -> None:
    """120 at once guess passwords, of accounts that there are and of others."""

    async def act(line: RawConnection, number: int) -> None:
        email = f"nobody-{random.randrange(10**6)}@gateway.test"
        body = {"email": email, "password": "guess-" + str(number)}
        await attacker.ask(line, "POST", "/tokens", [], body)

    await attacker.crowd(120, act, from_one=True)


async def guesses(attacker: Attacker) -> None:
    """60 ask whose keys are those that they make up."""

    async def act(line: RawConnection, number: int) -> None:
        await attacker.ask(line, "POST", "/identify", [], {"token": uuid4().hex})

    await attacker.crowd(60, act)


async def probes(attacker: Attacker) -> None:
    """60 ask for what needs no credential, and for what there is not."""
    paths = ("/health", "/ready", "/metrics", "/openapi.json", "/docs", "/files/none", "/nowhere")

    async def act(line: RawConnection, number: int) -> None:
        await attacker.ask(line, "GET", random.choice(paths), [])

    await attacker.crowd(60, act)


async def odd_requests(attacker: Attacker) -> None:
    """40 send what is no request, leave in the middle, and reset."""
    oddities = (
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        b"GET /files/" + b"a" * 6_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 900 + b"\r\n",
        b"POST /tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{",
    )

    async def act(line: RawConnection, number: int) -> None:
        await line.send(random.choice(oddities))
        if random.random() < 0.5:
            line.reset()
        await line.read_some()
        raise EOFError

    await attacker.crowd(40, act)


async def forged(attacker: Attacker) -> None:
    """40 on the machine itself say that they are the administrator, and that a proxy says so."""
    claims = [
        ("X-Hasura-Role", "admin"),
        ("X-Hasura-User-Id", "1"),
        ("X-Filestore-Proxy-Secret", "x"),
    ]

    async def act(line: RawConnection, number: int) -> None:
        forwarded = ("X-Forwarded-For", f"192.0.2.{number}")
        status = await attacker.ask(line, "GET", f"/v1/file/{uuid4()}", [*claims, forwarded])
        assert status in {401, 403, 404, 429}, status

    await attacker.crowd(40, act)


async def unwilling_readers(attacker: Attacker) -> None:
    """200 ask for much and read nothing."""

    async def act(line: RawConnection, number: int) -> None:
        for _ in range(20):
            await line.send_head("GET", "/openapi.json")
        await asyncio.sleep(3600)

    await attacker.crowd(200, act)


async def slow_uploads(attacker: Attacker) -> None:
    """256 uploads of one user, all of which go on for ever."""
    headers, body = multipart(
        [('Content-Disposition: form-data; name="file"; filename="slow"', bytes(1 << 20))]
    )

    async def act(line: RawConnection, number: int) -> None:
        await line.send_head("POST", "/files", [*attacker.target.device, *headers])
        await line.send(body[:1000])
        for at in range(1000, len(body), 60):
            await asyncio.sleep(SLOW_SECONDS)
            await line.send(body[at : at + 60])

    await attacker.crowd(256, act)


async def full_disk(attacker: Attacker) -> None:
    """8 upload as much as there is room for, without saying how much."""

    async def act(line: RawConnection, number: int) -> None:
        headers = [*attacker.target.device, ("Transfer-Encoding", "chunked")]
        await line.send_head("PUT", f"/files/{uuid4()}", headers)
        for _ in range(256):
            await line.send(b"%x\r\n%b\r\n" % (1 << 18, bytes(1 << 18)))
        await line.send(b"0\r\n\r\n")
        attacker.seen[str((await line.read_answer()).status)] += 1

    await attacker.crowd(8, act)


async def messages(attacker: Attacker) -> None:
    """12 send packs as large as may be."""
    pack = [{"bn": "n" * 900, "n": "a", "v": 1}, *({"n": "a", "v": 1} for _ in range(900))]
    path = f"/http/channels/{attacker.target.channel}/messages"

    async def act(line: RawConnection, number: int) -> None:
        await attacker.ask(line, "POST", path, attacker.target.device, pack)

    await attacker.crowd(12, act)


async def big_lists(attacker: Attacker) -> None:
    """8 read lists of things with as much metadata as they may have, again and again."""
    user = attacker.target.user
    things = [{"name": "big", "metadata": {"a": "x" * 60_000}}] * 10
    async with attacker.line() as line:
        for _ in range(attacker.target.some(20)):
            await attacker.ask(line, "POST", "/things", user, things)

    async def act(line: RawConnection, number: int) -> None:
        await attacker.ask(line, "GET", "/things?limit=0", user)

    await attacker.crowd(8, act)


async def deep_groups(attacker: Attacker) -> None:
    """A chain of groups as deep as it may be, many times, and 12 who list it."""
    user = attacker.target.user
    async with attacker.line() as line:
        for _ in range(attacker.target.some(20)):
            await _chain(attacker, line)

    async def act(line: RawConnection, number: int) -> None:
        await attacker.ask(line, "GET", "/groups?limit=0", user)

    await attacker.crowd(12, act)


async def _chain(attacker: Attacker, line: RawConnection) -> None:
    parent: dict[str, str] = {}
    for _ in range(60):
        body = b'{"name":"g"%b}' % (b',"parent_id":"%b"' % parent["id"].encode() if parent else b"")
        head = [*attacker.target.user, JSON, ("Content-Length", str(len(body)))]
        await line.send_head("POST", "/groups", head)
        await line.send(body)
        answer = await line.read_answer()
        attacker.seen[str(answer.status)] += 1
        if answer.status != 201:
            return
        parent = {"id": answer.head.one("Location").rpartition("/")[2]}


async def products(attacker: Attacker) -> None:
    """12 connect a hundred things with a hundred channels, all of which are nobody's or the same."""
    ids = [str(uuid4()) for _ in range(99)]
    body = {
        "thing_ids": [*ids, attacker.target.thing],
        "channel_ids": [*ids, attacker.target.channel],
    }

    async def act(line: RawConnection, number: int) -> None:
        await attacker.ask(line, "POST", "/connect", attacker.target.user, body)

    await attacker.crowd(12, act)


async def thrashing(attacker: Attacker) -> None:
    """20 read their own file by ever other addresses, and with headers as odd as may be."""
    tags = ", ".join(f'"{number}"' for number in range(900))

    async def act(line: RawConnection, number: int) -> None:
        path = f"/files/own.bin?x={random.randrange(10**9)}"
        odd = random.choice([("If-None-Match", tags), ("Range", "bytes=0-1"), ("If-Range", '"x"')])
        await attacker.ask(line, "GET", path, [*attacker.target.device, odd])

    await attacker.crowd(20, act)


async def unwilling_downloads(attacker: Attacker) -> None:
    """100 downloads of which nobody takes a byte."""

    async def act(line: RawConnection, number: int) -> None:
        await line.send_head("GET", "/files/own.bin", attacker.target.device)
        await asyncio.sleep(3600)

    await attacker.crowd(100, act)


async def hostile_receiver(attacker: Attacker) -> None:
    """20 webhooks to who never answers, and messages for them."""
    url = f"http://127.0.0.1:{attacker.target.receiver}/"
    hooks = [{"name": f"w{number}", "url": url} for number in range(attacker.target.some(20))]
    async with attacker.line() as line:
        path = f"/webhooks/{attacker.target.thing}"
        await attacker.ask(line, "POST", path, attacker.target.user, hooks)
    await messages(attacker)


async def hostile_names(attacker: Attacker) -> None:
    """8 make webhooks on names that nobody answers for."""

    async def act(line: RawConnection, number: int) -> None:
        hooks = [{"name": uuid4().hex, "url": f"http://{uuid4().hex}.slow.test/"}] * 20
        path = f"/webhooks/{attacker.target.thing}"
        await attacker.ask(line, "POST", path, attacker.target.user, hooks)

    await attacker.crowd(8, act)


async def hostile_hook(attacker: Attacker) -> None:
    """40 read what the hook never decides about."""

    async def act(line: RawConnection, number: int) -> None:
        await attacker.ask(line, "GET", f"/files/hang-{uuid4()}", attacker.target.device)

    await attacker.crowd(40, act)


ATTACKS = {
    "half-heads": Attack("stranger", 7, half_heads),
    "slow-json": Attack("stranger", 6, slow_json),
    "log-ins": Attack("stranger", 12, log_ins),
    "guesses": Attack("stranger", 22, guesses),
    "probes": Attack("stranger", 33, probes),
    "odd-requests": Attack("stranger", 30, odd_requests),
    "unwilling-readers": Attack("stranger", 6, unwilling_readers),
    "forged": Attack("local process", 18, forged),
    "slow-uploads": Attack("fresh user", 8, slow_uploads),
    "full-disk": Attack("fresh user", 1, full_disk, fills=True),
    "messages": Attack("fresh user", 10, messages),
    "big-lists": Attack("fresh user", 5, big_lists),
    "deep-groups": Attack("fresh user", 13, deep_groups),
    "products": Attack("fresh user", 13, products),
    "thrashing": Attack("tenant", 38, thrashing),
    "unwilling-downloads": Attack("tenant", 6, unwilling_downloads),
    "hostile-receiver": Attack("hostile receiver", 10, hostile_receiver),
    "hostile-names": Attack("hostile DNS", 9, hostile_names),
    "hostile-hook": Attack("hostile hook", 9, hostile_hook),
}
