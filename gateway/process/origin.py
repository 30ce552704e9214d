"""Where the work that is under way comes from: the address of whoever sent its request.

Known to whoever writes down what happened, and handed through no function between. The middleware
says it once a request; it is worked out only when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final


def _nowhere() -> str | None:
    """Work that no request asked for: a command, a sweep."""
    return None


SENDER: Final[ContextVar[Callable[[], str | None]]] = ContextVar("sender", default=_nowhere)


def sender_address() -> str | None:
    """The address, as a trusted proxy names it or as we see it; ``None`` if there is none."""
    return SENDER.get()() or None
