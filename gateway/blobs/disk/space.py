"""The room on a store's file system: one account of what is free and what is spoken for.

What is free is asked of the file system each time, for others write there, too: the database
above all, which stops when it finds no room. Uploads get what is above a watermark. Who says how
much will come has it promised at once; who does not, is given room for each batch before it is
written. A batch is held against what is really there even if its room was promised, since what
was promised may have gone to somebody who does not ask here.

Knows no names and no uploads. Every process has an account of its own; between them, only
what is written counts.

Rule: no byte is written that the account did not give room for, and whoever was given room gives
back what is left of it, however the upload ends.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final

from gateway.model.errors import StorageFull

_FRESH_SECONDS: Final = 0.1


class Space:
    """The account of one file system, named by the ``folder`` that is open on it. Blocking."""

    def __init__(self, folder: int, *, min_free_bytes: int) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._lock = Lock()
        self._promised = 0
        self._writing = 0

    @property
    def spoken_for(self) -> int:
        """Bytes that are promised or just being written."""
        return self._promised + self._writing

    def free_bytes(self) -> int:
        """What the file system has left for us, whatever was promised of it."""
        space = os.fstatvfs(self._folder)
        return space.f_bavail * space.f_frsize

    def check(self) -> None:
        """Raise ``StorageFull`` below the watermark, whatever was promised."""
        if self._above_watermark() < 0:
            raise StorageFull()

    def promise(self, count: int) -> None:
        """Set ``count`` bytes aside. Raises ``StorageFull`` if they do not fit."""
        with self._lock:
            if self._above_watermark() < self.spoken_for + count:
                raise StorageFull()
            self._promised += count

    def begin(self, count: int, promised: int) -> None:
        """``count`` bytes are about to be written, ``promised`` of which were set aside.

        Raises ``StorageFull`` if they do not fit.
        """
        with self._lock:
            above = self._above_watermark()
            more = count - promised
            if above < self._writing + count or (more and above < self.spoken_for + more):
                raise StorageFull()
            self._promised -= promised
            self._writing += count

    def end(self, count: int) -> None:
        """They were written, or not; the file system knows."""
        with self._lock:
            self._writing -= count

    def give_back(self, count: int) -> None:
        """What was promised is not needed."""
        with self._lock:
            self._promised -= count

    def _above_watermark(self) -> int:
        return _free_bytes(self._folder) - self._min_free_bytes


class Share:
    """What one upload has of the space. One call at a time."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._promised = 0

    def promise(self, count: int) -> None:
        """Set ``count`` bytes aside. Raises ``StorageFull``, for 0 bytes at the watermark, too."""
        self._space.promise(count)
        self._promised += count

    @contextmanager
    def spending(self, count: int) -> Iterator[None]:
        """Within the block ``count`` bytes are written. Raises ``StorageFull``."""
        if not count:
            yield
            return
        promised = min(self._promised, count)
        self._space.begin(count, promised)
        self._promised -= promised
        try:
            yield
        finally:
            self._space.end(count)

    def give_back(self) -> None:
        """No more will be written. Any number of times."""
        left, self._promised = self._promised, 0
        self._space.give_back(left)


class Watermark:
    """Whether the file system of ``folder`` has room for what is no upload: rows, messages.

    It is looked at ten times a second at most, by a thread, however many ask; what they can
    write in that time is small beside what the database needs and the watermark leaves it.
    """

    def __init__(self, folder: Path, *, min_free_bytes: int) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._looked = float("-inf")
        self._is_below = False

    async def check(self) -> None:
        """Raise ``StorageFull`` below the watermark."""
        now = time.monotonic()
        if now - self._looked >= _FRESH_SECONDS:
            self._looked = now
            await asyncio.to_thread(self._look)
        if self._is_below:
            raise StorageFull()

    def _look(self) -> None:
        with suppress(OSError):  # what cannot be asked is as it was; the next write will tell
            self._is_below = _free_bytes(self._folder) < self._min_free_bytes


def _free_bytes(folder: Path | int) -> int:
    found = os.fstatvfs(folder) if isinstance(folder, int) else os.statvfs(folder)
    return found.f_bavail * found.f_frsize
