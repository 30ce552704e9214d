"""A right is proved in the transaction that it allows: what takes it away is before that, or after it.

A commit under a guard and a change of the rights that it rests on meet in either order, for every
table that rights are made of. Whoever is later waits for the other, so no change is made on the
strength of a right that was said to have gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import pytest

from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.pool import Database, Session
from gateway.model.errors import Forbidden
from gateway.model.file import Draft, Scope
from gateway.model.guard import Guard, guarding

HERE = Scope("things", "t1")
USER, THING, GROUP, ORG, KEY = (UUID(int=n) for n in range(1, 6))
TOKEN, APPLICATION = "a" * 24, "b" * 24
PATIENCE = 10.0

MADE = f"""
insert into scopes (kind, owner) values ('things', 't1');
insert into users (id, email, password_hash) values ('{USER}', 'u', '');
insert into things (id, owner_id, name, key_digest, key_sealed)
values ('{THING}', '{USER}', 't', decode(repeat('00', 32), 'hex'), '');
insert into groups (id, owner_id, name) values ('{GROUP}', '{USER}', 'g');
insert into group_things (group_id, thing_id) values ('{GROUP}', '{THING}');
insert into group_users (group_id, user_id, role) values ('{GROUP}', '{USER}', 2);
insert into api_keys (id, user_id, type, issued_at) values ('{KEY}', '{USER}', 2, now());
insert into thing_certificates (id, thing_id, subject, alone, confirmed)
values ('{KEY}', '{THING}', 'CN=t', true, true);
insert into orgs (id, owner_id, name) values ('{ORG}', '{USER}', 'o');
insert into org_users (org_id, user_id, role) values ('{ORG}', '{USER}', 4);
insert into org_groups (org_id, group_id) values ('{ORG}', '{GROUP}');
insert into losant_applications (id, user_id, name) values ('{APPLICATION}', '{USER}', 'a');
insert into losant_tokens (id, application, digest, name, description, scopes, creator_id,
                           creator_type)
values ('{TOKEN}', '{APPLICATION}', decode(repeat('00', 32), 'hex'), '', '', '{{}}', '', '')
"""

TAKING_AWAY = [
    pytest.param(USER, "update users set locked = true", id="an account is locked"),
    pytest.param(USER, "update users set tokens_valid_from = now()", id="log-ins end"),
    pytest.param(USER, "delete from api_keys", id="a key is revoked"),
    pytest.param(
        USER, f"select alter_rights(array['{USER}'])", id="one log-in ends, as end_token says"
    ),
    pytest.param(USER, "delete from group_users", id="out of a group"),
    pytest.param(USER, "update group_users set role = 1", id="a lower role"),
    pytest.param(USER, "delete from groups", id="a group goes, with its members"),
    pytest.param(USER, "update org_users set role = 1", id="no owner of the org any more"),
    pytest.param(USER, "delete from orgs", id="an org goes, with its members"),
    pytest.param(GROUP, "delete from org_groups", id="a group is taken out of an org"),
    pytest.param(USER, "delete from org_groups", id="whoever owns the org loses the group"),
    pytest.param(THING, "update things set key_sealed = 'x'", id="another key of a thing"),
    pytest.param(THING, "delete from things", id="a thing goes"),
    pytest.param(THING, "delete from thing_certificates", id="a certificate is unbound"),
    pytest.param(TOKEN, "update losant_tokens set active = false", id="a token of an application"),
    pytest.param(TOKEN, "delete from losant_applications", id="an application goes"),
    pytest.param(
        "anybody",
        "select alter_rights(array(select n::text from generate_series(1, 100) n))",
        id="more at once than have locks of their own",
    ),
]


@dataclass
class Right:
    """A right that can be taken away, and a proof of it that can be held up."""

    has_gone: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def prove(self) -> None:
        self.asked.set()
        await self.may_end.wait()
        if self.has_gone:
            raise Forbidden()


@pytest.fixture
async def files(database: Database, connection: asyncpg.Connection) -> PostgresFiles:
    await connection.execute(MADE)
    return PostgresFiles(database, garbage_grace_seconds=0)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database_url)
    yield opened
    await opened.close()


async def add_under(files: PostgresFiles, right: Right, whose: object) -> None:
    with guarding(Guard((str(whose),), right.prove)):
        await files.add(Draft(HERE, "a.bin", "text/plain", {}), None, creator="me")


async def backend_of(session: Session) -> int:
    return int(await session.connection.fetchval("select pg_backend_pid()"))


async def is_waiting(watcher: asyncpg.Connection, statement: str) -> None:
    """Until somebody waits for a lock with that statement."""
    asked = (
        "select true from pg_stat_activity where wait_event_type = 'Lock' "
        "and datname = current_database() and strpos(query, $1) > 0"
    )
    async with asyncio.timeout(PATIENCE):
        while not await watcher.fetchval(asked, statement):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("whose", "change"), TAKING_AWAY)
async def test_who_takes_a_right_away_waits_for_what_was_proved_by_it(
    files: PostgresFiles,
    connection: asyncpg.Connection,
    other: asyncpg.Connection,
    whose: object,
    change: str,
) -> None:
    right = Right()
    adding = asyncio.create_task(add_under(files, right, whose))
    await right.asked.wait()
    taking = asyncio.create_task(other.execute(change))
    await is_waiting(connection, change)
    assert not taking.done()
    right.may_end.set()
    await adding
    await taking
    assert await files.find(HERE, "a.bin") is not None


@pytest.mark.parametrize(("whose", "change"), TAKING_AWAY)
async def test_what_is_to_be_allowed_waits_for_who_takes_the_right_away(
    files: PostgresFiles,
    connection: asyncpg.Connection,
    other: asyncpg.Connection,
    whose: object,
    change: str,
) -> None:
    right = Right()
    right.may_end.set()
    async with other.transaction():
        await other.execute(change)
        adding = asyncio.create_task(add_under(files, right, whose))
        await is_waiting(connection, "rights/")
        assert not right.asked.is_set()
        right.has_gone = True
    with pytest.raises(Forbidden):
        await adding
    assert await files.find(HERE, "a.bin") is None


async def test_a_proof_is_asked_in_the_transaction_until_something_was_committed(
    files: PostgresFiles, database: Database
) -> None:
    backends: list[int] = []

    async def prove() -> None:
        async with database.session() as session:
            backends.append(await backend_of(session))

    guard = Guard((str(USER),), prove)
    with guarding(guard):
        assert await database.value("any_admin") is False
        backends.clear()
        async with database.transaction() as session:
            assert backends == [await backend_of(session)]
        await files.add(Draft(HERE, "a.bin", "text/plain", {}), None, creator="me")
    assert len(backends) == 1
    assert guard.is_settled


async def test_what_is_fresh_is_not_asked(files: PostgresFiles) -> None:
    right = Right(has_gone=True)
    with guarding(Guard((str(USER),), right.prove, lambda: False)):
        await files.add(Draft(HERE, "a.bin", "text/plain", {}), None, creator="me")
    assert not right.asked.is_set()
