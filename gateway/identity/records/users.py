"""Users, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class User:
    """An account. ``email`` is in lower case; ``number`` is never another user's.

    Tokens issued under another ``tokens_valid_from`` prove nothing. Who is no ``member`` makes
    nothing; a ``registrar`` makes accounts even where registration is closed. Who is ``locked``
    proves nothing by any credential.
    """

    id: UUID
    number: int
    email: str
    metadata: Mapping[str, Any]
    admin: bool
    member: bool
    registrar: bool
    locked: bool
    password_hash: str = field(repr=False)
    tokens_valid_from: datetime


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """The first administrator, just created; ``password`` only if we made it up.

    Whoever starts the gateway shows it once and keeps it nowhere.
    """

    email: str
    password: str | None = field(repr=False)
