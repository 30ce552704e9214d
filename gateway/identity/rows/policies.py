"""Rows of policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.database.pool import Queries

_FLAGS: Final = ("member", "registrar", "admin")


async def kind_of(queries: Queries, entity: UUID) -> str | None:
    """``things``, ``channels`` or ``groups``, or ``None``; it stays until the transaction ends."""
    kind = await queries.value("kind_of_object", entity)
    return str(kind) if kind else None


async def set_actions(
    queries: Queries,
    kind: str,
    entity: UUID,
    users: Sequence[UUID],
    actions: Sequence[str],
    *,
    granted: bool,
) -> None:
    """Grant the users every action on a thing or channel, or take them all away."""
    verb = "add" if granted else "remove"
    await queries.run(f"{verb}_{kind}_policies", entity, users, actions)


async def set_access(
    queries: Queries, group: UUID, users: Sequence[UUID], *, granted: bool
) -> None:
    """Grant the users every right to the group's things, or take it away."""
    await queries.run(f"{'add' if granted else 'remove'}_group_access", group, users)


async def set_membership(
    queries: Queries, group: UUID, users: Sequence[UUID], *, granted: bool
) -> None:
    """Let the users into the group as viewers, or out of it."""
    await queries.run("join_group" if granted else "leave_group", group, users)


async def set_flag(queries: Queries, flag: str, users: Sequence[UUID], *, granted: bool) -> None:
    """``member``, ``registrar`` or ``admin``, of accounts."""
    assert flag in _FLAGS
    await queries.run(f"set_users_{flag}", users, granted)
