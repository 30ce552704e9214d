"""One bounded memory: what is kept until it is old, stale, or the least recently used of too many.

Knows time, order and what was forgotten. Does not know what is kept, nor who announces changes.

Rule: what is found is neither expired nor made before a change that was forgotten for.

Theory of operation. Making a value takes time, and what it is made from may change meanwhile.
So whoever makes one does it in a block of ``watching`` and hands the watch to ``keep``: every
``forget`` and ``clear`` that comes before ``keep`` is written into each open watch, and a value
whose watch says that it may be stale is not kept. Its maker may still use it once: it was right
when it was asked for. ``suspend`` is for the time in which changes cannot be heard: everything is
forgotten and nothing kept until ``resume``. A value that leaves, for whatever reason, is handed
to ``dropped``, which may close what it holds.

A value may carry tags: ``forget`` drops all that carry one. All of this runs on the event loop
and never awaits, so nothing happens between two lines of it.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Watch:
    """What was forgotten since the watch began."""

    __slots__ = ("_everything", "_tags")

    def __init__(self) -> None:
        self._everything = False
        self._tags: set[Hashable] = set()

    def note(self, tag: Hashable) -> None:
        """What carries the tag was forgotten."""
        self._tags.add(tag)

    def note_everything(self) -> None:
        """Everything was forgotten."""
        self._everything = True

    def spoils(self, tags: Collection[Hashable]) -> bool:
        """Whether a value with these tags, made since, may be of before the change."""
        return self._everything or not self._tags.isdisjoint(tags)


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    expires: float
    tags: Collection[Hashable]


class BoundedCache(Generic[K, V]):
    """At most ``entries`` values (``None``: as many as have not expired), by key.

    ``clock`` counts the seconds that ``expires`` is said in. ``dropped`` is told of each value
    that leaves.
    """

    def __init__(
        self,
        entries: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        dropped: Callable[[V], None] | None = None,
    ) -> None:
        self._entries = math.inf if entries is None else entries
        self._clock = clock
        self._dropped = dropped
        self._kept: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._tagged: dict[Hashable, set[K]] = {}
        self._watches: set[Watch] = set()
        self._suspended = False

    def __len__(self) -> int:
        return len(self._kept)

    def now(self) -> float:
        """The time, for ``expires``."""
        return self._clock()

    def find(self, key: K) -> V | None:
        """The value, which becomes the most recently used; an expired one is dropped."""
        entry = self._kept.get(key)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            self.drop(key)
            return None
        self._kept.move_to_end(key)
        return entry.value

    def seconds_left(self, key: K) -> float:
        """For how much longer the value is kept; zero if there is none."""
        entry = self._kept.get(key)
        return 0.0 if entry is None else max(0.0, entry.expires - self._clock())

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Take note of what is forgotten while a value is made in the block."""
        watch = Watch()
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def keep(
        self,
        key: K,
        value: V,
        *,
        expires: float = math.inf,
        tags: Collection[Hashable] = (),
        watch: Watch | None = None,
    ) -> bool:
        """Keep the value in place of an earlier one, and say whether it is kept.

        It is not if it has expired, if its watch spoils it, or while the cache is suspended.
        """
        self.drop(key)
        spoilt = watch is not None and watch.spoils(tags)
        if spoilt or self._suspended or self._entries < 1 or expires <= self._clock():
            return False
        while len(self._kept) >= self._entries:
            self.drop(next(iter(self._kept)))
        self._kept[key] = _Entry(value, expires, tags)
        for tag in tags:
            self._tagged.setdefault(tag, set()).add(key)
        return True

    def take(self, key: K) -> V | None:
        """The value, expired or not, handed over: it is kept no longer, and not dropped."""
        entry = self._kept.pop(key, None)
        if entry is None:
            return None
        self._untag(key, entry)
        return entry.value

    def drop(self, key: K) -> None:
        """Let go of one value, if there is one."""
        value = self.take(key)
        if value is not None and self._dropped is not None:
            self._dropped(value)

    def drop_expired(self) -> None:
        """Let go of the oldest values as far as they have expired."""
        now = self._clock()
        while self._kept and next(iter(self._kept.values())).expires <= now:
            self.drop(next(iter(self._kept)))

    def forget(self, tag: Hashable) -> None:
        """A change: drop what carries the tag, kept or being made."""
        for watch in self._watches:
            watch.note(tag)
        for key in list(self._tagged.get(tag, ())):
            self.drop(key)

    def forget_all(self, tags: Iterable[Hashable] | None) -> None:
        """A change of all of these, or of nobody knows what (``None``)."""
        if tags is None:
            self.clear()
            return
        for tag in tags:
            self.forget(tag)

    def clear(self) -> None:
        """A change of anything: drop everything, kept or being made."""
        for watch in self._watches:
            watch.note_everything()
        for key in list(self._kept):
            self.drop(key)

    def suspend(self) -> None:
        """Changes cannot be heard: drop everything, keep nothing."""
        self._suspended = True
        self.clear()

    def resume(self) -> None:
        """Every change is heard from now on; what was being made before is not kept."""
        self.clear()
        self._suspended = False

    def _untag(self, key: K, entry: _Entry[V]) -> None:
        for tag in entry.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]
