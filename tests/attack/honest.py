"""Those who are to be served whatever happens: a device that downloads, and a user who does everything else."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, User, sign_in, upload
from tests.tools.rawhttp import RawConnection, raw_connection

RANGE_BYTES = 4096
PAUSE_SECONDS = 0.004
PATIENCE_SECONDS = 10.0
NEIGHBOUR_SECONDS = 0.5
IMAGE = Firmware(seed=11, size=4 * 1024 * 1024)
PATH = "/files/firmware.bin"


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so many are not above; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0


def loop_seconds(pid: int) -> float:
    """For how long the process's first thread, which has the event loop, has worked (schedstat)."""
    nanoseconds = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()[0]
    return int(nanoseconds) / 1e9


@dataclass(frozen=True, slots=True)
class Waited:
    """How long each range was waited for, how much of that the gateway worked, and what failed."""

    seconds: list[float]
    worked: list[float]
    errors: list[str]


@dataclass(slots=True)
class Device:
    """Downloads ranges of a firmware, one after another, and looks at each byte."""

    gateway: GatewayProcess
    thing: Thing
    seconds: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def work(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                async with raw_connection(self.gateway.port) as line:
                    while True:
                        await self._read(line)
                        await asyncio.sleep(PAUSE_SECONDS)
            except (OSError, EOFError, TimeoutError) as exc:
                self.errors.append(repr(exc))

    async def _read(self, line: RawConnection) -> None:
        start = random.randrange(0, IMAGE.size - RANGE_BYTES, RANGE_BYTES)
        span = f"bytes={start}-{start + RANGE_BYTES - 1}"
        began, worked = time.perf_counter(), loop_seconds(self.gateway.pid)
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await line.ask("GET", PATH, [*self.thing.headers.items(), ("Range", span)])
        self.seconds.append(time.perf_counter() - began)
        self.worked.append(loop_seconds(self.gateway.pid) - worked)
        if answer.status != 206 or answer.body != IMAGE.content[start : start + RANGE_BYTES]:
            self.errors.append(str(answer.status))

    def take(self) -> Waited:
        """What there was since it was last asked."""
        taken = Waited(self.seconds, self.worked, self.errors)
        self.seconds, self.worked, self.errors = [], [], []
        return taken


@dataclass(slots=True)
class Neighbour:
    """A user who lists, uploads and now and then logs in."""

    user: User
    email: str
    password: str
    thing: Thing
    adds: bool = True
    longest: float = 0.0
    errors: list[str] = field(default_factory=list)

    async def work(self) -> None:
        """Until it is cancelled."""
        for number in range(10**6):
            await self.once(number)
            await asyncio.sleep(NEIGHBOUR_SECONDS)

    async def once(self, number: int = 0) -> None:
        """Each thing once, and how long it took."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._everything(number)
        except (aiohttp.ClientError, AssertionError, TimeoutError) as exc:
            self.errors.append(repr(exc))
        self.longest = max(self.longest, time.perf_counter() - began)

    async def _everything(self, number: int) -> None:
        user = self.user
        async with user.session.get(f"{user.url}/things", headers=user.headers) as answer:
            assert answer.status == 200, await answer.text()
        if number % 5 == 0:
            await sign_in(user.session, user.url, self.email, self.password)
        if self.adds:
            url = f"{user.url}/files/small-{number % 10}"
            await _put(user, url, self.thing)


async def _put(user: User, url: str, thing: Thing) -> None:
    async with user.session.put(url, data=b"x" * 1000, headers=thing.headers) as answer:
        assert answer.status in {200, 201}, await answer.text()


@contextlib.asynccontextmanager
async def device_of(user: User, gateway: GatewayProcess) -> AsyncIterator[Device]:
    """A device with a firmware, which downloads until the end of the block."""
    thing = await user.thing("honest")
    await upload(user.session, f"{user.url}/files", thing.headers, "firmware.bin", IMAGE.content)
    device = Device(gateway, thing)
    working = asyncio.create_task(device.work())
    try:
        yield device
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
