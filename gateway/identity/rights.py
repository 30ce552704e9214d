"""Whose rows a caller may touch: the one rule that every service of the registry follows.

Rule: what is not the caller's is answered like what does not exist. An admin of the
gateway owns everything; a thing owns nothing.
"""

from __future__ import annotations

from uuid import UUID

from gateway.model.access import Principal, PrincipalKind
from gateway.model.errors import Forbidden


def user_id(caller: Principal) -> UUID:
    """The id of the calling user. Raises ``Forbidden`` for a caller who is none."""
    if caller.kind is not PrincipalKind.USER:
        raise Forbidden()
    return UUID(caller.id)


def owner_filter(caller: Principal) -> UUID | None:
    """The owner that rows must have to be seen, or ``None`` when any will do."""
    caller_id = user_id(caller)
    return None if caller.is_admin else caller_id
