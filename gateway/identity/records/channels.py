"""Channels, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


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
