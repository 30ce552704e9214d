"""Which page of which entities, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EntityOrder(StrEnum):
    """The orders a listing can have."""

    CREATED = "created"
    NAME = "name"
    ID = "id"


@dataclass(frozen=True, slots=True)
class EntityListing:
    """Which page, in which order, of what. ``limit`` of ``None`` means all.

    ``name`` is a case-insensitive substring (of the e-mail, for users); ``metadata``
    must be contained in the entity's own (as PostgreSQL's ``@>``).
    """

    offset: int = 0
    limit: int | None = 10
    order: EntityOrder = EntityOrder.CREATED
    descending: bool = False
    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
