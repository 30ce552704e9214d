"""What real device clients ask for, one after the other, and how they go on after a cut.

A plan is a generator: it yields an ``Ask`` and is sent the ``Got``. Pure: no socket, no clock.
Each is written after its client's public source, as ``DEVICES`` of the documentation has it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
_RAUC_BLOCK: Final = 128 * KIB
_NRF_BLOCK: Final = 2 * KIB
_ESP_BLOCKS: Final = (4 * KIB, 16 * KIB, 64 * KIB)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``start`` of ``None``: no Range header; ``stop`` is exclusive, ``None``: open.

    ``if_range`` sends the validator of the first answer along.
    """

    start: int | None = None
    stop: int | None = None
    method: str = "GET"
    if_range: bool = False

    @property
    def range_header(self) -> str | None:
        """The Range header's value."""
        if self.start is None:
            return None
        return f"bytes={self.start}-{'' if self.stop is None else self.stop - 1}"


@dataclass(frozen=True, slots=True)
class Got:
    """What came of it: ``count`` bytes from ``start`` on, of a file of ``size``.

    ``status`` 0 and no ``size``: the link was cut before an answer came.
    """

    status: int = 0
    start: int = 0
    count: int = 0
    size: int | None = None


Plan = Generator[Ask, Got, None]


@dataclass(frozen=True, slots=True)
class Profile:
    """A client: its name, its plan, and whether it writes out of order."""

    name: str
    plan: Callable[[random.Random], Plan]
    random_access: bool = False


def whole_file(rng: random.Random) -> Plan:
    """A GET; after a cut, ``bytes=N-``, as curl -C does."""
    del rng
    first = yield from _answered(Ask())
    yield from _resumed(first, lambda offset, _: Ask(offset))


def mender(rng: random.Random) -> Plan:
    """A GET; after a cut, the range with its end spelt out, and no If-Range."""
    del rng
    first = yield from _answered(Ask())
    yield from _resumed(first, Ask)


def swupdate(rng: random.Random) -> Plan:
    """HEAD for the size, then as a whole file."""
    yield from _answered(Ask(method="HEAD"))
    yield from whole_file(rng)


def zephyr(rng: random.Random) -> Plan:
    """A GET; after a cut, ``bytes=N-`` with If-Range; a 200 to that starts over."""
    del rng
    first = yield from _answered(Ask())
    offset, size = first.count, first.size or 0
    while offset < size:
        got = yield Ask(offset, if_range=True)
        offset = got.count if got.status == 200 else offset + got.count


def esp_idf(rng: random.Random) -> Plan:
    """HEAD, then ranges of 4, 16 or 64 KiB in order; the last one is open."""
    head = yield from _answered(Ask(method="HEAD"))
    yield from _in_blocks(head.size or 0, rng.choice(_ESP_BLOCKS), open_end=True)


def nrf(rng: random.Random) -> Plan:
    """Ranges of 2 KiB in order; the first one's end may lie behind the file's."""
    del rng
    first = yield from _answered(Ask(0, _NRF_BLOCK))
    yield from _in_blocks(first.size or 0, _NRF_BLOCK, offset=first.count)


def rauc(rng: random.Random) -> Plan:
    """Four bytes for the size, then blocks of 128 KiB in any order, each asked for until whole."""
    first = yield from _answered(Ask(0, 4))
    size = first.size or 0
    starts = list(range(0, size, _RAUC_BLOCK))
    rng.shuffle(starts)
    for start in starts:
        stop = min(start + _RAUC_BLOCK, size)
        while (yield Ask(start, stop)).count < stop - start:
            pass


PROFILES: Final = {
    profile.name: profile
    for profile in (
        Profile("curl", whole_file),
        Profile("esp-idf", esp_idf),
        Profile("mender", mender),
        Profile("nrf", nrf),
        Profile("rauc", rauc, random_access=True),
        Profile("swupdate", swupdate),
        Profile("zephyr", zephyr),
    )
}


def _answered(ask: Ask) -> Generator[Ask, Got, Got]:
    """Ask until an answer says how large the file is."""
    got = yield ask
    while got.size is None:
        got = yield ask
    return got


def _resumed(first: Got, ask: Callable[[int, int], Ask]) -> Plan:
    offset, size = first.count, first.size or 0
    while offset < size:
        got = yield ask(offset, size)
        offset += got.count


def _in_blocks(size: int, block: int, *, offset: int = 0, open_end: bool = False) -> Plan:
    """Blocks in order; what a cut took is asked for again from where it stopped."""
    while offset < size:
        stop = (offset // block + 1) * block
        got = yield Ask(offset, None if open_end and stop >= size else min(stop, size))
        offset += got.count
