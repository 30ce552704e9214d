"""Bytes between the event loop, which gathers them, and the thread that hashes and writes them.

Rule: the thread never waits for the loop while there is something to do. A thread that fell
asleep is woken a good while later, which costs more than what it was woken for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from threading import Lock
from typing import Final

_MOST_WAITING: Final = 2
_LARGE_BYTES: Final = 32 * 1024


class Batch:
    """Bytes in few pieces, so that they are hashed and written in few calls.

    Every call that lets go of the interpreter must win it back from the event loop; with small
    chunks as they came, that costs more than gathering them. Large ones are not copied, unless
    ``handover`` is off.
    """

    def __init__(self, *, handover: bool = True) -> None:
        self.size = 0
        self._handover = handover
        self.pieces: list[bytes | bytearray | memoryview] = []
        self._gathered: bytearray | None = None

    def add(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take ``chunk`` in; nobody else changes it from now on."""
        self.size += len(chunk)
        if self._handover and len(chunk) >= _LARGE_BYTES:
            self.pieces.append(chunk)
            self._gathered = None
        elif self._gathered is None:
            self._gathered = bytearray(chunk)
            self.pieces.append(self._gathered)
        else:
            self._gathered += chunk


class Batches:
    """The batches of one upload, in order; made on the loop that puts them in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._waiting: deque[Batch] = deque()
        self._at_work = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, batch: Batch) -> bool:
        """Add ``batch``; whether no thread is at work, so that one must be started."""
        with self._lock:
            self._waiting.append(batch)
            alone, self._at_work = not self._at_work, True
        return alone

    async def room(self) -> None:
        """Wait until another batch may be put in."""
        with self._lock:
            if len(self._waiting) < _MOST_WAITING:
                return
            waiter = self._waiter = self._loop.create_future()
        await waiter

    def take(self) -> Batch | None:
        """In the thread: the next batch; after ``None`` it must not ask again."""
        with self._lock:
            batch = self._waiting.popleft() if self._waiting else None
            self._at_work = batch is not None
            waiter, self._waiter = self._waiter, None
        self._wake(waiter)
        return batch

    def give_up(self) -> None:
        """What waits is dropped: no thread comes for it. The next ``put`` will ask for one."""
        with self._lock:
            self._waiting.clear()
            self._at_work = False
            waiter, self._waiter = self._waiter, None
        self._wake(waiter)

    def _wake(self, waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_wake, waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
