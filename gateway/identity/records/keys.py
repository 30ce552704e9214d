"""API keys, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID


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
