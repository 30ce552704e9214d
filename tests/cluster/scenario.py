"""What a cluster promises, tried from outside: files at every gateway, and gateways and a primary that die."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, sign_in
from tests.tools.postgres import Pair
from tests.tools.seaweedcluster import Weeds

BOUND_SECONDS = 2.0
UNHEARD = 0
"""In the place of a status, where there was none."""

LARGE = Firmware(1, 24 * 1024 * 1024).content
SMALL = Firmware(2, 50_000).content
_PIECE = 256 * 1024
_AWAY = 503
_BACK_SECONDS = 10.0
Say = Callable[[str], object]


async def try_everything(
    session: aiohttp.ClientSession,
    front: str,
    gateways: Sequence[GatewayProcess],
    pair: Pair,
    weeds: Weeds,
    *,
    say: Say,
) -> bool:
    """Whether all of it is as promised; what was seen is said."""
    user = await sign_in(session, front)
    thing = await user.thing("device")
    trials = {
        "what is stored at one is read at the others at once": _shared(session, gateways, thing),
        "a revoked key reads nowhere, within 2 s": _revoked(session, front, gateways),
        "a download goes on where its gateway was killed": _download(session, gateways, thing),
        "an upload is whole or nothing when its gateway is killed": _upload(
            session, gateways, thing
        ),
        "a volume server that is killed loses nothing, and uploads go on": _volume_server(
            session, front, gateways, weeds, thing, say
        ),
        "a failover loses nothing that was acknowledged": _failover(
            session, front, gateways, pair, thing, say
        ),
    }
    kept = True
    for what, trial in trials.items():
        began, is_so = time.monotonic(), await trial
        say(f"{'ok  ' if is_so else 'FAIL'} {what} ({time.monotonic() - began:.1f} s)")
        kept = kept and is_so
    return kept


async def _put(
    session: aiohttp.ClientSession, url: str, thing: Thing, name: str, data: bytes
) -> int:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(data), filename=name)
    async with session.post(f"{url}/files", data=form, headers=thing.headers) as answer:
        await answer.read()
        return answer.status


async def _get(
    session: aiohttp.ClientSession, url: str, thing: Thing, name: str
) -> tuple[int, bytes]:
    async with session.get(f"{url}/files/{name}", headers=thing.headers) as answer:
        return answer.status, await answer.read()


async def _shared(
    session: aiohttp.ClientSession, gateways: Sequence[GatewayProcess], thing: Thing
) -> bool:
    stored = [await _put(session, g.url, thing, f"of-{g.port}", SMALL) for g in gateways]
    read = [
        await _get(session, reader.url, thing, f"of-{writer.port}")
        for reader in gateways
        for writer in gateways
    ]
    return set(stored) == {201} and all(got == (200, SMALL) for got in read)


async def _revoked(
    session: aiohttp.ClientSession, front: str, gateways: Sequence[GatewayProcess]
) -> bool:
    user = await sign_in(session, front)
    thing = await user.thing("lost")
    await _put(session, front, thing, "secret", SMALL)
    for gateway in gateways:
        assert (await _get(session, gateway.url, thing, "secret"))[0] == 200
    url = f"{gateways[0].url}/things/{thing.id}"
    async with session.delete(url, headers=user.headers) as answer:
        assert answer.status == 204, answer.status
    began = time.monotonic()
    for gateway in gateways:
        while (await _get(session, gateway.url, thing, "secret"))[0] == 200:
            if time.monotonic() - began > BOUND_SECONDS:
                return False
    return True


async def _download(
    session: aiohttp.ClientSession, gateways: Sequence[GatewayProcess], thing: Thing
) -> bool:
    assert await _put(session, gateways[0].url, thing, "large", LARGE) == 201
    got, victim = b"", gateways[2]
    async with session.get(f"{victim.url}/files/large", headers=thing.headers) as answer:
        etag = answer.headers["ETag"]
        got += await answer.content.readexactly(_PIECE)
        await victim.kill9()
        with contextlib.suppress(aiohttp.ClientError):
            async for piece in answer.content.iter_chunked(_PIECE):
                got += piece
    headers = thing.headers | {"Range": f"bytes={len(got)}-", "If-Range": etag}
    async with session.get(f"{gateways[1].url}/files/large", headers=headers) as answer:
        rest = await answer.read()
    await victim.start()
    return answer.status == 206 and got + rest == LARGE


async def _upload(
    session: aiohttp.ClientSession, gateways: Sequence[GatewayProcess], thing: Thing
) -> bool:
    victim = gateways[1]

    async def body() -> AsyncIterator[bytes]:
        yield LARGE[: len(LARGE) // 2]
        await victim.kill9()
        yield LARGE[len(LARGE) // 2 :]

    form = aiohttp.FormData()
    form.add_field("file", body(), filename="again")
    with contextlib.suppress(aiohttp.ClientError):
        async with session.post(f"{victim.url}/files", data=form, headers=thing.headers) as answer:
            assert answer.status != 201
    absent = (await _get(session, gateways[0].url, thing, "again"))[0] == 404
    again = await _put(session, gateways[2].url, thing, "again", LARGE)
    await victim.start()
    return (
        absent and again == 201 and await _get(session, victim.url, thing, "again") == (200, LARGE)
    )


@dataclass
class _Writing:
    """Writers, what they had acknowledged, and what they were told instead."""

    session: aiohttp.ClientSession
    front: str
    thing: Thing
    stored: dict[str, bytes] = field(default_factory=dict)
    told: Counter[int] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, number: int) -> None:
        """One file after the other, until it is over."""
        for count in range(100_000):
            name, data = f"w{number}-{count}", Firmware(count, 3_000 + number).content
            status = await _tried(_put(self.session, self.front, self.thing, name, data))
            if status == 201:
                self.stored[name] = data
            self.told[status] += 1
            if self.over.is_set():
                return

    def others(self) -> str:
        """How many were not acknowledged, in words."""
        unheard = self.told[UNHEARD]
        refused = self.told.total() - self.told[201] - unheard
        return f"{refused} were refused, {unheard} not answered"


async def _volume_server(
    session: aiohttp.ClientSession,
    front: str,
    gateways: Sequence[GatewayProcess],
    weeds: Weeds,
    thing: Thing,
    say: Say,
) -> bool:
    """What an upload needs, two living servers that sync, is found among those that are left."""
    small = {f"v-{n}": Firmware(n, 60_000 + n).content for n in range(10)}
    stored = small | {"v-large": LARGE}
    for name, data in stored.items():
        assert await _put(session, front, thing, name, data) == 201
    await weeds.kill_volume_server(0)
    began, refused = time.monotonic(), 0
    for name, data in {f"{name}-after": data for name, data in small.items()}.items():
        while (status := await _put(session, front, thing, name, data)) != 201:
            refused += 1
            if status != _AWAY or time.monotonic() - began > _BACK_SECONDS:
                return False
        stored[name] = data
    say(f"     {len(small)} uploads after it, {refused} times asked to come again")
    for number, (name, data) in enumerate(stored.items()):
        reader = gateways[number % len(gateways)]
        if await _get(session, reader.url, thing, name) != (200, data):
            return False
    return True


async def _failover(
    session: aiohttp.ClientSession,
    front: str,
    gateways: Sequence[GatewayProcess],
    pair: Pair,
    thing: Thing,
    say: Say,
) -> bool:
    writing = _Writing(session, front, thing)
    stored = writing.stored
    async with asyncio.TaskGroup() as writers:
        for number in range(4):
            writers.create_task(writing.write(number))
        await _until(lambda: len(stored) > 20)
        began, before = time.monotonic(), len(stored)
        await pair.fail_over()
        await _until(lambda: len(stored) > before + 4)
        took = time.monotonic() - began
        writing.over.set()
    say(f"     writes came back after {took:.2f} s, {writing.others()}")
    for name, data in stored.items():
        for gateway in gateways:
            if not await _reads(session, gateway, thing, name, data):
                return False
    say(f"     {len(stored)} files were acknowledged, and read back at each gateway")
    return True


async def _tried(asked: Awaitable[int]) -> int:
    """Its status; ``UNHEARD`` where the connection broke, by which nothing is acknowledged."""
    try:
        return await asked
    except (aiohttp.ClientError, OSError):
        return UNHEARD


async def _reads(
    session: aiohttp.ClientSession, gateway: GatewayProcess, thing: Thing, name: str, data: bytes
) -> bool:
    """Whether the gateway has it. It may still be looking for its database, and says so then."""
    until = time.monotonic() + _BACK_SECONDS
    while True:
        got = await _get(session, gateway.url, thing, name)
        if got[0] != _AWAY or time.monotonic() > until:
            return got == (200, data)
        await asyncio.sleep(0.05)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.02)
