"""Quotas as values: whose, of what, how much; and how they are written.

Knows no rows and nobody's rights. Amounts are counts, those of bytes are bytes.

Rule: ``None`` as an amount is no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final


@unique
class Resource(StrEnum):
    """What there can be too much of. Messages and their bytes: of one day, in UTC."""

    BYTES = "bytes"
    FILES = "files"
    THINGS = "things"
    CHANNELS = "channels"
    GROUPS = "groups"
    ORGS = "orgs"
    WEBHOOKS = "webhooks"
    KEYS = "keys"
    MESSAGES = "messages"
    MESSAGE_BYTES = "message_bytes"

    @property
    def is_size(self) -> bool:
        """Whether its amounts are bytes."""
        return self in (Resource.BYTES, Resource.MESSAGE_BYTES)

    @property
    def is_daily(self) -> bool:
        """Whether it begins anew every day."""
        return self in (Resource.MESSAGES, Resource.MESSAGE_BYTES)


USERS: Final = "users"
NEWCOMERS: Final = "newcomers"
_STORED: Final = (Resource.BYTES, Resource.FILES)
_SENT: Final = (Resource.MESSAGES, Resource.MESSAGE_BYTES)
_OF_KIND: Final[Mapping[str, tuple[Resource, ...]]] = {
    USERS: tuple(Resource),
    "things": (*_STORED, Resource.WEBHOOKS, *_SENT),
    "groups": (*_STORED, Resource.THINGS),
    "orgs": (*_STORED, Resource.GROUPS),
}

Amounts = Mapping[Resource, int | None]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose quota it is: a user, an org, or a scope that files live in."""

    kind: str
    owner: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.owner}"

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What is counted for it."""
        return _OF_KIND.get(self.kind, _STORED)


def resources_of_class(name: str) -> tuple[Resource, ...]:
    """What there can be a default of, for those of one class."""
    return _OF_KIND[USERS if name == NEWCOMERS else name]


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account may have of something, and has.

    ``reserved`` is promised to uploads under way. ``condemned`` is a part of ``used``: bytes of
    replaced and removed files, which count until they are swept.
    """

    resource: Resource
    limit: int | None
    used: int
    reserved: int = 0
    condemned: int = 0

    @property
    def left(self) -> int | None:
        """How much more there may be."""
        return None if self.limit is None else max(0, self.limit - self.used - self.reserved)
