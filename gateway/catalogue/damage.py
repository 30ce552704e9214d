"""The ports to what is known of damage: which blobs are in quarantine, and what was hashed when.

A blob in quarantine is sent to nobody; its row and its bytes stay. It is told of once: to whoever
keeps what is known of the file, to its webhooks and in the audit, in the transaction that puts it
there. It leaves when its bytes were seen to be right, or when no file names it any more.

A scrub hashes every blob once. It is divided into portions, of which each is worked on by whoever
holds its lease; how far a portion was hashed is kept, and another goes on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Protocol
from uuid import UUID

from gateway.model.damage import Fault, FoundBy, Quarantined
from gateway.model.file import Blob, FileName


@unique
class ScrubKind(StrEnum):
    """Who wants every blob hashed: the service, now and then, or somebody at a command line."""

    SERVICE = "service"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class QuarantinePlace:
    """Where a page of the quarantine begins: after what was found then."""

    found_at: datetime
    blob_id: UUID


@dataclass(slots=True)
class Portion:
    """Some of the blobs of a scrub, ours while the ``lease`` is kept; hashed up to ``after``."""

    scrub_id: int
    lease: UUID
    after: UUID
    last: UUID


@dataclass(frozen=True, slots=True)
class ScrubProgress:
    """How far a scrub has come, and whether anybody works on it."""

    ended: bool
    blobs: int
    size: int
    is_worked_on: bool


class Quarantine(Protocol):
    """Blobs that nobody is sent."""

    async def put(self, blob_id: UUID, fault: Fault, found_by: FoundBy) -> FileName | None:
        """Put a live blob there, and tell; the file it is of if it was not there before."""

    async def release(self, blob_id: UUID, found_by: FoundBy) -> FileName | None:
        """Its bytes are right: let it out, and tell; the file it is of if it was there."""

    async def among(self, blob_ids: Collection[UUID]) -> frozenset[UUID]:
        """Which of these blobs are there."""

    async def page(self, after: QuarantinePlace | None, limit: int) -> Sequence[Quarantined]:
        """What is there and of a file, the longest there first."""

    async def count(self) -> int:
        """How many there are, 10,000 at most."""


class ScrubPlan(Protocol):
    """Which blobs were hashed, and who hashes the next."""

    async def is_due(self, days: float) -> bool:
        """Whether no scrub that has ended began within so many days."""

    async def begin(self, kind: ScrubKind) -> int:
        """The id of the scrub of that kind that is under way, a new one if none is."""

    async def claim(self, scrub_id: int, *, most_at_once: int) -> Portion | None:
        """A portion to work on, unless so many are worked on, by whomever; ``None``: not now."""

    async def blobs(self, portion: Portion, limit: int) -> Sequence[Blob]:
        """The next live blobs of the portion, in order of id."""

    async def advance(
        self, portion: Portion, after: UUID, *, blobs: int, size: int, done: bool
    ) -> bool:
        """These were hashed, too, and the lease is kept; ``False`` if it was lost."""

    async def keep(self, portion: Portion) -> bool:
        """Keep the lease; ``False`` if it was lost."""

    async def let_go(self, portion: Portion) -> None:
        """Somebody else may go on."""

    async def progress(self, scrub_id: int) -> ScrubProgress:
        """How far it has come; it is ended by whoever asks when all of it is done."""
