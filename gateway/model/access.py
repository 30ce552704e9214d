"""Who asks for what: the values on which every decision is made.

Does not know how a credential is proved (``identity``) nor where it was found (``web``).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

from gateway.model.file import Scope


class Action(StrEnum):
    """What the auth hook is asked about; replacing a file is creating one."""

    CREATE = "create"
    READ = "read"
    DELETE = "delete"


class PrincipalKind(StrEnum):
    """What sort of caller a credential proves."""

    USER = "user"
    THING = "thing"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key may at most, whatever its user may.

    ``read_only`` changes nothing. With ``group`` or ``thing``, ids of which one is set at most,
    it reaches what belongs to that one alone.
    """

    read_only: bool = False
    group: str = ""
    thing: str = ""

    def reach(self, *, reading: bool, kind: str, entity: str) -> bool:
        """Whether they allow a request that only reads, or not, on that entity of that kind."""
        if self.read_only and not reading:
            return False
        if self.group:
            return (kind, entity) == ("groups", self.group)
        return not self.thing or (kind, entity) == ("things", self.thing)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential has been proved.

    ``id`` is the registry's id of the user or thing; ``role`` is what the auth hook
    is told (``admin``, ``user`` or ``thing`` for our own registry);
    ``allowed_roles`` are all the roles the caller could have chosen; ``number`` is a
    user's id for the APIs that want an integer. ``key_id`` is the API key's, if the
    credential is one; ``valid_until`` is when the credential ends, in Unix seconds. ``owner`` is
    the user whom a thing belongs to: what it takes, they take. ``limits`` are those of the key.
    """

    kind: PrincipalKind
    id: str
    role: str
    allowed_roles: tuple[str, ...] = ()
    email: str = ""
    number: int = 0
    key_id: str = field(default="", compare=False)
    valid_until: float | None = field(default=None, compare=False)
    owner: str = field(default="", compare=False)
    limits: KeyLimits | None = None

    def seconds_left(self, now: float) -> float:
        """How long the credential still holds at ``now``, in Unix seconds."""
        return math.inf if self.valid_until is None else self.valid_until - now

    @property
    def whose(self) -> tuple[str, ...]:
        """Whose rights the caller's own are made of: a thing may end with its owner."""
        return (self.id, self.owner) if self.owner else (self.id,)

    @property
    def is_admin(self) -> bool:
        """Whether the caller administers the whole gateway."""
        return self.role == ADMIN_ROLE


ADMIN_ROLE: Final = "admin"
FRESH_SECONDS: Final = 0.1
"""For how long a right that was proved is not asked about again before a change is committed."""


class GroupRole(Enum):
    """A member's role in a group or org; each includes the ones before it."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3
    OWNER = 4

    def includes(self, other: GroupRole) -> bool:
        """Whether this role grants at least what ``other`` grants."""
        return self.value >= other.value


@dataclass(frozen=True, slots=True)
class Access:
    """One operation on one file (or on a listing, when ``name`` is empty).

    ``proved_at`` is when it was found to be allowed, by ``time.monotonic``. ``also`` are ids of
    whatever else, beside the caller and the scope, a change of rights may name that ends it.
    """

    principal: Principal
    action: Action
    dialect: str
    scope: Scope
    name: str = ""
    authorization: str | None = None
    also: tuple[str, ...] = field(default=(), compare=False)
    proved_at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def is_fresh(self) -> bool:
        """Whether it was found to be allowed so shortly ago that nobody could tell the order."""
        return time.monotonic() - self.proved_at < FRESH_SECONDS
