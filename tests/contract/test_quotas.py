"""Quotas, asked of a real PostgreSQL: what is counted is what the rows say, and no limit is passed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.pool import Database, open_database
from gateway.identity.rows.scopes import remove_scope
from gateway.model.digest import Digest
from gateway.model.errors import Conflict, Malformed, NotFound, OverQuota, OverStorage
from gateway.model.file import Blob, Draft, FileName, Scope
from gateway.model.quota import Account, Amounts, Quota, Resource
from gateway.quotas.metered import STEP_BYTES, Metered
from gateway.quotas.port import UNRESERVED_BYTES
from gateway.quotas.reservations import Reservations, open_reservations
from gateway.quotas.rows import quotas as rows
from gateway.quotas.service import Quotas
from tests.tools.deployment import sql_folders
from tests.tools.waiting import until

MiB = 1024 * 1024

# What every account has, derived from the rows of files and blobs alone.
TRUTH = """
with held as (
    select f.kind, f.owner, 1 as files, coalesce(b.size, 0) as bytes
      from files f left join blobs b on b.id = f.blob_id
    union all
    select charged_kind, charged_owner, 0, size from blobs where charged_kind is not null
), paid as (
    select h.*, p.user_id, p.org_id from held h left join payers p using (kind, owner)
)
select kind, owner, sum(files)::bigint as files, sum(bytes)::bigint as bytes from (
    select kind, owner, files, bytes from paid where kind <> 'users'
    union all select 'users', user_id::text, files, bytes from paid where user_id is not null
    union all select 'orgs', org_id::text, files, bytes from paid where org_id is not null) a
 group by kind, owner having sum(files) <> 0 or sum(bytes) <> 0 order by kind, owner
"""
KEPT = """
select kind, owner, sum(files)::bigint as files, sum(bytes)::bigint as bytes from (
    select kind, owner, files, bytes + condemned as bytes from usage where kind <> 'users'
    union all select kind, owner, files, bytes from account_usage) a
 group by kind, owner having sum(files) <> 0 or sum(bytes) <> 0 order by kind, owner
"""


@dataclass
class House:
    """Two users, each with a thing; a group of the first, in an org of the second."""

    database: Database
    connection: asyncpg.Connection
    files: PostgresFiles
    ledger: PostgresBlobLedger
    quotas: Quotas
    users: Sequence[UUID]
    things: list[Scope]
    group: Scope
    org: UUID

    async def limit(self, account: Account, **amounts: int | None) -> None:
        """Set limits by name."""
        wanted: Amounts = {Resource(name): most for name, most in amounts.items()}
        await self.quotas.change(account, wanted, actor="test")

    async def put(self, scope: Scope, name: str, size: int) -> Blob:
        """A file of so many bytes that are nowhere."""
        blob = blob_of(size, scope)
        draft = Draft(scope, name, "application/octet-stream", {})
        await self.files.put(draft, blob, creator="me")
        return blob

    async def sweep(self) -> None:
        """All that is condemned goes."""
        await self.connection.execute(
            "update blobs set condemned_until = now() - interval '1 s' where condemned_until > now()"
        )
        due = await self.ledger.due_garbage(1000)
        await self.ledger.purge([garbage.blob_id for garbage in due])
        await self.ledger.expire()

    async def quota(self, account: Account, resource: Resource = Resource.BYTES) -> Quota:
        """What the account may have and has."""
        return next(q for q in await self.quotas.report(account) if q.resource is resource)

    async def assert_account_is_rows(self) -> None:
        """What is kept is what there is."""
        assert await self.connection.fetch(TRUTH) == await self.connection.fetch(KEPT)
        assert [] == [found async for found in self.ledger.miscounts()]


def blob_of(size: int, scope: Scope) -> Blob:
    blob_id = uuid4()
    return Blob(blob_id, scope, size, Digest(hashlib.sha256(blob_id.bytes).hexdigest()))


def user_account(user: UUID) -> Account:
    return Account("users", str(user))


def account_of(scope: Scope) -> Account:
    return Account(scope.kind, scope.owner)


@pytest.fixture
async def house(database: Database, connection: asyncpg.Connection) -> House:
    users = [uuid4(), uuid4()]
    for user in users:
        await connection.execute(
            "insert into users (id, email, password_hash) values ($1, $2, '')", user, str(user)
        )
    things = [await make_thing(connection, user) for user in users]
    group, org = uuid4(), uuid4()
    await connection.execute(
        "insert into groups (id, owner_id, name) values ($1, $2, '')", group, users[0]
    )
    await connection.execute("insert into scopes values ('groups', $1)", str(group))
    await connection.execute(
        "insert into orgs (id, owner_id, name) values ($1, $2, '')", org, users[1]
    )
    return House(
        database,
        connection,
        PostgresFiles(database, garbage_grace_seconds=3600.0),
        PostgresBlobLedger(database),
        Quotas(database),
        users,
        things,
        Scope("groups", str(group)),
        org,
    )


async def make_thing(
    connection: asyncpg.Connection, user: UUID, thing_id: UUID | None = None
) -> Scope:
    thing = thing_id or uuid4()
    await connection.execute(
        "insert into things (id, owner_id, name, key_digest, key_sealed)"
        " values ($1, $2, '', sha256(uuid_send(gen_random_uuid())), '')",
        thing,
        user,
    )
    await connection.execute("insert into scopes values ('things', $1)", str(thing))
    return Scope("things", str(thing))


async def test_what_is_replaced_and_removed_counts_until_it_is_swept(house: House) -> None:
    """The attack of old: twenty replacements of a file, and the account says one file's bytes."""
    thing, (user, _) = house.things[0], house.users
    await house.limit(user_account(user), bytes=100)
    for n in range(4):
        await house.put(thing, "a", 25)
        assert 25 * (n + 1) == (await house.quota(user_account(user))).used
    with pytest.raises(OverStorage) as refused:
        await house.put(thing, "a", 25)
    assert (0, 75) == (
        (await house.quota(user_account(user))).left,
        (await house.quota(user_account(user))).condemned,
    )
    assert "may have 100 bytes, 0 are left, and this takes 25" in str(refused.value)
    await house.files.remove(FileName(thing, "a"), actor="me")
    assert 100 == (await house.quota(user_account(user))).used
    await house.sweep()
    assert 0 == (await house.quota(user_account(user))).used
    await house.put(thing, "a", 100)
    await house.assert_account_is_rows()


@pytest.mark.parametrize("over", ["thing", "user", "group", "org"])
@pytest.mark.parametrize("resource", ["bytes", "files"])
async def test_a_file_needs_room_in_every_account_that_it_falls_under(
    house: House, over: str, resource: str
) -> None:
    await house.connection.execute(
        "insert into org_groups values ($1, $2)", UUID(house.group.owner), house.org
    )
    scope = house.things[0] if over == "thing" else house.group
    accounts = {
        "thing": account_of(house.things[0]),
        "user": user_account(house.users[0]),
        "group": account_of(house.group),
        "org": Account("orgs", str(house.org)),
    }
    await house.limit(accounts[over], **{resource: 2})
    await house.put(scope, "a", 1)
    await house.put(scope, "b", 1)
    with pytest.raises(OverStorage) as refused:
        await house.put(scope, "c", 1)
    assert (str(accounts[over]), resource) == (refused.value.account, refused.value.resource)
    await house.put(house.things[1], "a", 9)  # whoever else has no limit
    await house.assert_account_is_rows()


async def test_a_file_goes_to_another_owner_only_if_there_is_room(house: House) -> None:
    mine, theirs = house.things
    for user in house.users:
        await house.limit(user_account(user), bytes=10, files=1)
    await house.put(mine, "a", 8)
    record = await house.files.find(mine, "a")
    assert record is not None
    await house.put(theirs, "b", 3)
    with pytest.raises(OverStorage):
        await house.files.transfer(record.id, theirs, actor="me")
    await house.assert_account_is_rows()
    # Between one's own it takes no room: not even when all of it is in use.
    second = await make_thing(house.connection, house.users[0])
    await house.limit(user_account(house.users[0]), bytes=8)
    await house.files.transfer(record.id, second, actor="me")
    await house.assert_account_is_rows()


async def test_a_group_comes_to_an_org_only_if_there_is_room_and_takes_its_files_along(
    house: House,
) -> None:
    account, group = Account("orgs", str(house.org)), UUID(house.group.owner)
    into = "insert into org_groups values ($1, $2)"
    await house.put(house.group, "a", 10)
    await house.limit(account, bytes=9)
    with pytest.raises(asyncpg.PostgresError, match="over quota"):
        await house.connection.execute(into, group, house.org)
    await house.limit(account, bytes=10, groups=0)
    with pytest.raises(asyncpg.PostgresError, match="over quota"):
        await house.connection.execute(into, group, house.org)
    await house.limit(account, groups=1)
    await house.connection.execute(into, group, house.org)
    assert 10 == (await house.quota(account)).used
    await house.assert_account_is_rows()
    await house.connection.execute("delete from org_groups")
    assert 0 == (await house.quota(account)).used
    await house.assert_account_is_rows()


ENTITIES = {
    "things": "insert into things (id, owner_id, name, key_digest, key_sealed)"
    " select gen_random_uuid(), $1, '', sha256(uuid_send(gen_random_uuid())), ''"
    " from generate_series(1, $2)",
    "channels": "insert into channels (id, owner_id, name)"
    " select gen_random_uuid(), $1, '' from generate_series(1, $2)",
    "groups": "insert into groups (id, owner_id, name)"
    " select gen_random_uuid(), $1, '' from generate_series(1, $2)",
    "orgs": "insert into orgs (id, owner_id, name)"
    " select gen_random_uuid(), $1, '' from generate_series(1, $2)",
    "keys": "insert into api_keys (id, user_id, type, issued_at)"
    " select gen_random_uuid(), $1, 2, now() from generate_series(1, $2)",
    "webhooks": "insert into webhooks (id, thing_id, name, url, host, format, messages, files)"
    " select gen_random_uuid(), (select id from things where owner_id = $1 limit 1), '', '', '',"
    " 'json', true, true from generate_series(1, $2)",
}


@pytest.mark.parametrize("resource", ENTITIES)
async def test_so_many_entities_and_not_one_more(
    house: House, database_url: str, resource: str
) -> None:
    """From eight connections at once; what is refused leaves nothing."""
    account = user_account(house.users[0])
    before = (await house.quota(account, Resource(resource))).used
    await house.limit(account, **{resource: before + 5})

    async def make() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            with suppress(asyncpg.PostgresError):
                for _ in range(4):
                    await connection.execute(ENTITIES[resource], house.users[0], 1)
        finally:
            await connection.close()

    await asyncio.gather(*(make() for _ in range(8)))
    assert before + 5 == (await house.quota(account, Resource(resource))).used
    with pytest.raises(asyncpg.PostgresError, match="over quota"):
        await house.connection.execute(ENTITIES[resource], house.users[0], 2)
    assert before + 5 == (await house.quota(account, Resource(resource))).used


@pytest.mark.parametrize(
    ("newcomer", "admin", "own", "expected"),
    [
        pytest.param(False, False, "default", 20, id="whom an administrator made"),
        pytest.param(True, False, "default", 10, id="whoever registered by themselves"),
        pytest.param(True, True, "default", None, id="an administrator has no default"),
        pytest.param(True, False, 30, 30, id="what was set goes before"),
        pytest.param(True, False, None, None, id="that there is no limit can be set"),
    ],
)
async def test_whose_quota_is_what(
    house: House, newcomer: bool, admin: bool, own: int | str | None, expected: int | None
) -> None:
    user = house.users[0]
    await house.quotas.set_defaults(
        {"users": {Resource.BYTES: 20}, "newcomers": {Resource.BYTES: 10}, "orgs": {}}
    )
    await house.connection.execute(
        "update users set newcomer = $2, admin = $3 where id = $1", user, newcomer, admin
    )
    if not isinstance(own, str):
        await house.limit(user_account(user), bytes=own)
    assert expected == (await house.quota(user_account(user))).limit
    await house.quotas.set_defaults({"users": {Resource.FILES: 1}})
    assert (own if not isinstance(own, str) else None) == (
        await house.quota(user_account(user))
    ).limit


async def test_what_is_set_is_noted_and_a_newcomer_may_be_trusted(house: House) -> None:
    user = user_account(house.users[0])
    await house.connection.execute("update users set newcomer = true")
    await house.quotas.change(user, {Resource.FILES: 4}, actor="me")
    said = await house.connection.fetchval("select detail from audit order by id desc limit 1")
    assert json.loads(said) == {"files": 4}
    assert await house.quotas.is_newcomer(user)
    assert not await house.quotas.is_newcomer(Account("orgs", str(house.org)))
    amounts: Amounts = {Resource.FILES: 5, Resource.BYTES: None}
    await house.quotas.change(user, amounts, actor="me", defaults=[Resource.KEYS], trusted=True)
    assert not await house.quotas.is_newcomer(user)
    noted = await house.connection.fetchrow(
        "select event, kind, owner, actor, detail from audit order by id desc limit 1"
    )
    assert noted is not None
    assert tuple(noted)[:4] == ("limited", "users", user.owner, "me")
    detail = {"files": 5, "bytes": "unlimited", "keys": "default", "newcomer": False}
    assert json.loads(noted["detail"]) == detail
    await house.quotas.check(user)
    with pytest.raises(NotFound):
        await house.quotas.check(Account("users", str(uuid4())))


async def test_what_is_not_counted_for_an_account_is_refused(house: House) -> None:
    org = Account("orgs", str(house.org))
    for amounts, defaults in (({Resource.KEYS: 1}, []), ({}, [Resource.KEYS])):
        with pytest.raises(Malformed, match=r"^keys are not limited for orgs$"):
            await house.quotas.change(org, amounts, actor="me", defaults=defaults, trusted=True)


# Reservations.


async def reserve(house: House, scope: Scope, wanted: int, least: int | None = None) -> int | None:
    least = wanted if least is None else least
    return await rows.reserve(house.database, uuid4(), scope, wanted, least, 60.0)


async def test_what_is_reserved_is_room_that_others_have_not(house: House) -> None:
    thing, account = house.things[0], user_account(house.users[0])
    assert await reserve(house, thing, 10**15) is None  # nothing limits it
    await house.limit(account, bytes=100)
    assert 60 == await reserve(house, thing, 60)
    assert 40 == await reserve(house, thing, 60, 30)
    with pytest.raises(OverStorage):
        await reserve(house, thing, 1)
    with pytest.raises(OverStorage):  # nor has a commit
        await house.put(thing, "a", 1)
    assert (0, 100, 0) == (
        (await house.quota(account)).used,
        (await house.quota(account)).reserved,
        (await house.quota(account)).left,
    )


async def test_the_commit_takes_the_place_of_its_reservation(house: House) -> None:
    thing, account = house.things[0], user_account(house.users[0])
    await house.limit(account, bytes=100)
    blob = blob_of(90, thing)
    await rows.reserve(house.database, blob.id, thing, 100, 1, 60.0)
    await house.files.put(Draft(thing, "a", "text/plain", {}), blob, creator="me")
    quota = await house.quota(account)
    assert (90, 0, 10) == (quota.used, quota.reserved, quota.left)


async def test_what_a_dead_gateway_had_reserved_lapses(house: House) -> None:
    thing, account = house.things[0], user_account(house.users[0])
    await house.limit(account, bytes=100)
    living, dead = Reservations(house.database), Reservations(house.database, lease_seconds=0.0)
    blob = uuid4()
    assert 50 == await living.reserve(blob, thing, 50, 50)
    assert 50 == await dead.reserve(uuid4(), thing, 50, 50)
    assert 50 == (await house.quota(account)).left
    await rows.renew(house.database, [blob], 60.0)
    await living.release(blob)
    assert 100 == (await house.quota(account)).left


async def _receive(metered: Metered, expected: int) -> None:
    await metered.expect(expected)
    while True:
        await metered.write(bytes(MiB))


async def test_what_a_living_gateway_reserved_does_not_lapse(house: House) -> None:
    """However long the upload takes."""
    thing, blob = house.things[0], uuid4()
    await house.limit(user_account(house.users[0]), bytes=100)
    until_when = "select max(expires_at) from reservations"
    async with open_reservations(house.database, lease_seconds=0.8) as reservations:
        await reservations.reserve(blob, thing, 50, 50)
        first = await house.connection.fetchval(until_when)

        async def is_renewed() -> bool:
            lives = "select bool_and(expires_at > clock_timestamp()) from reservations"
            assert await house.connection.fetchval(lives), "it lapsed before it was renewed"
            return bool(await house.connection.fetchval(until_when) > first)

        await until(is_renewed)
        await reservations.release(blob)
    assert await house.connection.fetchval(until_when) is None


async def test_what_cannot_be_released_lapses_and_what_cannot_be_renewed_is_tried_again(
    house: House, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    thing, ended, kept = house.things[0], uuid4(), uuid4()
    await house.limit(user_account(house.users[0]), bytes=100)
    until_when = "select expires_at from reservations where id = $1"
    async with (
        open_database(database_url, sql_folders(), connections=1, wait_seconds=1.0) as small,
        open_reservations(small, lease_seconds=0.4) as reservations,
    ):
        for blob in (ended, kept):
            await reservations.reserve(blob, thing, 50, 50)
        async with small.session():  # nobody else gets the only connection
            await reservations.release(ended)
            await until(lambda: "cannot be renewed" in caplog.text)
        first = [await house.connection.fetchval(until_when, blob) for blob in (ended, kept)]

        async def is_renewed() -> bool:
            return bool(await house.connection.fetchval(until_when, kept) > first[1])

        await until(is_renewed)
        assert first[0] == await house.connection.fetchval(until_when, ended)


class Nowhere:
    """A writer that keeps nothing but the number of bytes."""

    def __init__(self) -> None:
        self.blob_id, self.size = uuid4(), 0

    async def write(self, chunk: bytes | memoryview) -> None:
        self.size += len(chunk)

    async def measure(self) -> dict[str, bytes]:
        return {}

    async def seal(self) -> Blob:
        return blob_of(self.size, Scope("things", "t"))

    async def discard(self) -> None:
        self.size = 0


@pytest.mark.parametrize(
    ("expected", "accepted"),
    [
        pytest.param(0, 40 * MiB, id="who does not say how much comes gets it batch by batch"),
        pytest.param(40 * MiB, 40 * MiB, id="who says it fits has it at once"),
        pytest.param(40 * MiB + 60_000, 40 * MiB, id="a form's own bytes need no room"),
        pytest.param(41 * MiB, 0, id="who says too much is not let in"),
    ],
)
async def test_no_byte_is_accepted_that_there_is_no_room_for(
    house: House, expected: int, accepted: int
) -> None:
    thing, account = house.things[0], user_account(house.users[0])
    await house.limit(account, bytes=40 * MiB)
    metered = Metered(Nowhere(), Reservations(house.database), thing)
    with pytest.raises(OverStorage):
        await _receive(metered, expected)
    assert accepted == metered.size
    assert 40 * MiB - (accepted and 40 * MiB) == (await house.quota(account)).left
    await metered.release()
    assert 40 * MiB == (await house.quota(account)).left


async def test_a_small_upload_asks_nothing_before_its_commit(house: House) -> None:
    metered = Metered(Nowhere(), Reservations(house.database), house.things[0])
    await house.limit(user_account(house.users[0]), bytes=0)
    await metered.expect(UNRESERVED_BYTES)
    await metered.write(bytes(UNRESERVED_BYTES))
    assert not metered.is_held
    assert STEP_BYTES > UNRESERVED_BYTES


# Many at once.


@pytest.mark.parametrize(
    ("limit", "size"),
    [
        pytest.param(20 * MiB, MiB // 2, id="near the limit from the start"),
        pytest.param(230 * MiB, MiB, id="first far from it, so that many share the lock"),
    ],
)
async def test_the_sum_never_passes_the_limit_however_many_race(
    house: House, limit: int, size: int
) -> None:
    """Twenty connections put, replace and remove; a watcher sees what is committed meanwhile."""
    thing, account, random = house.things[0], user_account(house.users[0]), Random(1)
    await house.limit(account, bytes=limit)
    refused = 0

    async def upload(n: int) -> None:
        nonlocal refused
        for turn in range(16):
            try:
                await house.put(thing, f"{n}-{random.randrange(3) or turn}", size)
            except OverQuota:
                refused += 1

    async def watch(stop: asyncio.Event) -> int:
        most = 0
        while not stop.is_set():
            held = await house.connection.fetchval("select sum(size) from blobs")
            most = max(most, held or 0)
        return most

    stop = asyncio.Event()
    watching = asyncio.create_task(watch(stop))
    await asyncio.gather(*(upload(n) for n in range(16)))
    stop.set()
    assert limit >= await watching > 0
    assert limit - size < (await house.quota(account)).used <= limit
    assert refused > 0
    await house.assert_account_is_rows()


# Anything, against the rows.


@pytest.mark.parametrize("seed", range(3))
async def test_the_account_is_what_the_rows_say_after_anything(house: House, seed: int) -> None:
    random = Random(seed)
    await house.limit(user_account(house.users[0]), bytes=60, files=6)
    await house.limit(Account("orgs", str(house.org)), bytes=40)
    await house.limit(account_of(house.things[1]), bytes=30)
    refused = 0
    for _ in range(100):
        try:
            with suppress(Conflict, NotFound):
                await _something(house, random)
        except (OverQuota, asyncpg.UnknownPostgresError):  # the second: by the test's own hand
            refused += 1
        await house.assert_account_is_rows()
        for account in (user_account(house.users[0]), Account("orgs", str(house.org))):
            quota = await house.quota(account)
            assert quota.limit is not None
            assert quota.used <= quota.limit
    assert refused > 0
    await house.sweep()
    await house.assert_account_is_rows()


def _something(house: House, random: Random) -> Awaitable[object]:
    scopes = [*house.things, house.group]
    scope, other, name = random.choice(scopes), random.choice(scopes), f"f{random.randrange(3)}"
    group = UUID(house.group.owner)

    async def transfer() -> None:
        record = await house.files.find(scope, name)
        if record is not None:
            await house.files.transfer(record.id, other, actor="me")

    async def remake_thing() -> None:
        place = random.randrange(2)
        thing = house.things[place]
        async with house.database.transaction() as session:
            await remove_scope(session, thing, actor="me", grace_seconds=3600.0)
            await session.connection.execute("delete from things where id = $1", UUID(thing.owner))
        same = UUID(thing.owner) if random.random() < 0.5 else None
        house.things[place] = await make_thing(house.connection, house.users[place], same)

    executed = house.connection.execute
    join = "insert into org_groups values ($1, $2) on conflict do nothing"
    actions: list[Callable[[], Awaitable[object]]] = [
        *[lambda: house.put(scope, name, random.randrange(25))] * 5,
        transfer,
        transfer,
        lambda: house.files.remove(FileName(scope, name), actor="me"),
        lambda: executed(join, group, house.org),
        lambda: executed("delete from org_groups"),
        lambda: executed("update groups set owner_id = $1", random.choice(house.users)),
        remake_thing,
        house.sweep,
    ]
    return random.choice(actions)()


async def test_check_finds_what_is_miscounted_and_repair_counts_again(house: House) -> None:
    thing = house.things[0]
    await house.put(thing, "a", 10)
    await house.put(thing, "a", 5)
    await house.limit(user_account(house.users[0]), bytes=1)  # no reason not to count
    await house.connection.execute("update account_usage set bytes = bytes + 7")
    await house.connection.execute("update usage set condemned = 0 where condemned = 10")
    found = [miscount async for miscount in house.ledger.miscounts()]
    assert {("things", (1, 5, 0), (1, 5, 10)), ("users", (1, 12, 0), (1, 5, 0))} == {
        (m.scope.kind, m.kept, m.counted) for m in found
    }
    for miscount in found:
        await house.ledger.recount(miscount)
    await house.assert_account_is_rows()
    assert (15, 10) == (
        (await house.quota(user_account(house.users[0]))).used,
        (await house.quota(user_account(house.users[0]))).condemned,
    )
