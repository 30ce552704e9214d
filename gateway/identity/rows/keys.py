"""Rows of the keys that users issue to programs."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.identity.records.keys import ApiKey, KeyType
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.users import User
from gateway.identity.rows.users import user_of
from gateway.model.paging import Page


async def add_key(queries: Queries, key: ApiKey, parent: UUID | None) -> ApiKey:
    """A new row, as it is now: it ends no later than its ``parent``.

    Raises ``Unrelated`` if the parent is gone.
    """
    row = await queries.row(
        "add_key",
        key.id,
        key.user_id,
        parent,
        key.type.value,
        key.issued_at,
        key.expires_at,
    )
    return _key({**cast(Row, row), "email": key.email})


async def find_user_by_key(queries: Queries, key_id: UUID) -> User | None:
    """Whoever issued the key, while it is in force, or ``None``."""
    row = await queries.row("user_by_key", key_id)
    return user_of(row) if row else None


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
    )
