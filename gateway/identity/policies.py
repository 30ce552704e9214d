"""Policies: what an administrator grants to users, one predefined word at a time.

| Object | Policy | Grants |
|---|---|---|
| ``authorities`` | member | administrates the gateway |
| ``users`` | member | may make things, channels, groups and orgs; everybody has it at first |
| ``users`` or ``user`` | create | may make accounts where registration is closed |
| a thing or channel | read, write, delete | may see, change, remove it |
| a group | member | is a viewer of the group |
| a group | access | may see, change and remove the things in it |

Rule: all of a request's policies are granted or taken away, or none. The gateway always has
an administrator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.database.events import note
from gateway.database.pool import Database, Queries
from gateway.identity.rights import check_admin
from gateway.identity.rows import policies as rows
from gateway.identity.rows.groups import unassign_things_of
from gateway.identity.rows.users import find_users, has_admin
from gateway.model.access import Principal
from gateway.model.errors import Forbidden, Malformed, NotFound

_ACTIONS: Final = frozenset({"read", "write", "delete"})
_GROUP: Final = frozenset({"member", "access"})
_KINDS: Final = {"things": _ACTIONS, "channels": _ACTIONS, "groups": _GROUP}
_FLAGS: Final = {
    ("authorities", "member"): "admin",
    ("users", "member"): "member",
    ("users", "create"): "registrar",
    ("user", "create"): "registrar",
}


class Policies:
    """What administrators granted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, caller: Principal, target: str, subjects: Sequence[UUID], actions: Sequence[str]
    ) -> None:
        """Grant; what is granted already stays so.

        Raises ``Malformed`` for a policy that is not predefined and ``NotFound`` for a
        subject or object that does not exist.
        """
        await self._set(caller, target, subjects, actions, granted=True)

    async def remove(
        self, caller: Principal, target: str, subjects: Sequence[UUID], actions: Sequence[str]
    ) -> None:
        """Take away; what was not granted is no error. Raises as ``add``.

        ``Forbidden`` if the gateway would have no administrator.
        """
        await self._set(caller, target, subjects, actions, granted=False)

    async def _set(
        self,
        caller: Principal,
        target: str,
        subjects: Sequence[UUID],
        actions: Sequence[str],
        *,
        granted: bool,
    ) -> None:
        check_admin(caller)
        async with self._database.transaction() as session:
            await _check_users(session, subjects)
            if any(name == target for name, _ in _FLAGS):
                await _set_flags(session, target, subjects, actions, granted=granted)
            else:
                await _set_rights(session, _entity(target), subjects, actions, granted=granted)
            await _note(session, caller, target, subjects, actions, granted=granted)


async def _note(
    session: Queries,
    caller: Principal,
    target: str,
    subjects: Sequence[UUID],
    actions: Sequence[str],
    *,
    granted: bool,
) -> None:
    event = "policy-added" if granted else "policy-removed"
    detail = {"subjects": [str(subject) for subject in subjects], "policies": list(actions)}
    await note(session, event, "policies", target, actor=caller.id, detail=detail)


async def _set_flags(
    queries: Queries,
    target: str,
    subjects: Sequence[UUID],
    actions: Sequence[str],
    *,
    granted: bool,
) -> None:
    for action in actions:
        flag = _FLAGS.get((target, action))
        if flag is None:
            raise Malformed("no such policy is predefined")
        if flag == "admin":
            await queries.row("wait_for_first_admin")
        await rows.set_flag(queries, flag, subjects, granted=granted)
    if not await has_admin(queries):
        raise Forbidden()


async def _set_rights(
    queries: Queries,
    entity: UUID,
    subjects: Sequence[UUID],
    actions: Sequence[str],
    *,
    granted: bool,
) -> None:
    kind = await rows.kind_of(queries, entity)
    if kind is None:
        raise NotFound()
    if not _KINDS[kind].issuperset(actions):
        raise Malformed("no such policy is predefined")
    if kind != "groups":
        await rows.set_actions(queries, kind, entity, subjects, actions, granted=granted)
        return
    if "access" in actions:
        await rows.set_access(queries, entity, subjects, granted=granted)
    if "member" in actions:
        await rows.set_membership(queries, entity, subjects, granted=granted)
        if not granted:
            await unassign_things_of(queries, entity, subjects)


async def _check_users(queries: Queries, subjects: Sequence[UUID]) -> None:
    known, _ = await find_users(queries, subjects, [])
    if known.keys() != set(subjects):
        raise NotFound()


def _entity(target: str) -> UUID:
    try:
        return UUID(target)
    except ValueError as exc:
        raise NotFound() from exc
