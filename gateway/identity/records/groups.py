"""Groups and their members, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from gateway.identity.records.things import Thing
from gateway.model.access import GroupRole


@dataclass(frozen=True, slots=True)
class Group:
    """Things and users who share files. ``path`` is the ids from the tree's root to it."""

    id: UUID
    owner_id: UUID
    name: str
    description: str
    metadata: Mapping[str, Any]
    parent_id: UUID | None
    path: tuple[UUID, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A group that somebody is in; ``number`` is never another group's."""

    id: UUID
    number: int
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class GroupDraft:
    """What a new group should be."""

    name: str
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A thing or a user in a group: exactly one of ``thing`` and ``email`` is set.

    Who is ``pending`` has the role once they show that the e-mail is theirs. ``org_id`` is the org
    whose owner somebody is, and therefore of its groups.
    """

    id: UUID
    thing: Thing | None = None
    email: str | None = None
    role: GroupRole | None = None
    pending: bool = False
    org_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Whom to put into a group: a thing or user by ``id``, or a user by ``email``.

    ``role`` is a user's and is ignored for a thing.
    """

    id: UUID | None = None
    email: str | None = None
    role: GroupRole = GroupRole.VIEWER


class MemberKind(StrEnum):
    """Which members of a group are listed."""

    ALL = ""
    THINGS = "things"
    USERS = "users"
