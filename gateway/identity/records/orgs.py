"""Orgs, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Org:
    """Users with roles, and the groups that belong together."""

    id: UUID
    owner_id: UUID
    name: str
    description: str
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OrgDraft:
    """What a new org should be."""

    name: str
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
