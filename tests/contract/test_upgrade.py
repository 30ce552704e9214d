"""A database of the release before file records without bytes goes on where it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.catalogue.port import NO_BLOB, Listing, Order
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.migrations import migrate
from gateway.database.pool import open_database
from gateway.identity.records.events import EventQuery
from gateway.identity.rows.events import list_events
from gateway.identity.rows.groups import find_role
from gateway.identity.rows.keys import find_user_by_key
from gateway.identity.rows.scopes import remove_scope
from gateway.identity.rows.users import unverified_users
from gateway.model.access import GroupRole
from gateway.model.digest import Digest
from gateway.model.errors import OverStorage
from gateway.model.file import Blob, Draft, FileName, Scope
from gateway.model.quota import Account, Resource
from gateway.quotas.service import Quotas
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database

MIGRATIONS = Path(__file__).parent.parent.parent / "sql/migrations"
LAST = "0011_webhooks.sql"
OWNER, THING, WEBHOOK = UUID(int=1), UUID(int=2), UUID(int=3)
SCOPE = Scope("things", str(THING))

# The first digits of each file's SHA-256. A database remembers what it has applied, and refuses a
# gateway whose files are others: a released migration is never edited, not even in a comment.
RELEASED = {
    "0001_files.sql": "8e59db55a1bde157",
    "0002_identity.sql": "51f6e426928f1a6d",
    "0003_changes.sql": "876a9d74035b1971",
    "0004_hasura.sql": "71b810ee1ca28669",
    "0005_vacated.sql": "94ac0d81c511afca",
    "0006_channels.sql": "0b7bf604663ae3e7",
    "0007_keys.sql": "012f8d1e99ea9162",
    "0008_orgs.sql": "8344f011393a1752",
    "0009_policies.sql": "cd71e70f4703b3fa",
    "0010_messages.sql": "0f9aa33d641d32c3",
    "0011_webhooks.sql": "9aa5bce30140b119",
}

# What that release wrote for a thing that has a webhook and two files, one of them replaced.
ROWS = f"""
insert into users (id, email, password_hash) values ('{OWNER}', 'one@email.com', 'x');
insert into things (id, owner_id, name, key_digest, key_sealed)
    values ('{THING}', '{OWNER}', 'lamp', sha256('key'), 'sealed');
insert into scopes (kind, owner) values ('things', '{THING}');
insert into webhooks (id, thing_id, name, url, host, format, messages, files)
    values ('{WEBHOOK}', '{THING}', 'hook', 'http://a.example/', 'a.example', 'json', false, true);
insert into blobs (id, kind, owner, size, sha256, condemned_until) values
    ('00000000-0000-0000-0000-00000000000a', 'things', '{THING}', 1, sha256('1'), 'infinity'),
    ('00000000-0000-0000-0000-00000000000b', 'things', '{THING}', 2, sha256('22'), null),
    ('00000000-0000-0000-0000-00000000000c', 'things', '{THING}', 3, sha256('333'), null);
insert into files (id, kind, owner, name, blob_id, content_type, attributes, creator) values
    (gen_random_uuid(), 'things', '{THING}', 'two', '00000000-0000-0000-0000-00000000000b',
     'a/b', '{{"time": 1}}', 'me'),
    (gen_random_uuid(), 'things', '{THING}', 'three', '00000000-0000-0000-0000-00000000000c',
     'a/b', '{{"time": 2}}', 'me');
insert into usage (kind, owner, slice, files, bytes) values ('things', '{THING}', 0, 2, 5);
insert into deliveries (webhook_id, event, body)
    values ('{WEBHOOK}', 'file.uploaded', '{{"event": "uploaded"}}');
"""


async def earlier_database(server: str, last: str, rows: str) -> str:
    """The DSN of a database with the migrations up to ``last``, and what was written then."""
    dsn = await new_database(server)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "create table schema_migrations (name text primary key, checksum text not null,"
            " applied_at timestamptz not null default now())"
        )
        for path in sorted(MIGRATIONS.glob("*.sql")):
            if path.name <= last:
                text = path.read_text(encoding="utf-8")
                checksum = hashlib.sha256(text.encode()).hexdigest()
                await connection.execute(text)
                await connection.execute(
                    "insert into schema_migrations values ($1, $2)", path.name, checksum
                )
        await connection.execute(rows)
    finally:
        await connection.close()
    return dsn


@pytest.fixture
async def earlier(postgres_server: str) -> str:
    """A database that the release of migration 0011 has used."""
    return await earlier_database(postgres_server, LAST, ROWS)


def _blob(content: bytes, scope: Scope = SCOPE) -> Blob:
    return Blob(uuid4(), scope, len(content), Digest(hashlib.sha256(content).hexdigest()))


def test_a_released_migration_is_never_edited() -> None:
    texts = {path.name: path.read_bytes() for path in MIGRATIONS.glob("*.sql")}
    found = {name: hashlib.sha256(text).hexdigest()[:16] for name, text in texts.items()}
    assert RELEASED.items() <= found.items()
    assert LAST == max(RELEASED)


async def test_what_an_earlier_release_wrote_is_found_changed_and_removed(earlier: str) -> None:
    await migrate(earlier, sql_folders())
    async with open_database(earlier, sql_folders(), connections=2) as database:
        files, ledger = (
            PostgresFiles(database, garbage_grace_seconds=1),
            PostgresBlobLedger(database),
        )
        page = await files.list(Listing(SCOPE, order=Order("mainflux/time")))
        assert (2, ["two", "three"]) == (page.total, [record.name for record in page.items])
        two = page.items[0]
        assert (SCOPE, SCOPE, 2) == (two.scope, two.content.scope, two.content.size)
        assert two == await files.find_by_id(two.id) == await ledger.committed(two.content.id)
        new = _blob(b"4444")
        replaced = await files.replace(Draft(SCOPE, "two", "a/b"), new, creator="me")
        assert ({"time": 1}, new) == (replaced.attributes, replaced.blob)
        pending = await files.add(Draft(SCOPE, "later", "a/b"), None, creator="me")
        await files.fill(pending.id, _blob(b"5"), creator="me", expected=NO_BLOB)
        await files.remove(FileName(SCOPE, "three"), actor="me")
        assert 2 == (await files.list(Listing(SCOPE))).total
        async with database.transaction() as session:
            await remove_scope(session, SCOPE, actor="me", grace_seconds=1)
        assert [] == list(await ledger.blobs_after(UUID(int=0), 10))


async def test_what_an_earlier_release_queued_is_still_delivered_with_what_is_queued_now(
    earlier: str,
) -> None:
    await migrate(earlier, sql_folders())
    async with open_database(earlier, sql_folders(), connections=2) as database:
        files = PostgresFiles(database, garbage_grace_seconds=1)
        await files.add(Draft(SCOPE, "new", "a/b"), _blob(b"1"), creator="me")
    connection = await asyncpg.connect(earlier)
    try:
        queued = await connection.fetch("select event from deliveries order by id")
    finally:
        await connection.close()
    assert ["file.uploaded", "files"] == [row["event"] for row in queued]


async def test_accounts_of_before_keep_their_rights(postgres_server: str) -> None:
    """
    They count as having shown their address; the group that a second owner put into an org stays there; an
    account that an older gateway makes beside us does not.
    """
    group, org, key = UUID(int=7), UUID(int=8), UUID(int=9)
    rows = f"""
    insert into users (id, email, password_hash) values ('{OWNER}', 'one@email.com', 'x');
    insert into groups (id, owner_id, name) values ('{group}', '{OWNER}', 'g');
    insert into orgs (id, owner_id, name) values ('{org}', '{OWNER}', 'o');
    insert into org_users (org_id, user_id, role) values ('{org}', '{OWNER}', 4);
    insert into org_groups (group_id, org_id) values ('{group}', '{org}');
    insert into api_keys (id, user_id, type, issued_at) values ('{key}', '{OWNER}', 2, now());
    insert into audit (event, kind, owner, name, actor) values ('created', 'groups', '{group}', '', 'x');
    """
    dsn = await earlier_database(postgres_server, "0017_rights.sql", rows)
    await migrate(dsn, sql_folders())
    async with open_database(dsn, sql_folders()) as database:
        assert frozenset() == await unverified_users(database, [OWNER])
        found = await find_user_by_key(database, key)
        assert (OWNER, None) == (found and found[0].id, found and found[1])
        assert (True, GroupRole.OWNER) == await find_role(database, group, OWNER)
        [event] = (await list_events(database, EventQuery())).events
        assert ("created", None, {}) == (event.event, event.address, event.detail)
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "insert into users (id, email, password_hash) values ($1, 'two@email.com', 'x')", THING
    )
    assert not await connection.fetchval("select verified from users where id = $1", THING)
    await connection.close()


async def test_what_was_there_before_quotas_counts_for_its_owner(earlier: str) -> None:
    """What waits for the sweeper already was never counted, and so is not taken off."""
    await migrate(earlier, sql_folders())
    account = Account("users", str(OWNER))
    async with open_database(earlier, sql_folders(), connections=2) as database:
        quotas, files = Quotas(database), PostgresFiles(database, garbage_grace_seconds=1)
        used = {quota.resource: quota.used for quota in await quotas.report(account)}
        assert (2, 5, 1, 1) == tuple(
            used[resource]
            for resource in (Resource.FILES, Resource.BYTES, Resource.THINGS, Resource.WEBHOOKS)
        )
        assert not await quotas.is_newcomer(account)
        await database.run("purge_blobs", [UUID(int=10)])
        await quotas.change(account, {Resource.BYTES: 8}, actor="me")
        draft = Draft(SCOPE, "four", "a/b", {})
        with pytest.raises(OverStorage):
            await files.add(draft, _blob(b"4444"), creator="me")
        await files.add(draft, _blob(b"333"), creator="me")
        assert [] == [found async for found in PostgresBlobLedger(database).miscounts()]
