"""What changes rights is in the audit, in the transaction that makes it so: who, what, from where."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.identity.audit import Audit
from gateway.identity.records.events import AuditEvent, EventQuery
from gateway.identity.records.groups import Candidate
from gateway.identity.records.keys import KeyDraft, KeyType
from gateway.identity.records.orgs import OrgDraft
from gateway.identity.registry import Registry
from gateway.model.access import GroupRole, KeyLimits, Principal
from gateway.model.errors import AccountLocked, Forbidden, GatewayError, Unauthenticated
from gateway.process.origin import SENDER
from tests.identity.conftest import PASSWORD, MakeUser, make_group, make_thing

ADDRESS = "203.0.113.7"


@dataclass(frozen=True)
class World:
    """A user and an administrator of it."""

    registry: Registry
    user: Principal
    admin: Principal


Act = Callable[[World], Awaitable[object]]


@pytest.fixture(autouse=True)
def somewhere() -> Iterator[None]:
    token = SENDER.set(lambda: ADDRESS)
    yield
    SENDER.reset(token)


async def _log_in(w: World) -> None:
    await w.registry.users.log_in(w.user.email, PASSWORD)


async def _fail_to(w: World) -> None:
    with suppress(Unauthenticated):
        await w.registry.users.log_in(w.user.email, "wrong-password")


async def _while_locked(w: World) -> None:
    await w.registry.users.lock(w.admin, UUID(w.user.id), locked=True)
    with suppress(AccountLocked):
        await w.registry.users.log_in(w.user.email, PASSWORD)


async def _log_out(w: World) -> None:
    await w.registry.log_out(await w.registry.users.log_in(w.user.email, PASSWORD))


async def _register(w: World) -> None:
    await w.registry.users.register("new@email.com", PASSWORD, {}, creator=w.admin)


async def _reset(w: World) -> None:
    _, token, _ = await w.registry.recovery.issue(w.admin, w.user.email)
    await w.registry.recovery.reset(token, "battery-staple")


async def _revoke_key(w: World) -> None:
    key, _ = await w.registry.keys.issue(w.user, KeyDraft(KeyType.API, label="ci"))
    await w.registry.keys.revoke(w.admin, key.id)


async def _policies(w: World) -> None:
    await w.registry.policies.add(w.admin, "users", [UUID(w.user.id)], ["create"])
    await w.registry.policies.remove(w.admin, "users", [UUID(w.user.id)], ["create"])


async def _members(w: World) -> None:
    group = await make_group(w.registry, w.admin)
    await w.registry.groups.assign(w.admin, group, [Candidate(id=UUID(w.user.id))])
    await w.registry.groups.unassign(w.admin, group, [UUID(w.user.id)])


async def _org(w: World) -> None:
    org = await w.registry.orgs.create(w.user, OrgDraft("org"))
    await w.registry.orgs.assign(w.user, org, {w.admin.email: GroupRole.VIEWER})
    await w.registry.orgs.unassign(w.user, org, [UUID(w.admin.id)])
    group = await make_group(w.registry, w.user)
    await w.registry.orgs.assign_groups(w.user, org, [group])
    await w.registry.orgs.unassign_groups(w.user, org, [group])
    await w.registry.orgs.remove(w.user, org)


async def _thing_key(w: World) -> None:
    thing = await make_thing(w.registry, w.user)
    await w.registry.things.amend(w.user, thing.id, name="other")  # no key, no row
    await w.registry.things.amend(w.user, thing.id, key="0123456789abcdef" * 2)


async def _invite(w: World) -> None:
    issued = await w.registry.invitations.invite(w.admin, "new@email.com")
    await w.registry.invitations.revoke(w.admin, issued.invitation.id)


DONE: list[tuple[str, Act, list[str]]] = [
    ("log in", _log_in, ["users logged-in user"]),
    ("fail to", _fail_to, ["users login-failed nobody"]),
    ("while locked", _while_locked, ["users disabled admin", "users login-refused nobody"]),
    ("log out", _log_out, ["users logged-in user", "users logged-out user"]),
    ("end sessions", lambda w: w.registry.users.end_sessions(w.user), ["users sessions-ended user"]),
    ("end all", lambda w: w.registry.users.end_all(w.admin, UUID(w.user.id)), ["users all-ended admin"]),
    ("register", _register, ["users registered admin"]),
    ("password", lambda w: w.registry.users.change_password(w.user, PASSWORD, "battery-staple"), ["users password-changed user"]),
    ("reset", _reset, ["users reset-issued admin", "users password-reset user"]),
    ("ask", lambda w: w.registry.recovery.ask(w.user.email), ["users reset-asked nobody"]),
    ("command", lambda w: w.registry.users.reset_password(w.user.email, "battery-staple"), ["users password-reset command"]),
    ("appoint", lambda w: w.registry.users.appoint("new@email.com", PASSWORD), ["users made-admin command"]),
    ("unlock", lambda w: w.registry.users.lock(w.admin, UUID(w.user.id), locked=False), ["users enabled admin"]),
    ("key", _revoke_key, ["keys issued user", "keys revoked admin"]),
    ("policies", _policies, ["policies policy-added admin", "policies policy-removed admin"]),
    ("members", _members, ["groups created admin", "groups assigned admin", "groups unassigned admin"]),
    ("org", _org, ["orgs created user", "orgs assigned user", "orgs unassigned user", "groups created user",
                   "orgs groups-assigned user", "orgs groups-unassigned user", "orgs removed user"]),
    ("thing", _thing_key, ["things created user", "things key-changed user"]),
    ("invite", _invite, ["invitations invited admin", "invitations revoked admin"]),
]  # fmt: skip


async def all_of(registry: Registry) -> list[AuditEvent]:
    async with aclosing(registry.audit.walk()) as events:
        return [event async for event in events]


@pytest.mark.parametrize(("act", "said"), [row[1:] for row in DONE], ids=[row[0] for row in DONE])
async def test_what_is_done_is_in_the_audit(
    registry: Registry, user: MakeUser, admin: Principal, act: Act, said: list[str]
) -> None:
    person = await user("test@email.com")
    await act(World(registry, person, admin))
    names = {person.id: "user", admin.id: "admin", "": "nobody"}
    events = await all_of(registry)
    assert said == [f"{e.kind} {e.event} {names.get(e.actor, e.actor)}" for e in events]
    assert {ADDRESS} == {event.address for event in events}
    assert PASSWORD not in json.dumps([dict(event.detail) for event in events])


REFUSED: list[tuple[str, Act]] = [
    ("lock by a user", lambda w: w.registry.users.lock(w.user, UUID(w.admin.id), locked=True)),
    ("wrong old password", lambda w: w.registry.users.change_password(w.user, "wrong-password", "battery-staple")),
    ("policy of a user", lambda w: w.registry.policies.add(w.user, "users", [UUID(w.user.id)], ["create"])),
    ("no such policy", lambda w: w.registry.policies.add(w.admin, "users\0", [UUID(w.user.id)], ["fly"])),
    ("key of a limited key", lambda w: w.registry.keys.issue(Principal(w.user.kind, w.user.id, "user", limits=KeyLimits(True)), KeyDraft())),
    ("e-mail taken", lambda w: w.registry.users.register(w.user.email, PASSWORD, {})),
    ("invitation of a user", lambda w: w.registry.invitations.invite(w.user, "new@email.com")),
]  # fmt: skip


@pytest.mark.parametrize("act", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_is_refused_is_not(
    registry: Registry, user: MakeUser, admin: Principal, act: Act
) -> None:
    person = await user("test@email.com")
    with pytest.raises(GatewayError):
        await act(World(registry, person, admin))
    assert [] == await all_of(registry)


async def test_there_is_no_change_without_its_row(
    registry: Registry, user: MakeUser, admin: Principal, connection: asyncpg.Connection
) -> None:
    person = await user("test@email.com")
    await connection.execute("alter table audit add constraint broken check (event <> 'disabled')")
    with pytest.raises(asyncpg.CheckViolationError):
        await registry.users.lock(admin, UUID(person.id), locked=True)
    assert not (await registry.users.get(admin, UUID(person.id))).locked


async def test_nobody_fills_the_table_by_failing(
    database: Database, connection: asyncpg.Connection
) -> None:
    """Sixty rows at once, one a minute after that; the next row says how many there were."""
    now = 0.0
    audit = Audit(database, days=0, clock=lambda: now)
    for seconds in (*[0.0] * 100, 60.0):
        now += seconds
        await audit.note_attempt("login-failed", "users", "", actor="", email="a@b.c")
    rows = await connection.fetch("select detail->>'unwritten' as left from audit order by id")
    assert [None] * 60 + ["40"] == [row["left"] for row in rows]


async def test_only_administrators_see_it(registry: Registry, user: MakeUser) -> None:
    with pytest.raises(Forbidden):
        await registry.audit.list(await user("test@email.com"), EventQuery())


async def test_pages_follow_each_other_without_gap_or_overlap(
    registry: Registry, admin: Principal, connection: asyncpg.Connection
) -> None:
    """Rows of one transaction have one time: the id decides."""
    await connection.execute(
        "insert into audit (event, kind, owner, name, actor) "
        "select 'e' || n % 3, 'k', n::text, '', 'a' from generate_series(1, 50) n"
    )
    for wanted, expected in ((None, 50), ("e1", 17)):
        seen, query = list[int](), EventQuery(event=wanted, limit=7)
        while True:
            page = await registry.audit.list(admin, query)
            seen += [event.id for event in page.events]
            if page.following is None:
                break
            query = EventQuery(event=wanted, limit=7, before=page.following)
        assert expected == len(set(seen))
        assert seen == sorted(seen, reverse=True)


async def test_a_page_looks_at_so_many_rows_at_most(
    registry: Registry, admin: Principal, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "insert into audit (event, kind, owner, name, actor) "
        "select case when n = 1 then 'rare' else 'e' end, 'k', '', '', 'a' "
        "from generate_series(1, 20001) n"
    )
    page = await registry.audit.list(admin, EventQuery(event="rare"))
    assert [] == list(page.events)
    assert page.following is not None
    page = await registry.audit.list(admin, EventQuery(event="rare", before=page.following))
    assert ["rare"] == [event.event for event in page.events]
    assert page.following is None


@pytest.mark.parametrize(("days", "left"), [(0, 2), (10, 1)])
async def test_what_is_too_old_goes(
    database: Database, connection: asyncpg.Connection, days: int, left: int
) -> None:
    for age in (0, 11):
        await connection.execute(
            "insert into audit (at, event, kind, owner, name, actor) values ($1, '', '', '', '', '')",
            datetime.now(UTC) - timedelta(days=age),
        )
    await Audit(database, days=days).tidy()
    assert left == await connection.fetchval("select count(*) from audit")
