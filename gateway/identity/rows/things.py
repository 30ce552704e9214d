"""Rows of things, and the scopes that hold their files.

An ``owner`` or ``user`` of ``None`` means anybody: the caller administers the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from gateway.database.pool import Queries, Row
from gateway.database.statements import ordered
from gateway.identity.records.paging import EntityListing
from gateway.identity.records.things import Thing
from gateway.identity.rights import Right
from gateway.model.paging import Page


async def add_things(
    queries: Queries, owner: UUID, things: Sequence[Thing], digests: Sequence[bytes]
) -> None:
    """New rows, one per digest of a key. Raises ``Taken`` if an id or key is."""
    # In order of id, so that two batches that share ids wait for each other only one way.
    places = sorted(range(len(things)), key=lambda place: things[place].id)
    ranked = [things[place] for place in places]
    await queries.run(
        "add_things",
        [thing.id for thing in ranked],
        owner,
        [thing.name for thing in ranked],
        [digests[place] for place in places],
        [thing.sealed_key for thing in ranked],
        [thing.metadata for thing in ranked],
        places,
    )


async def find_thing(
    queries: Queries, thing_id: UUID, user: UUID | None, right: Right = Right.READ
) -> Thing | None:
    """The thing of that id, if the user has that right, or ``None``."""
    row = await queries.row("thing_by_id", thing_id, user, str(right))
    return thing_of(row) if row else None


async def find_thing_by_digests(
    queries: Queries, digests: Sequence[bytes]
) -> tuple[Thing, bool] | None:
    """The thing whose key has one of these digests, or ``None``.

    Beside it: whether the key is nothing without a certificate.
    """
    row = await queries.row("thing_by_key_digest", list(digests))
    return (thing_of(row), row["certified"]) if row else None


async def owned_things(
    queries: Queries, ids: Sequence[UUID], owner: UUID | None
) -> frozenset[UUID]:
    """Which of these things the owner has; they stay until the transaction ends."""
    rows = await queries.rows("owned_things", ids, owner)
    return frozenset(row["id"] for row in rows)


async def things_to_change(
    queries: Queries, ids: Sequence[UUID], user: UUID | None
) -> frozenset[UUID]:
    """Which of these things the user may change; they stay until the transaction ends."""
    rows = await queries.rows("things_to_change", ids, user)
    return frozenset(row["id"] for row in rows)


async def list_things(queries: Queries, viewer: UUID | None, listing: EntityListing) -> Page[Thing]:
    """One page."""
    asked = (viewer, listing.name, listing.metadata)
    total = await queries.value("count_things", *asked)
    statement = ordered("list_things", listing.order, descending=listing.descending)
    rows = await queries.rows(statement, *asked, listing.limit, listing.offset)
    return Page(total, [thing_of(row) for row in rows])


async def amend_thing(
    queries: Queries,
    thing_id: UUID,
    user: UUID | None,
    *,
    name: str | None,
    metadata: Mapping[str, Any] | None,
    key: tuple[bytes, bytes] | None,
) -> bool:
    """Change what is not ``None``; ``key`` is its digest and its sealed form.

    Whether there is such a thing that the user may change. Raises ``Taken`` if the key is.
    """
    digest, sealed = key or (None, None)
    return await queries.run("amend_thing", thing_id, user, name, metadata, digest, sealed) == 1


async def remove_thing(queries: Queries, thing_id: UUID, user: UUID | None) -> bool:
    """Remove the row; whether there was one that the user may remove."""
    return await queries.run("remove_thing", thing_id, user) == 1


def thing_of(row: Row) -> Thing:
    """The thing in a row."""
    return Thing(
        id=row["id"],
        owner_id=row["owner_id"],
        name=row["name"],
        metadata=row["metadata"],
        sealed_key=row["key_sealed"],
    )
