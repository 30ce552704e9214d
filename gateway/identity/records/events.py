"""What happened, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """``event`` happened to what is named ``owner`` among the ``kind``, or to its file ``name``.

    ``actor`` is a user's or thing's id, ``command``, or empty if nobody had proved to be anybody.
    """

    id: int
    at: datetime
    event: str
    kind: str
    owner: str
    name: str
    blob_id: UUID | None
    actor: str
    address: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where a page ends: the next one begins with what happened before."""

    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events: all that is given must agree. ``limit`` is how many, at most."""

    since: datetime | None = None
    before: EventPlace | None = None
    event: str | None = None
    kind: str | None = None
    owner: str | None = None
    actor: str | None = None
    address: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class EventPage:
    """What was found, newest first, and where to go on; ``None`` at the end."""

    events: Sequence[AuditEvent]
    following: EventPlace | None
