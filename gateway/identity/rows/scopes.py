"""Scopes: the rows that let a thing or group own files, in its own transaction."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.database.pool import Queries
from gateway.model.file import Scope
from gateway.process.origin import sender_address


async def add_scope(queries: Queries, scope: Scope, *, actor: str) -> None:
    """Let files live in the scope."""
    await queries.run("add_scope", scope.kind, scope.owner)
    await queries.run("note_scope", "created", scope.kind, scope.owner, actor, sender_address())


async def add_scopes(queries: Queries, kind: str, owners: Sequence[str], *, actor: str) -> None:
    """Let files live in the scopes of one kind."""
    await queries.run("add_scopes", kind, owners)
    await queries.run("note_scopes", "created", kind, owners, actor, sender_address())


async def remove_scope(queries: Queries, scope: Scope, *, actor: str, grace_seconds: float) -> None:
    """End the scope: its files' rows go, their blobs are condemned for after the grace.

    The order is the point: first the uploads that are committing are waited for, only then
    are all the rows visible, and while they are there they say which blobs to condemn.
    """
    await queries.row("close_scope", scope.kind, scope.owner)
    await queries.row("hold_scope", scope.kind, scope.owner)
    await queries.run("condemn_scope", scope.kind, scope.owner, grace_seconds)
    await queries.run("remove_scope", scope.kind, scope.owner)
    await queries.run("note_scope", "removed", scope.kind, scope.owner, actor, sender_address())
