"""The port to identity: what web and dialects may ask about callers.

``identity/registry.py`` (PostgreSQL) answers who someone is; ``identity/hook.py`` (HTTP)
answers whether they may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gateway.model.access import Access, GroupRole, Principal
from gateway.model.file import Blob


class Directory(Protocol):
    """Turns credentials into principals and answers what groups grant."""

    async def thing_by_key(self, key: str) -> Principal:
        """The thing whose key this is. Raises ``Forbidden`` for an unknown key."""

    async def user_by_token(self, token: str) -> Principal:
        """The user whose Bearer token this is. Raises ``Unauthenticated`` if it proves nothing."""

    async def group_role(self, user: Principal, group_id: UUID) -> GroupRole:
        """The user's role in a group; an admin of the gateway is an owner everywhere.

        Raises ``NotFound`` for an unknown group and for one the user is not in.
        """

    async def groups_of_thing(self, thing_id: UUID) -> tuple[UUID, ...]:
        """The groups that the thing belongs to, earliest assignment first."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the commit phase of the hook is told: the bytes as they will be stored."""

    blob: Blob
    content_type: str


class AuthHook(Protocol):
    """The deployment's own word on an access."""

    async def authorise(self, access: Access, *, lasting: float = 0.0) -> float:
        """Phase ``authorise``, before a body is read: for how many more seconds the yes holds.

        A remembered yes that holds for less than ``lasting`` is asked for anew.
        Raises ``Denied`` or ``HookUnavailable``.
        """

    async def approve(self, access: Access, sealed: Sealed) -> None:
        """Phase ``commit``, before a row is written. Raises ``Denied`` or ``HookUnavailable``."""
