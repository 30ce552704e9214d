"""What the registry keeps, as values: users, things, channels, groups, and pages of them.

Knows no rows, no requests and no rights. A new noun is a new value here, a service
module, a ``postgres_`` module and a file of statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from gateway.model.access import GroupRole

T = TypeVar("T")


class Order(StrEnum):
    """The orders a listing can have."""

    CREATED = "created"
    NAME = "name"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Listing:
    """Which page, in which order, of what. ``limit`` of ``None`` means all.

    ``name`` is a case-insensitive substring (of the e-mail, for users); ``metadata``
    must be contained in the entity's own (as PostgreSQL's ``@>``).
    """

    offset: int = 0
    limit: int | None = 10
    order: Order = Order.CREATED
    descending: bool = False
    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing, and how many entities match in all."""

    total: int
    items: Sequence[T]


@dataclass(frozen=True, slots=True)
class User:
    """An account. ``email`` is in lower case; ``number`` is never another user's.

    Tokens issued under another ``tokens_valid_from`` prove nothing. Who is no ``member`` makes
    nothing; a ``registrar`` makes accounts even where registration is closed.
    """

    id: UUID
    number: int
    email: str
    metadata: Mapping[str, Any]
    admin: bool
    member: bool
    registrar: bool
    password_hash: str = field(repr=False)
    tokens_valid_from: datetime


@dataclass(frozen=True, slots=True)
class Thing:
    """A device. Its key is sealed: ``Things.key_of`` shows it to whoever may see it."""

    id: UUID
    owner_id: UUID
    name: str
    metadata: Mapping[str, Any]
    sealed_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ThingDraft:
    """What a new thing should be; an ``id`` or ``key`` of ``None`` is made up."""

    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: UUID | None = None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Channel:
    """What things are connected to."""

    id: UUID
    owner_id: UUID
    name: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChannelDraft:
    """What a new channel should be; an ``id`` of ``None`` is made up."""

    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: UUID | None = None


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
class GroupDraft:
    """What a new group should be."""

    name: str
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Org:
    """Users with roles, and the groups that belong together."""

    id: UUID
    owner_id: UUID
    name: str
    description: str
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OrgDraft:
    """What a new org should be."""

    name: str
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Member:
    """A thing or a user in a group: exactly one of ``thing`` and ``email`` is set."""

    id: UUID
    thing: Thing | None = None
    email: str | None = None
    role: GroupRole | None = None


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


class KeyType(IntEnum):
    """What a key is for. A recovery key proves nothing to the API."""

    LOGIN = 0
    RECOVERY = 1
    API = 2


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; not the key itself. ``expires_at`` of ``None`` means never."""

    id: UUID
    user_id: UUID
    email: str
    type: KeyType
    issued_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """The first administrator, just created; ``password`` only if we made it up.

    Whoever starts the gateway shows it once and keeps it nowhere.
    """

    email: str
    password: str | None = field(repr=False)
