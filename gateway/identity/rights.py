"""Whose rows a caller may touch: the one rule that every service of the registry follows.

Rule: what the caller may not see is refused like what does not exist; what they may see
but not change, with ``Forbidden``. An admin of the gateway owns everything; a thing owns
nothing. What roles and policies add to ownership is in the database (``thing_grants``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Final, TypeVar
from uuid import UUID

from gateway.model.access import GroupRole, Principal, PrincipalKind
from gateway.model.errors import Forbidden, NotFound

T = TypeVar("T")

GUEST_ROLE: Final = "guest"
REGISTRAR_ROLE: Final = "registrar"


class Right(StrEnum):
    """What may be done with a thing or channel."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


def user_id(caller: Principal) -> UUID:
    """The id of the calling user. Raises ``Forbidden`` for a caller who is none."""
    if caller.kind is not PrincipalKind.USER:
        raise Forbidden()
    return UUID(caller.id)


def maker_id(caller: Principal) -> UUID:
    """The id of a calling user who may make something. Raises ``Forbidden``."""
    if caller.role == GUEST_ROLE:
        raise Forbidden()
    return user_id(caller)


def owner_filter(caller: Principal) -> UUID | None:
    """The owner that rows must have to be seen, or ``None`` when any will do."""
    caller_id = user_id(caller)
    return None if caller.is_admin else caller_id


def check_admin(caller: Principal) -> None:
    """Raise ``Forbidden`` unless the caller administers the gateway."""
    if not caller.is_admin:
        raise Forbidden()


async def find_permitted(right: Right, find: Callable[[Right], Awaitable[T | None]]) -> T:
    """What ``find`` finds with that right.

    Raises ``Forbidden`` if it finds it with the right to read only, ``NotFound`` if not even so.
    """
    found = await find(right)
    if found is None:
        raise Forbidden() if await find(Right.READ) is not None else NotFound()
    return found


def role_of_caller(caller: Principal, *, exists: bool, role: GroupRole | None) -> GroupRole:
    """The caller's role in a group or org that ``exists``; ``role`` is what its rows give.

    Raises ``NotFound`` for a caller without any.
    """
    if exists and caller.is_admin:
        return GroupRole.OWNER
    if role is None:
        raise NotFound()
    return role


def check_ranks(own: GroupRole, roles: Iterable[GroupRole]) -> None:
    """Raise ``Forbidden`` if one of ``roles``, to be given or taken, is above the caller's own."""
    if not all(own.includes(role) for role in roles):
        raise Forbidden()
