"""Things, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


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
