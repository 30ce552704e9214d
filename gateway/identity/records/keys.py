"""API keys, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from gateway.model.access import KeyLimits


class KeyType(IntEnum):
    """What a key is for. A recovery key proves nothing to the API."""

    LOGIN = 0
    RECOVERY = 1
    API = 2


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """What a new key should be. ``limits`` of ``None`` are those of its user alone."""

    type: KeyType = KeyType.LOGIN
    duration_seconds: int = 0
    label: str = ""
    limits: KeyLimits | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; not the key itself. ``expires_at`` of ``None`` means never.

    ``used_at`` is when it was last used, a minute late at most; ``None`` means never.
    """

    id: UUID
    user_id: UUID
    email: str
    type: KeyType
    issued_at: datetime
    expires_at: datetime | None
    label: str = ""
    limits: KeyLimits | None = None
    used_at: datetime | None = field(default=None, compare=False)
