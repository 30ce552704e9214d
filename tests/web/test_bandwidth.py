"""Bandwidth limits, on all three ways: by us as a sum, by nginx for each response.

Timed is only what no busy machine can break: that nothing comes earlier than a limit lets it.
The one exception is how long a stop takes, which is the promise itself and has much room.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, User, sign_in, upload
from tests.tools.nginx import ACCEL, Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIB = 1024
DEVICE_RATE = 64 * KIB
GROUP_RATE = 32 * KIB
BURST = 64 * KIB  # of either
SLOWEST = 1024
FAST = 64 * 1024 * KIB
STALL_SECONDS = 1
SHUTDOWN_SECONDS = 4
SMALL = Firmware(91, BURST)
MIDDLE = Firmware(92, 160 * KIB)
LARGE = Firmware(93, 256 * KIB)
ENDLESS = Firmware(94, 64 * 1024 * KIB)
NOTICED_SECONDS = 20.0  # where it takes none if it works, and twice as many if it does not


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and one who may read it."""

    path: str
    headers: Mapping[str, str]

    async def ask(self, connection: RawConnection, **more: str) -> None:
        """Ask for it, and read the head of the answer."""
        await connection.send_head("GET", self.path, {**self.headers, **more}.items())
        assert (await connection.read_head()).status in (200, 206)


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway with limits, an nginx before it in each mode, and who fills it."""

    gateway: GatewayProcess
    ports: Mapping[str, int]
    logs: Mapping[str, Nginx]
    admin: User

    async def own(self, image: Firmware, thing: Thing | None = None) -> Place:
        """A file of a thing, of a new one unless given."""
        thing = thing or await self.admin.thing()
        await self._upload("/files", image, thing.headers)
        return Place(f"/files/{image.seed}.bin", thing.headers)

    async def shared(self, image: Firmware, count: int) -> list[Place]:
        """A file of a new group, as so many things of it read it."""
        things = [await self.admin.thing() for _ in range(count)]
        group = await self.admin.group("line", *(thing.id for thing in things))
        await self._upload(f"/groups/{group}/files", image, self.admin.headers)
        path = f"/groups/{group}/files/{image.seed}.bin"
        return [Place(path, thing.headers) for thing in things]

    async def _upload(self, path: str, image: Firmware, headers: Mapping[str, str]) -> None:
        url = f"{self.gateway.url}{path}"
        await upload(self.admin.session, url, headers, f"{image.seed}.bin", image.content)


async def fetch(port: int, place: Place, **more: str) -> Answer:
    async with raw_connection(port) as connection:
        return await connection.ask("GET", place.path, {**place.headers, **more}.items())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running_gateway(
                tmp_path_factory.mktemp("limited"),
                database_server=postgres_server,
                accel=ACCEL,
                trusted_proxies=f"{HOST}/32",
                device_bytes_per_second=DEVICE_RATE,
                group_bytes_per_second=GROUP_RATE,
            )
        )
        upstream, blobs = f"{HOST}:{gateway.port}", gateway.data_dir / "blobs"
        fronts = {}
        for name in ("nginx", "edge"):
            folder, edge = tmp_path_factory.mktemp(name), name == "edge"
            fronts[name] = await stack.enter_async_context(
                running_nginx(folder, upstream=upstream, blobs=blobs, edge=edge)
            )
        ports = {"direct": gateway.port, **{name: front.port for name, front in fronts.items()}}
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Site(gateway, ports, fronts, await sign_in(session, gateway.url))


@pytest.mark.parametrize("kind", ["a device", "a group"])
async def test_a_download_takes_its_time_and_is_otherwise_the_same(
    site: Site, way: str, kind: str
) -> None:
    """
    nginx counts whole seconds, in which it lets the bytes of up to one more pass.
    """
    if kind == "a device":
        image, rate, place = LARGE, DEVICE_RATE, await site.own(LARGE)
    else:
        image, rate, (place,) = MIDDLE, GROUP_RATE, await site.shared(MIDDLE, 1)
    began = time.monotonic()
    answer = await fetch(site.ports[way], place)
    took = time.monotonic() - began
    assert (200, image.content) == (answer.status, answer.body)
    assert [] == [n for n, _ in answer.head.headers if re.search("rate|accel", n, re.IGNORECASE)]
    assert took >= (image.size - (BURST if way == "direct" else 2 * rate)) / rate - 0.05
    assert all("invalid size" not in front.log for front in site.logs.values())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("a device", DEVICE_RATE), ("a group", GROUP_RATE), ("a group's user", GROUP_RATE)],
)
async def test_nginx_is_told_the_lesser_rate(site: Site, kind: str, expected: int) -> None:
    if kind == "a device":
        place = await site.own(SMALL)
    else:
        (place,) = await site.shared(SMALL, 1)
    if kind == "a group's user":
        place = Place(place.path, site.admin.headers)
    for asking, told in [
        ({"X-Filestore-Accel": ACCEL}, "X-Accel-Limit-Rate"),
        ({"X-Filestore-Edge": f"{time.time():.3f}"}, "X-Filestore-Rate"),
    ]:
        answer = await fetch(site.gateway.port, place, **asking)
        assert str(expected) == answer.head.one(told)


async def test_without_limits_nginx_is_told_nothing(
    gateway: GatewayProcess, edge: Nginx, thing: Thing, http: aiohttp.ClientSession
) -> None:
    """
    And it takes nothing for a limit of its own, nor for a mistake.
    """
    await upload(http, f"{gateway.url}/files", thing.headers, "free.bin", LARGE.content)
    place = Place("/files/free.bin", thing.headers)
    for asking in ({"X-Filestore-Accel": ACCEL}, {"X-Filestore-Edge": f"{time.time():.3f}"}):
        answer = await fetch(gateway.port, place, **asking)
        assert 200 == answer.status
        assert [] == [n for n, _ in answer.head.headers if "rate" in n.lower()]
    assert LARGE.content == (await fetch(edge.port, place)).body
    assert "invalid size" not in edge.log


async def test_what_one_device_downloads_at_once_shares_its_limit(site: Site) -> None:
    own = await site.own(MIDDLE)
    began = time.monotonic()
    one, two = await asyncio.gather(*(fetch(site.gateway.port, own) for _ in range(2)))
    took = time.monotonic() - began
    assert MIDDLE.content == one.body == two.body
    assert took >= (2 * MIDDLE.size - BURST) / DEVICE_RATE


async def test_what_a_group_s_devices_download_at_once_shares_its_limit(site: Site) -> None:
    places = await site.shared(SMALL, 3)
    began = time.monotonic()
    answers = await asyncio.gather(*(fetch(site.gateway.port, place) for place in places))
    took = time.monotonic() - began
    assert {SMALL.content} == {answer.body for answer in answers}
    assert took >= (3 * SMALL.size - BURST) / GROUP_RATE


async def test_small_ranges_on_new_connections_wait_for_their_bytes_too(site: Site) -> None:
    place, size = await site.own(MIDDLE), 8 * KIB
    began = time.monotonic()
    for start in range(0, MIDDLE.size, size):
        ranged = f"bytes={start}-{start + size - 1}"
        answer = await fetch(site.gateway.port, place, Range=ranged)
        assert (206, MIDDLE.read(start, size)) == (answer.status, answer.body)
    assert time.monotonic() - began >= (MIDDLE.size - BURST) / DEVICE_RATE


async def test_one_device_does_not_slow_another(site: Site) -> None:
    """
    Sixteen get what is half a minute of the limit at once, while the first one waits.
    """
    endless, others = await site.own(ENDLESS), [await site.own(SMALL) for _ in range(16)]
    async with raw_connection(site.gateway.port) as connection:
        await endless.ask(connection)
        received = 0
        while received < BURST:
            received += len(await connection.read_some())
        async with asyncio.timeout(NOTICED_SECONDS / 2):
            for small in others:
                assert SMALL.content == (await fetch(site.gateway.port, small)).body
        assert await connection.read_some()


@pytest_asyncio.fixture(loop_scope="module")
async def slow(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Site]:
    """Groups as slow as they can be, devices fast; short patience."""
    async with (
        running_gateway(
            tmp_path_factory.mktemp("slow"),
            database_server=postgres_server,
            device_bytes_per_second=FAST,
            group_bytes_per_second=SLOWEST,
            download_stall_seconds=STALL_SECONDS,
            shutdown_seconds=SHUTDOWN_SECONDS,
        ) as gateway,
        aiohttp.ClientSession() as session,
    ):
        yield Site(gateway, {}, {}, await sign_in(session, gateway.url))


async def test_who_waits_for_us_has_not_stalled(slow: Site) -> None:
    """
    The last slice is four times the stall time in coming.
    """
    image = Firmware(95, BURST + 4 * KIB)
    (place,) = await slow.shared(image, 1)
    began = time.monotonic()
    answer = await fetch(slow.gateway.port, place)
    assert image.content == answer.body
    assert time.monotonic() - began >= 4 * STALL_SECONDS


async def test_who_takes_nothing_has_stalled_though_there_is_a_limit(slow: Site) -> None:
    place = await slow.own(ENDLESS)
    async with raw_connection(slow.gateway.port, receive_buffer=4096) as connection:
        await place.ask(connection)
        await logged(slow.gateway, place, 1)
        received, _ = await connection.read_ending()
    assert len(received) < ENDLESS.size


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_who_leaves_while_waiting_is_noticed_at_once(slow: Site, leave: str) -> None:
    """
    The last in a queue of a minute: had nobody looked, it would be noticed at its turn.
    """
    places = await slow.shared(ENDLESS, 16)
    async with AsyncExitStack() as stack:
        for place in places:
            connection = await stack.enter_async_context(raw_connection(slow.gateway.port))
            await place.ask(connection)
        async with raw_connection(slow.gateway.port) as last:
            await places[0].ask(last)
            if leave == "reset":
                last.reset()
        await logged(slow.gateway, places[0], 1)
    assert '"level":"error"' not in slow.gateway.log


async def test_a_stop_waits_for_paced_downloads_as_long_as_for_others(slow: Site) -> None:
    """
    Once, and not twice, which is what aiohttp itself does.
    """
    (place,) = await slow.shared(ENDLESS, 1)
    async with raw_connection(slow.gateway.port) as connection:
        await place.ask(connection)
        began = time.monotonic()
        assert 0 == await slow.gateway.terminate()
        assert SHUTDOWN_SECONDS - 0.1 <= time.monotonic() - began < 2 * SHUTDOWN_SECONDS
        received, _ = await connection.read_ending()
    assert received == ENDLESS.read(0, len(received))
    assert BURST <= len(received) < ENDLESS.size


async def logged(gateway: GatewayProcess, place: Place, count: int) -> None:
    """Wait until so many downloads have ended with nobody there."""
    line = f'"method":"GET","path":"{place.path}","status":499'
    async with asyncio.timeout(NOTICED_SECONDS):
        while gateway.log.count(line) < count:
            await asyncio.sleep(0.05)
