"""The built-in policies: which role may do what, where no hook decides.

They know roles only, not whose a file is. With a hook none of them is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiohttp import web

from gateway.model.access import ADMIN_ROLE, Action

USER_ROLE: Final = "user"
ANONYMOUS_ROLE: Final = "anonymous"
"""The role of whoever shows no identity at all."""


class Policy(StrEnum):
    """One of the ways to share files, by its name in the settings."""

    ADMIN = "admin"
    PRIVATE = "private"
    PUBLIC = "public"
    READ_ONLY = "read-only"

    @property
    def trusts_users(self) -> bool:
        """Whether every user may write."""
        return USER_ROLE in _RULES[self].writers

    def allows(self, role: str, action: Action) -> bool:
        """Whether that role may do that."""
        rule = _RULES[self]
        if action is Action.READ:
            return rule.readers is None or role in rule.readers
        return role in rule.writers


POLICY: Final[web.AppKey[Policy | None]] = web.AppKey("hasura_policy")
"""The application's policy; ``None`` if the hook decides alone."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """``readers`` of ``None`` are everybody, with or without identity."""

    readers: frozenset[str] | None
    writers: frozenset[str]


_NOBODY: Final[frozenset[str]] = frozenset()
_ADMIN: Final = frozenset({ADMIN_ROLE})
_USERS: Final = frozenset({ADMIN_ROLE, USER_ROLE})
_RULES: Final[Mapping[Policy, _Rule]] = {
    Policy.ADMIN: _Rule(_ADMIN, _ADMIN),
    Policy.PRIVATE: _Rule(_USERS, _USERS),
    Policy.PUBLIC: _Rule(None, _USERS),
    Policy.READ_ONLY: _Rule(None, _NOBODY),
}
