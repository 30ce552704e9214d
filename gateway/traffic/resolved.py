"""Resolved reads, kept for a moment: who asks for what, the row, the open blob.

A device that fetches an image in thousands of small ranges is looked up once a moment, not
thousands of times. Knows nothing of dialects, HTTP or how bytes are stored.

Theory of operation. A read is resolved under a key: everything of the request that decides what
it comes to. Three things race with that: the change of a row or a right (told by ``on_change``,
from this process at once, from others through the database), the loss of that news, and other
requests for the same key.

- While a read is resolved, its ``resolving`` block takes note of every change. What was touched
  meanwhile may have been read before or after the change, so ``keep`` refuses it: it is used
  once, by the request that resolved it, whose reading began before the change did.
- When the news is lost (``on_disconnected``) everything is dropped and nothing is kept; when it is
  back (``on_connected``), reads whose resolving began in between are spoilt as well.
- Whoever asks for a key that is being resolved waits for that (``resolved_by_another``), and then
  looks again: it may not have been kept, and then it resolves for itself.

The blob is opened when the first request needs bytes, and shared: the cache and each request that
found the read hold the reader, and the last one to let go closes it. So a read can be dropped while
it is being sent, and bytes go on flowing from the version that was there when it began.

Rule: what is kept is never older than ``seconds`` nor than its caller's credential is valid,
changes announced meanwhile are not in it, and nothing is kept at all while announcements
cannot be heard. A read that was being resolved while a change was announced is used once
and not kept.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gateway.model.access import Access
from gateway.model.change import Change, FileChanged, RightsChanged
from gateway.model.file import Blob, FileRecord, FrontPlace
from gateway.model.precondition import Validators
from gateway.traffic.cache import BoundedCache, Watch
from gateway.traffic.singleflight import SingleFlight


class Closable(Protocol):
    """Something open."""

    def close(self) -> None:
        """Let go of it. Does not block."""


R = TypeVar("R", bound=Closable)


class SharedReader(Generic[R]):
    """A blob that several requests read: opened when the first needs it, closed by the last.

    Whoever made it holds it.
    """

    __slots__ = ("_opening", "holders", "opened")

    def __init__(self, opened: R | None = None) -> None:
        self.opened = opened
        self.holders = 1
        self._opening: asyncio.Lock | None = None

    async def open(self, opener: Callable[[], Awaitable[R]]) -> R:
        """What ``opener`` opens, once for all holders. Raises what it raises."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.opened is None:
                self.opened = await opener()
        return self.opened

    def hold(self) -> None:
        """One more user of the descriptor."""
        self.holders += 1

    def release(self) -> None:
        """One user fewer."""
        self.holders -= 1
        if self.holders == 0 and self.opened is not None:
            self.opened.close()


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file as it is shown: its blob, its validators, and the headers of it.

    ``lines`` are the headers, rendered.
    """

    blob: Blob
    validators: Validators
    headers: Mapping[str, str]
    lines: bytes


@dataclass(slots=True)
class Resolved(Generic[R]):
    """A read that our own rules allow: the access to ask the hook about, the row, its version.

    ``whose`` are the ids of those whose rights it rests on (``RightsChanged.whose``).
    ``read_id`` tells the caller's reads of this file from all others, without the credential.
    ``place`` is where a front server finds the bytes, once it was looked whether they are there.
    ``seen`` is the loop's time before anything of it was looked up. It is ``plain`` if the path
    and the Authorization header are its whole key, and ranges are taken as everywhere.
    """

    access: Access
    record: FileRecord
    version: Version
    reader: SharedReader[R]
    seen: float
    whose: tuple[str, ...]
    read_id: bytes = b""
    place: FrontPlace | None = None
    plain: bool = False


class ReadCache(Generic[R]):
    """A bounded cache of resolved reads, least recently used out first; a ``ChangeListener``."""

    def __init__(self, *, seconds: float, entries: int) -> None:
        self._seconds = seconds
        self._kept: BoundedCache[Hashable, Resolved[R]] = BoundedCache(entries, dropped=_release)
        self._kept.suspend()
        self._flights: SingleFlight[None] = SingleFlight()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Hashable, *, max_age: float = math.inf) -> Resolved[R] | None:
        """The read kept under ``key``, held for the caller, who releases its reader."""
        resolved = self._kept.find(key)
        if resolved is None or self._kept.now() - resolved.seen > max_age:
            return None
        resolved.reader.hold()
        return resolved

    async def resolved_by_another(self, key: Hashable) -> bool:
        """Wait for whoever is resolving this read; whether somebody was.

        A fleet that asks for one file all at once looks it up once.
        """
        return await self._flights.follow(key)

    @contextmanager
    def resolving(self, key: Hashable) -> Iterator[Watch]:
        """Take note of what is announced while a read is resolved in the block."""
        with self._flights.leading(key), self._kept.watching() as watch:
            yield watch

    def keep(self, key: Hashable, resolved: Resolved[R], watch: Watch) -> None:
        """Keep a read that was resolved under ``watch``, unless that spoilt it."""
        seconds = min(self._seconds, resolved.access.principal.seconds_left(time.time()))
        file = (resolved.record.scope, resolved.record.name)
        expires = resolved.seen + seconds
        tags = (file, *resolved.whose)
        if self._kept.keep(key, resolved, expires=expires, tags=tags, watch=watch):
            resolved.reader.hold()

    def on_change(self, change: Change) -> None:
        """Forget what the change makes stale."""
        if isinstance(change, FileChanged):
            self._kept.forget((change.scope, change.name))
        elif isinstance(change, RightsChanged):
            self._kept.forget_all(change.whose)

    def on_connected(self) -> None:
        """Every change is heard from now on: reads may be kept."""
        self._kept.resume()

    def on_disconnected(self) -> None:
        """Changes may go unheard: forget everything, keep nothing."""
        self._kept.suspend()

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def _release(resolved: Resolved[Any]) -> None:
    resolved.reader.release()
