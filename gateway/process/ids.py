"""Random ids, whose randomness is fetched from the kernel for many at a time.

Each fetch lets go of the interpreter, and on an event loop that has to be won back from threads.

Rule: an id is given once. What a process had in hand before it was forked is not its child's.
"""

from __future__ import annotations

import os
from typing import Final
from uuid import UUID

_AT_A_TIME: Final = 256
_BYTES: Final = 16


class _Hand:
    """Randomness that was fetched and not given yet."""

    def __init__(self) -> None:
        self.pid = 0
        self.waiting: list[bytes] = []

    def fill(self, pid: int) -> None:
        """Fetch some, in place of what there is."""
        fetched = os.urandom(_AT_A_TIME * _BYTES)
        starts = range(0, len(fetched), _BYTES)
        self.pid, self.waiting = pid, [fetched[at : at + _BYTES] for at in starts]


_hand: Final = _Hand()


def random_id() -> UUID:
    """A random UUID (RFC 9562, version 4), as ``uuid4`` makes them. For one thread: the loop's."""
    pid = os.getpid()
    if pid != _hand.pid or not _hand.waiting:
        _hand.fill(pid)
    return UUID(bytes=_hand.waiting.pop(), version=4)
