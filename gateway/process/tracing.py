"""Traces: what was done for a request, and when, told to whoever the deployment names.

Off unless it names somebody (``otel.py`` beside has that one): then nothing of it is there, and
what is asked here is answered by looking at one name.

Knows W3C's trace context (``traceparent``) as a header that comes and goes. Does not know who
is told, nor how.

Rule: a trace changes nothing. Whoever is traced neither waits for who is told, nor fails with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import Final, Protocol

Value = str | int
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_UNTRACED: Final = nullcontext(None)
CONTEXT_HEADERS: Final = ("traceparent", "tracestate")


class TracedWork(Protocol):
    """A piece of work, under way."""

    def rename(self, name: str) -> None:
        """What it turned out to be."""

    def note(self, **attributes: Value) -> None:
        """What is known of it by now; two underscores are a dot of the name."""

    def fail(self, why: str) -> None:
        """It did not succeed."""


class Tracer(Protocol):
    """Who is told."""

    def serving(self, name: str, given: Mapping[str, str]) -> AbstractContextManager[TracedWork]:
        """A request that is being answered; ``given`` is the trace context that it came with."""

    def asking(self, name: str) -> AbstractContextManager[TracedWork]:
        """A request of ours, within what is under way."""

    def served(self, name: str, seconds: float, attributes: Mapping[str, Value]) -> None:
        """A request was answered, and took so long until now."""

    def context(self) -> Mapping[str, str]:
        """The headers by which another takes part in the trace."""


class _Listener:
    """Who is told in this process."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None


_told: Final = _Listener()


@contextmanager
def telling(tracer: Tracer) -> Iterator[None]:
    """Tell ``tracer`` of all that this process does within the block."""
    _told.tracer = tracer
    try:
        yield
    finally:
        _told.tracer = None


def tracer() -> Tracer | None:
    """Who is told; ``None``: nobody."""
    return _told.tracer


def asking(name: str) -> AbstractContextManager[TracedWork | None]:
    """Within the block we ask somebody else."""
    return _UNTRACED if _told.tracer is None else _told.tracer.asking(name)


def context() -> Mapping[str, str]:
    """The headers by which whom we ask takes part in the trace."""
    return NOTHING if _told.tracer is None else _told.tracer.context()
