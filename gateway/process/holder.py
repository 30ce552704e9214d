"""For whom work is done: what it takes of what all share is counted for them.

A request is its address's until a credential is proved, and its principal's from then on; what
the gateway does of itself is nobody's. It travels with the task, so that a pool far below knows
whom it serves although nobody hands that down.

Rule: who it is decides about turns and shares only, never about rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Holder:
    """Who it is. ``reads`` a file: that is what the gateway is for, and goes first."""

    name: str
    reads: bool = False


HOLDER: Final[ContextVar[Holder | None]] = ContextVar("holder", default=None)


def work_for(name: str) -> None:
    """From now on this task works for ``name``."""
    known = HOLDER.get()
    HOLDER.set(Holder(name) if known is None else replace(known, name=name))


@contextmanager
def reading() -> Iterator[None]:
    """What is done in the block finds out what a reader of a file gets."""
    known = HOLDER.get()
    if known is not None:
        HOLDER.set(replace(known, reads=True))
    try:
        yield
    finally:
        now = HOLDER.get()
        if now is not None:
            HOLDER.set(replace(now, reads=False))
