"""What can be wrong with a blob, and who found it.

Knows no store and no row: these are the words that a look at bytes, the quarantine and a report
have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

from gateway.model.file import Blob, FileName


@unique
class Damage(StrEnum):
    """What is wrong with the bytes of a blob that a row names."""

    MISSING = "missing"
    WRONG_SIZE = "wrong size"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"

    @property
    def is_absence(self) -> bool:
        """Whether a store that is away would look the same."""
        return self in (Damage.MISSING, Damage.UNREADABLE)


@unique
class FoundBy(StrEnum):
    """What was looking when damage was found."""

    SCRUB = "scrub"
    READ = "read"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a blob, and, for an operator, how it shows."""

    damage: Damage
    detail: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A blob that nobody is sent any more, and the file that it is of."""

    blob: Blob
    file: FileName
    fault: Fault
    found_by: FoundBy
    found_at: datetime
