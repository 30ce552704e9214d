"""Rows of the keys that users issue to programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.identity.records.keys import ApiKey, KeyType
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import User
from gateway.identity.rows.users import user_of
from gateway.model.access import KeyLimits
from gateway.model.paging import Page


async def add_key(queries: Queries, key: ApiKey, parent: UUID | None) -> ApiKey:
    """A new row, as it is now: it ends no later than its ``parent``.

    Raises ``Unrelated`` if the parent is gone, or the group or thing that it is limited to.
    """
    limits = key.limits or KeyLimits()
    row = await queries.row(
        "add_key",
        key.id,
        key.user_id,
        parent,
        key.type.value,
        key.issued_at,
        key.expires_at,
        key.label,
        limits.read_only,
        UUID(limits.group) if limits.group else None,
        UUID(limits.thing) if limits.thing else None,
    )
    return _key({**cast(Row, row), "email": key.email})


async def find_user_by_key(queries: Queries, key_id: UUID) -> tuple[User, KeyLimits | None] | None:
    """Whoever issued the key, and its limits, while it is in force; or ``None``."""
    row = await queries.row("user_by_key", key_id)
    return (user_of(row), _limits(row)) if row else None


async def find_key(queries: Queries, key_id: UUID, owner: UUID | None) -> ApiKey | None:
    """The key of that id, in force or not, or ``None``."""
    row = await queries.row("key_by_id", key_id, owner)
    return _key(row) if row else None


async def list_keys(queries: Queries, owner: UUID, listing: EntityListing) -> Page[ApiKey]:
    """A page of the user's keys, in order of issue."""
    total = await queries.value("count_keys", owner)
    rows = await queries.rows("list_keys", owner, listing.limit, listing.offset)
    return Page(total, [_key(row) for row in rows])


async def remove_key(queries: Queries, key_id: UUID, owner: UUID | None) -> bool:
    """Remove the row, and those of keys issued with it; whether there was one."""
    return await queries.run("remove_key", key_id, owner) == 1


async def remove_keys(queries: Queries, owner: UUID) -> int:
    """Remove all of the user's rows; how many there were."""
    return await queries.run("remove_keys", owner)


async def note_key_uses(queries: Queries, uses: Mapping[UUID, datetime]) -> None:
    """When these keys were last used, as far as they are there."""
    await queries.run("note_key_uses", list(uses), list(uses.values()))


async def forget_old_keys(queries: Queries, owner: UUID) -> None:
    """Remove the user's rows that nobody could have used for a month."""
    await queries.run("forget_old_keys", owner)


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        user_id=row["user_id"],
        email=row["email"],
        type=KeyType(row["type"]),
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
        label=row["label"],
        limits=_limits(row),
        used_at=row["used_at"],
    )


def _limits(row: Row) -> KeyLimits | None:
    group, thing = (str(row[name] or "") for name in ("group_id", "thing_id"))
    limits = KeyLimits(row["read_only"], group, thing)
    return None if limits == KeyLimits() else limits
