"""K: thousands of connections that send or take next to nothing, and one device that is served meanwhile.

One case holds so many connections at once, of four kinds: who says nothing, who drips a head, who drips a body, who
takes no byte of a download. The gateway ends each of them by the deadline of its kind; the device has every
byte right.

Rule: how fast the device is served is noted, not judged: others share the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import aiohttp

from tests.attack.honest import IMAGE, PATH, Device, device_of, percentile
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, sign_in
from tests.tools.rawhttp import RawConnection, raw_connection
from tests.torture.suite import Case, Seen, Stage, Suite, Violated

_HELD: Final = (60, 1_000, 5_000)
_AT_ONCE: Final = 100
_DRIP_SECONDS: Final = 1.0
_DEADLINE_SECONDS: Final = 150.0
_SETTINGS: Final = {
    "keepalive_seconds": 4,
    "stall_seconds": 4,
    "download_stall_seconds": 4,
    "min_upload_bytes_per_second": 1_000,
    "max_concurrent_uploads": 10_000,
    "max_concurrent_requests": 20_000,
}
Offence = Callable[[RawConnection, Thing], Awaitable[None]]


async def says_nothing(line: RawConnection, thing: Thing) -> None:
    """Waits until it is hung up on."""
    del thing
    await line.read_ending()


async def drips_a_head(line: RawConnection, thing: Thing) -> None:
    """A header a second, and never the last."""
    await line.send(b"GET /files/x HTTP/1.1\r\nHost: slow\r\n")
    await _dripping(line, b"X-Slow: 1\r\n")
    del thing


async def drips_a_body(line: RawConnection, thing: Thing) -> None:
    """A few bytes a second of many that it promised."""
    length = [*thing.headers.items(), ("Content-Length", "1000000")]
    await line.send_head("PUT", "/files/slow.bin", length)
    await _dripping(line, b"0123456789")


async def takes_no_byte(line: RawConnection, thing: Thing) -> None:
    """Asks for an image, and reads it only when it is long over that it began to come."""
    await line.send_head("GET", PATH, thing.headers.items())
    await line.read_head()
    await asyncio.sleep(_SETTINGS["download_stall_seconds"] * 3)
    received, _ = await line.read_ending()
    if len(received) >= IMAGE.size:
        raise Violated("who took nothing for so long had the whole image waiting")


async def _dripping(line: RawConnection, drop: bytes) -> None:
    """Until it is hung up on."""
    ending = asyncio.create_task(line.read_ending())
    try:
        while not ending.done():
            with contextlib.suppress(ConnectionError):
                await line.send(drop)
            await asyncio.wait({ending}, timeout=_DRIP_SECONDS)
    finally:
        ending.cancel()


OFFENCES: Final[tuple[Offence, ...]] = (says_nothing, drips_a_head, drips_a_body, takes_no_byte)


class Slowness:
    """A gateway, a device, and crowds."""

    def __init__(self, gateway: GatewayProcess, device: Device) -> None:
        self._gateway, self._device = gateway, device

    async def case(self, number: int, choice: random.Random) -> Seen:
        """One crowd."""
        del choice
        held = _HELD[min(number, len(_HELD) - 1)]
        self._device.take()
        places = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for n in range(held):
                tasks.create_task(self._offend(OFFENCES[n % len(OFFENCES)], places))
        waited = self._device.take()
        if waited.errors or not waited.seconds:
            raise Violated(f"the device: {waited.errors[:5]}, {len(waited.seconds)} ranges")
        milliseconds = round(1000 * percentile(waited.seconds, 0.99))
        return Seen({"held": held, f"p99 of the device with {held}: {milliseconds} ms": 1})

    async def _offend(self, offence: Offence, places: asyncio.Semaphore) -> None:
        """Connected a few at a time, held all at once."""
        async with contextlib.AsyncExitStack() as stack:
            small = 4096 if offence is takes_no_byte else None
            async with places:
                line = await stack.enter_async_context(
                    raw_connection(self._gateway.port, receive_buffer=small)
                )
            try:
                async with asyncio.timeout(_DEADLINE_SECONDS):
                    await offence(line, self._device.thing)
            except TimeoutError as exc:
                raise Violated(f"who {offence.__name__} is still connected") from exc


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The gateway and the device."""
    async with (
        running_gateway(
            stage.folder, database_server=stage.server, module="tests.torture.planted", **_SETTINGS
        ) as gateway,
        aiohttp.ClientSession() as http,
    ):
        user = await sign_in(http, gateway.url)
        async with device_of(user, gateway) as device:
            yield Slowness(gateway, device).case


SUITE: Final = Suite(
    name="slow",
    what="thousands of connections at once that send or take next to nothing, each ended by its "
    "deadline, while a device is served",
    unit="held",
    full=11_060,
    small=1,
    opened=opened,
    processes=1,
    seconds=400.0,
)
