"""One device: follows its client's plan over a link that breaks, until its image is right."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from dataclasses import dataclass, field

from gateway.fleet.answers import (
    END_OF_HEAD,
    Head,
    Unusable,
    parse_head,
    request_bytes,
    span_of,
)
from gateway.fleet.flash import Flash, Image, RandomFlash, SequentialFlash, WrongBytes
from gateway.fleet.link import DeviceLink, LinkLost, LocalLimit, connect
from gateway.fleet.mission import Mission
from gateway.fleet.plans import Ask, Got, Profile
from gateway.fleet.tally import Tally

_LONGEST_HEAD = 16 * 1024
_TOO_MANY = (429, 503)
_BUSY_SECONDS = 5.0  # what SWUpdate waits; the others wait longer


class GaveUp(Exception):
    """No byte came, however often it was tried."""


@dataclass(slots=True)
class Field:
    """What the devices of one process share; ``deadline`` by their loop's clock."""

    mission: Mission
    image: Image
    tls: ssl.SSLContext | None
    tally: Tally = field(default_factory=Tally)
    links: int = 0
    deadline: float = float("inf")

    def opened(self) -> None:
        """Count a link."""
        self.links += 1
        self.tally.peak_links = max(self.tally.peak_links, self.links)


class Device:
    """A device on its field; ``rng`` decides its bandwidth, its cuts, its plan's choices."""

    def __init__(self, place: Field, profile: Profile, rng: random.Random) -> None:
        self._field = place
        self._profile = profile
        self._rng = rng
        conditions = place.mission.conditions
        self._bandwidth = rng.uniform(conditions.slowest, conditions.fastest)
        self._flash: Flash = (RandomFlash if profile.random_access else SequentialFlash)(
            place.image
        )
        self._link: DeviceLink | None = None
        self._etag: str | None = None
        self._until_cut = self._draw_cut()
        self._fruitless = 0

    async def update(self) -> None:
        """Download the image; the outcome goes to the tally."""
        tally, loop = self._field.tally, asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout_at(self._field.deadline):
                await self._follow_plan()
            if not self._flash.is_right():
                raise WrongBytes("the digest is not the image's")
            tally.complete(self._profile.name, loop.time() - began, self._field.image.size)
        except WrongBytes as exc:
            tally.wrong += 1
            tally.fail(f"{self._profile.name}: wrong bytes: {exc}")
        except TimeoutError:
            tally.fail(f"{self._profile.name}: out of time")
        except (Unusable, GaveUp, LocalLimit) as exc:
            tally.fail(f"{self._profile.name}: {exc}")
        finally:
            tally.hashing_seconds += self._flash.hashing_seconds
            self._hang_up()

    async def _follow_plan(self) -> None:
        plan = self._profile.plan(self._rng)
        ask = next(plan)
        while True:
            got = await self._perform(ask)
            try:
                ask = plan.send(got)
            except StopIteration:
                return

    async def _perform(self, ask: Ask) -> Got:
        """One request, as far as it gets."""
        progress = _Progress()
        try:
            await self._exchange(ask, progress)
        except LinkLost:
            self._field.tally.losses += 1
            await self._recover()
        except _Cut:
            self._field.tally.cuts += 1
            await self._recover()
        self._fruitless = 0 if progress.status else self._fruitless + 1
        if self._fruitless > self._field.mission.attempts:
            raise GaveUp(f"no answer in {self._fruitless} attempts")
        return Got(progress.status, progress.start, progress.count, progress.size)

    async def _exchange(self, ask: Ask, progress: _Progress) -> None:
        mission = self._field.mission
        link = await self._connected()
        await link.paced()
        if mission.conditions.round_trip:
            await asyncio.sleep(mission.conditions.round_trip)
        sent = time.perf_counter()  # a loop's own clock stands still while it is busy
        await link.send(request_bytes(mission.target, mission.headers, ask, self._etag))
        self._field.tally.requests += 1
        head, rest = await self._read_head(link, sent)
        if head.status in _TOO_MANY:
            await self._wait_as_told(head)
            return
        span = span_of(ask, head, self._field.image.size)
        self._etag = self._etag or head.headers.get("etag")
        progress.status, progress.start, progress.size = head.status, span.start, span.size
        await self._read_body(link, rest, span.stop - span.start, progress)
        if not head.keeps_alive:
            self._hang_up()

    async def _connected(self) -> DeviceLink:
        if self._link is None:
            mission = self._field.mission
            if mission.conditions.round_trip:
                await asyncio.sleep(mission.conditions.round_trip)
            self._link = await connect(
                mission.target,
                source=mission.source,
                bandwidth=self._bandwidth,
                patience=mission.patience,
                tls=self._field.tls,
            )
            self._field.opened()
        return self._link

    async def _read_head(self, link: DeviceLink, sent: float) -> tuple[Head, bytes]:
        block = await link.receive()
        elapsed = time.perf_counter() - sent
        self._field.tally.first_byte(elapsed, self._rng)
        while END_OF_HEAD not in block:
            if len(block) > _LONGEST_HEAD:
                raise Unusable("a head without end")
            block += await link.receive()
        head, _, rest = block.partition(END_OF_HEAD)
        return parse_head(head), rest

    async def _read_body(
        self, link: DeviceLink, rest: bytes, length: int, progress: _Progress
    ) -> None:
        if len(rest) > length:
            raise Unusable("more bytes than announced")
        piece = rest
        while True:
            if piece:
                self._take(piece, progress)
            if progress.count == length:
                return
            if self._until_cut <= 0:
                self._until_cut = self._draw_cut()
                raise _Cut
            piece = await link.receive(length - progress.count)

    def _take(self, piece: bytes, progress: _Progress) -> None:
        self._flash.write(progress.start + progress.count, piece)
        progress.count += len(piece)
        self._until_cut -= len(piece)
        self._field.tally.received += len(piece)

    async def _wait_as_told(self, head: Head) -> None:
        """Refused for now: come back after Retry-After."""
        self._field.tally.refused += 1
        self._hang_up()
        told = head.headers.get("retry-after", "")
        seconds = float(told) if told.isdecimal() else _BUSY_SECONDS
        await asyncio.sleep(self._rng.uniform(1.0, 1.5) * seconds)

    async def _recover(self) -> None:
        self._hang_up()
        await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        return self._rng.uniform(0.5, 1.5) * self._field.mission.conditions.pause

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.cut()
            self._link = None
            self._field.links -= 1

    def _draw_cut(self) -> float:
        mean = self._field.mission.conditions.cut_every
        return self._rng.expovariate(1 / mean) if mean else float("inf")


class _Cut(Exception):
    """The device's own link fails."""


@dataclass(slots=True)
class _Progress:
    status: int = 0
    start: int = 0
    count: int = 0
    size: int | None = None
