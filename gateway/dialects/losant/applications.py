"""Applications: who has which, and what becomes of their files.

An application is its user's, or an org's; there the role decides:

| Role | May |
|---|---|
| viewer | see the application, read its files |
| editor | write its files |
| admin | see and change its tokens, remove it |
| owner | the same |

An admin of the gateway is an owner everywhere; an application's own token may what its scopes say.

Rule: a caller without any role gets ``NotFound``, one whose role is too low ``Forbidden``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.database.pool import Database, Queries, Row
from gateway.database.statements import ordered
from gateway.dialects.losant.ids import new_id, uuids_of
from gateway.dialects.losant.records import Application, ScopedCaller, scope_of
from gateway.identity.orgs import Orgs
from gateway.identity.rights import maker_id, user_id
from gateway.identity.rows.scopes import add_scope, remove_scope
from gateway.model.access import GroupRole, PrincipalKind
from gateway.model.errors import Forbidden, NotFound
from gateway.model.paging import Page

_NO_APPLICATION: Final = "Application was not found"


@dataclass(frozen=True, slots=True)
class PageWanted:
    """A page of a list; ``name`` is a pattern of SQL's ``like``, or ``None``."""

    order: str
    descending: bool
    limit: int
    offset: int
    name: str | None = None


class Applications:
    """The applications. The bytes of a removed one's files may go ``grace_seconds`` later."""

    def __init__(self, database: Database, orgs: Orgs, *, grace_seconds: float) -> None:
        self._database = database
        self._orgs = orgs
        self._grace_seconds = grace_seconds

    async def create(
        self, caller: ScopedCaller, name: str, description: str, org: str | None
    ) -> Application:
        """A new one, of the caller or of that org. Raises ``NotFound``, ``Forbidden``."""
        owner, application = maker_id(caller), new_id()
        org_id = None if org is None else await self._org(caller, org)
        async with self._database.transaction() as session:
            row = await session.row(
                "losant/add_application",
                application,
                None if org_id else owner,
                org_id,
                name,
                description,
            )
            await add_scope(session, scope_of(application), actor=caller.id)
        assert row is not None, "insert returning yields a row or raises"
        return application_of(row)

    async def find(self, caller: ScopedCaller, wanted: str, needed: GroupRole) -> Application:
        """One that the caller has that role in. Raises ``NotFound``, ``Forbidden``."""
        return await _find(self._database, caller, wanted, needed)

    async def list(
        self, caller: ScopedCaller, page: PageWanted, *, org: str | None = None, own: bool = False
    ) -> Page[Application]:
        """Those that the caller may see, or of these those of that org, or just their ``own``."""
        org_id = None if org is None else await self._org(caller, org, GroupRole.VIEWER)
        matching = (user_id(caller), caller.is_admin, org_id, own, page.name)
        statement = ordered(
            "losant/list_applications", f"losant/{page.order}", descending=page.descending
        )
        async with self._database.session() as session:
            total = await session.value("losant/count_applications", *matching)
            rows = await session.rows(statement, *matching, page.limit, page.offset)
        return Page(total, [application_of(row) for row in rows])

    async def remove(self, caller: ScopedCaller, wanted: str) -> None:
        """Remove one with its tokens and files. Raises ``NotFound``, ``Forbidden``."""
        async with self._database.transaction() as session:
            await _find(session, caller, wanted, GroupRole.ADMIN)
            await session.rows("losant/take_rights", wanted)
            await remove_scope(
                session, scope_of(wanted), actor=caller.id, grace_seconds=self._grace_seconds
            )
            if not await session.run("losant/remove_application", wanted):
                raise NotFound(_NO_APPLICATION)

    async def _org(
        self, caller: ScopedCaller, wanted: str, needed: GroupRole = GroupRole.ADMIN
    ) -> UUID:
        org_id = await self._database.value("losant/org_between", *uuids_of(wanted))
        if org_id is None:
            raise NotFound("Organization was not found")
        await self._orgs.check_role(caller, org_id, needed)
        return UUID(str(org_id))


async def _find(
    queries: Queries, caller: ScopedCaller, wanted: str, needed: GroupRole
) -> Application:
    of_token = caller.kind is PrincipalKind.APPLICATION
    if of_token and caller.application != wanted:
        raise NotFound(_NO_APPLICATION)
    asking = None if of_token else user_id(caller)
    row = await queries.row("losant/find_application", wanted, asking, of_token or caller.is_admin)
    if row is None or row["role"] is None:
        raise NotFound(_NO_APPLICATION)
    if not GroupRole(row["role"]).includes(needed):
        raise Forbidden("the role in the organization does not allow this request")
    return application_of(row)


def application_of(row: Row) -> Application:
    """The application in a row."""
    return Application(
        id=row["id"],
        user_id=row["user_id"],
        org_id=row["org_id"],
        name=row["name"],
        description=row["description"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
