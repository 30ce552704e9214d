"""A right that must still be there when what it allows is committed: asked in that transaction.

A body may take hours, and whoever sends it may lose the right meanwhile. So a change that was
allowed a while ago is proved again by whoever commits it: in the transaction of the change, which
holds the rights of ``whose`` still from before the proof until it ends. A change of rights takes
them alone. So it is committed before, and the proof refuses; or it waits, and comes after.

Knows nothing of databases and credentials. The guard goes with the task, and with the tasks that
it starts, so that no rule of any API need be handed a transaction.

Rule: a guard is asked until something was committed under it. After that the change is made, and
may itself have ended the right.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final


class Guard:
    """One right. ``prove`` raises what a caller without it is told.

    ``whose`` are the ids of the users, things, groups ... whose rights it is made of. Unless it
    ``is_due``, it was proved so shortly ago that nobody could tell the order. Of those that are
    ``alike``, and are not ``None``, one proof in a transaction is that of all.
    """

    __slots__ = ("_is_due", "alike", "is_settled", "prove", "whose")

    def __init__(
        self,
        whose: tuple[str, ...],
        prove: Callable[[], Awaitable[None]],
        is_due: Callable[[], bool] = lambda: True,
        alike: Hashable = None,
    ) -> None:
        self.whose = whose
        self.alike = alike
        self.prove = prove
        self.is_settled = False
        self._is_due = is_due

    @property
    def is_due(self) -> bool:
        """Whether it must be asked before something is committed."""
        return not self.is_settled and self._is_due()


_GUARD: Final[ContextVar[Guard | None]] = ContextVar("guard", default=None)


@contextmanager
def guarding(guard: Guard | None) -> Iterator[None]:
    """What is committed in the block is committed under ``guard``, if there is one."""
    token = None if guard is None else _GUARD.set(guard)
    try:
        yield
    finally:
        if token is not None:
            _GUARD.reset(token)


@contextmanager
def unguarded() -> Iterator[None]:
    """What is done in the block is under no guard: a part of a proof itself, or work for many."""
    token = _GUARD.set(None)
    try:
        yield
    finally:
        _GUARD.reset(token)


def guard_from_now_on(guard: Guard) -> None:
    """What this task commits from now on is committed under ``guard``."""
    _GUARD.set(guard)


def present_guard() -> Guard | None:
    """The guard of what this task commits, due or not."""
    return _GUARD.get()


def due_guard() -> Guard | None:
    """The guard that must be asked before something is committed here."""
    guard = _GUARD.get()
    return guard if guard is not None and guard.is_due else None
