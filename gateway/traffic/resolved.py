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
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from gateway.model.access import Access
from gateway.model.change import Change, FileChanged, RightsChanged
from gateway.model.file import Blob, FileRecord, Scope
from gateway.model.precondition import Validators

FileKey = tuple[Scope, str]


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

    ``read_id`` tells the caller's reads of this file from all others, without the credential.
    ``seen`` is the loop's time before anything of it was looked up. It is ``plain`` if the path
    and the Authorization header are its whole key, and ranges are taken as everywhere.
    """

    access: Access
    record: FileRecord
    version: Version
    reader: SharedReader[R]
    seen: float
    read_id: bytes = b""
    expires: float = 0.0
    plain: bool = False


@dataclass(slots=True)
class _Resolving:
    """What was announced while a read was being resolved."""

    everything: bool = False
    files: set[FileKey] = field(default_factory=set)

    def spoils(self, record: FileRecord) -> bool:
        return self.everything or (record.scope, record.name) in self.files


class ReadCache(Generic[R]):
    """A bounded cache of resolved reads, least recently used out first; a ``ChangeListener``."""

    def __init__(self, *, seconds: float, entries: int) -> None:
        self._seconds = seconds
        self._capacity = entries
        self._kept: OrderedDict[Hashable, Resolved[R]] = OrderedDict()
        self._keys_of: dict[FileKey, set[Hashable]] = {}
        self._watches: dict[int, _Resolving] = {}
        self._next_watch = 0
        self._under_way: dict[Hashable, asyncio.Future[None]] = {}
        self._hearing = False

    def find(self, key: Hashable, *, max_age: float = math.inf) -> Resolved[R] | None:
        """The read kept under ``key``, held for the caller, who releases its reader."""
        resolved = self._kept.get(key)
        if resolved is None:
            return None
        now = asyncio.get_running_loop().time()
        if resolved.expires < now:
            self._drop(key)
            return None
        if now - resolved.seen > max_age:
            return None
        self._kept.move_to_end(key)
        resolved.reader.hold()
        return resolved

    async def resolved_by_another(self, key: Hashable) -> bool:
        """Wait for whoever is resolving this read; whether somebody was.

        A fleet that asks for one file all at once looks it up once.
        """
        under_way = self._under_way.get(key)
        if under_way is None:
            return False
        await asyncio.shield(under_way)
        return True

    @contextmanager
    def resolving(self, key: Hashable) -> Iterator[_Resolving]:
        """Take note of what is announced while a read is resolved in the block."""
        self._next_watch += 1
        watch, number = _Resolving(), self._next_watch
        self._watches[number] = watch
        landed = self._under_way.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            yield watch
        finally:
            del self._watches[number]
            if not landed.done():
                landed.set_result(None)
            if self._under_way.get(key) is landed:
                del self._under_way[key]

    def keep(self, key: Hashable, resolved: Resolved[R], watch: _Resolving) -> None:
        """Keep a read that was resolved under ``watch``, unless that spoilt it."""
        seconds = min(self._seconds, resolved.access.principal.seconds_left(time.time()))
        if not self._hearing or seconds <= 0 or watch.spoils(resolved.record):
            return
        self._drop(key)
        while len(self._kept) >= self._capacity:
            self._drop(next(iter(self._kept)))
        resolved.expires = resolved.seen + seconds
        resolved.reader.hold()
        self._kept[key] = resolved
        self._keys_of.setdefault(_file_of(resolved), set()).add(key)

    def on_change(self, change: Change) -> None:
        """Forget what the change makes stale."""
        if isinstance(change, FileChanged):
            self._forget_file((change.scope, change.name))
        elif isinstance(change, RightsChanged):
            self.clear()

    def on_connected(self) -> None:
        """Every change is heard from now on: reads may be kept."""
        self.clear()
        self._hearing = True

    def on_disconnected(self) -> None:
        """Changes may go unheard: forget everything, keep nothing."""
        self._hearing = False
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        for watch in self._watches.values():
            watch.everything = True
        for key in list(self._kept):
            self._drop(key)

    def _forget_file(self, file: FileKey) -> None:
        for watch in self._watches.values():
            watch.files.add(file)
        for key in list(self._keys_of.get(file, ())):
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        resolved = self._kept.pop(key, None)
        if resolved is None:
            return
        keys = self._keys_of[_file_of(resolved)]
        keys.discard(key)
        if not keys:
            del self._keys_of[_file_of(resolved)]
        resolved.reader.release()


def _file_of(resolved: Resolved[R]) -> FileKey:
    return resolved.record.scope, resolved.record.name
