"""What the catalogue promises (``gateway.catalogue.port``), asked of it on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.catalogue.port import BY_NAME, NO_BLOB, Garbage, Listing, Order
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.database.changes import CHANNEL, parse_change
from gateway.database.pool import Database, open_database
from gateway.database.statements import SqlFolder, ordered, read_statements
from gateway.identity.rows.scopes import remove_scope
from gateway.model.change import Change, FileChanged
from gateway.model.digest import Digest
from gateway.model.errors import (
    CatalogueUnavailable,
    Conflict,
    Failure,
    NotFound,
    PreconditionFailed,
)
from gateway.model.file import Blob, Draft, FileName, FileRecord, Scope
from tests.tools.deployment import sql_folders

SCOPE = Scope("things", "t1")
OTHER = Scope("groups", "g1")
GRACE_SECONDS = 3600.0
BY_TIME, BY_CLASS, BY_FORMAT = (Order(f"mainflux/{key}") for key in ("time", "class", "format"))
ORDERS = (BY_TIME, BY_NAME, BY_CLASS, BY_FORMAT)


@pytest.fixture
async def catalogue(database: Database) -> PostgresFiles:
    for scope in (SCOPE, OTHER):
        await database.run("add_scope", scope.kind, scope.owner)
    return PostgresFiles(database, garbage_grace_seconds=GRACE_SECONDS)


@pytest.fixture
def ledger(database: Database) -> PostgresBlobLedger:
    return PostgresBlobLedger(database)


def blob_of(content: bytes = b"bytes", scope: Scope = SCOPE) -> Blob:
    return Blob(uuid4(), scope, len(content), Digest(hashlib.sha256(content).hexdigest()))


def draft_of(
    name: str = "a.bin", scope: Scope = SCOPE, attributes: Mapping[str, Any] | None = None
) -> Draft:
    return Draft(scope, name, "application/octet-stream", attributes or {})


async def add(
    catalogue: PostgresFiles,
    name: str = "a.bin",
    content: bytes = b"bytes",
    attributes: Mapping[str, Any] | None = None,
) -> FileRecord:
    draft = draft_of(name, attributes=attributes)
    return await catalogue.add(draft, blob_of(content), creator="me")


async def is_condemned(connection: asyncpg.Connection, blob_id: UUID) -> bool:
    return bool(
        await connection.fetchval(
            "select condemned_until is not null from blobs where id = $1", blob_id
        )
    )


async def assert_counters_tell_the_truth(connection: asyncpg.Connection) -> None:
    counted = await connection.fetch(
        "select kind, owner, sum(files)::bigint as files, sum(bytes)::bigint as bytes"
        " from usage group by kind, owner having sum(files) <> 0 or sum(bytes) <> 0"
        " order by kind, owner"
    )
    real = await connection.fetch(
        "select kind, owner, count(*) as files, coalesce(sum(size), 0)::bigint as bytes"
        " from file_rows group by kind, owner order by kind, owner"
    )
    assert [tuple(row) for row in real] == [tuple(row) for row in counted]


async def audited(connection: asyncpg.Connection) -> list[str]:
    events = await connection.fetch("select event from audit order by id")
    return [row["event"] for row in events]


# One change at a time.


async def test_an_added_file_is_found_as_it_was_returned(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger
) -> None:
    added = await add(
        catalogue, "ünïcode 名.bin", b"12345", {"time": 1.5, "metadata": {"k": [1, None]}}
    )
    assert added == await catalogue.find(SCOPE, "ünïcode 名.bin")
    assert added == await ledger.committed(added.content.id)
    assert await catalogue.find(OTHER, "ünïcode 名.bin") is None
    assert (5, "me") == (added.content.size, added.creator)


async def test_a_taken_name_is_a_conflict_and_changes_nothing(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, connection: asyncpg.Connection
) -> None:
    first, late = await add(catalogue), blob_of(b"late")
    with pytest.raises(Conflict):
        await catalogue.add(draft_of(), late, creator="you")
    assert first == await catalogue.find(SCOPE, "a.bin")
    assert frozenset() == await ledger.which_exist([late.id])
    await assert_counters_tell_the_truth(connection)


async def test_names_differ_by_case_and_by_scope(catalogue: PostgresFiles) -> None:
    await add(catalogue, "a.bin")
    await add(catalogue, "A.bin")
    await catalogue.add(draft_of("a.bin", OTHER), blob_of(scope=OTHER), creator="me")


async def test_a_file_needs_a_scope_that_exists(catalogue: PostgresFiles) -> None:
    gone = Scope("things", "gone")
    with pytest.raises(NotFound):
        await catalogue.add(draft_of(scope=gone), blob_of(scope=gone), creator="me")


async def test_replacing_keeps_the_file_and_condemns_its_old_blob(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    old = await add(catalogue, attributes={"time": 1.0, "metadata": {"k": 1}})
    new = blob_of(b"longer than before")
    replaced = await catalogue.replace(draft_of(attributes={"time": 2.0}), new, creator="you")
    assert (old.id, old.created_at, new) == (replaced.id, replaced.created_at, replaced.blob)
    assert {"time": 2.0, "metadata": {"k": 1}} == replaced.attributes
    assert replaced == await catalogue.find(SCOPE, "a.bin")
    assert await is_condemned(connection, old.content.id)
    assert not await is_condemned(connection, new.id)
    await assert_counters_tell_the_truth(connection)


async def test_what_is_not_there_cannot_be_replaced_amended_or_removed(
    catalogue: PostgresFiles,
) -> None:
    with pytest.raises(NotFound):
        await catalogue.replace(draft_of(), blob_of(), creator="me")
    with pytest.raises(NotFound):
        await catalogue.amend(FileName(SCOPE, "a.bin"), {"k": 1}, actor="me")
    with pytest.raises(NotFound):
        await catalogue.remove(FileName(SCOPE, "a.bin"), actor="me")


async def test_put_adds_and_then_replaces(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    first = await catalogue.put(draft_of(), blob_of(b"1"), creator="me")
    second = await catalogue.put(draft_of(), blob_of(b"22"), creator="me")
    assert first.id == second.id
    assert second == await catalogue.find(SCOPE, "a.bin")
    assert await is_condemned(connection, first.content.id)
    await assert_counters_tell_the_truth(connection)


async def test_amending_merges_attributes_and_leaves_bytes_and_their_date(
    catalogue: PostgresFiles,
) -> None:
    old = await add(catalogue, attributes={"time": 1.0, "metadata": {"k": 1}})
    amended = await catalogue.amend(FileName(SCOPE, "a.bin"), {"metadata": {"j": 2}}, actor="me")
    assert {"time": 1.0, "metadata": {"j": 2}} == amended.attributes
    assert (old.blob, old.modified_at) == (amended.blob, amended.modified_at)
    assert old.updated_at < amended.updated_at


async def test_a_removed_file_is_gone_and_its_blob_condemned(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, connection: asyncpg.Connection
) -> None:
    record = await add(catalogue)
    await catalogue.remove(FileName(SCOPE, "a.bin"), actor="me")
    assert await catalogue.find(SCOPE, "a.bin") is None
    assert await ledger.committed(record.content.id) is None
    assert await is_condemned(connection, record.content.id)
    await assert_counters_tell_the_truth(connection)


async def test_only_the_expected_bytes_are_changed(catalogue: PostgresFiles) -> None:
    current, stale = await add(catalogue), uuid4()
    with pytest.raises(PreconditionFailed):
        await catalogue.replace(draft_of(), blob_of(), creator="me", expected=stale)
    with pytest.raises(PreconditionFailed):
        await catalogue.put(draft_of(), blob_of(), creator="me", expected=stale)
    with pytest.raises(PreconditionFailed):
        await catalogue.amend(FileName(SCOPE, "a.bin"), {"k": 1}, actor="me", expected=stale)
    with pytest.raises(PreconditionFailed):
        await catalogue.remove(FileName(SCOPE, "a.bin"), actor="me", expected=stale)
    assert current == await catalogue.find(SCOPE, "a.bin")
    expected = current.content.id
    replaced = await catalogue.replace(draft_of(), blob_of(), creator="me", expected=expected)
    await catalogue.remove(FileName(SCOPE, "a.bin"), actor="me", expected=replaced.content.id)


async def test_a_put_that_expects_bytes_does_not_create(catalogue: PostgresFiles) -> None:
    with pytest.raises(NotFound):
        await catalogue.put(draft_of(), blob_of(), creator="me", expected=uuid4())


async def test_every_change_of_bytes_is_in_the_audit(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    one = await add(catalogue)
    two = await catalogue.replace(draft_of(), blob_of(), creator="you")
    await catalogue.remove(FileName(SCOPE, "a.bin"), actor="they")
    events = await connection.fetch("select event, blob_id, actor from audit order by id")
    assert [
        ("created", one.content.id, "me"),
        ("replaced", two.content.id, "you"),
        ("removed", two.content.id, "they"),
    ] == [tuple(event) for event in events]


# Dates.


async def test_each_replacement_is_a_whole_second_later(catalogue: PostgresFiles) -> None:
    dates = [(await add(catalogue)).modified_at]
    for _ in range(5):
        record = await catalogue.replace(draft_of(), blob_of(), creator="me")
        dates.append(record.modified_at)
    seconds = [int(date.timestamp()) for date in dates]
    assert sorted(set(seconds)) == seconds


async def test_a_name_that_comes_back_is_a_whole_second_later(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger
) -> None:
    seconds = []
    for _ in range(4):
        record = await add(catalogue)
        assert record == await catalogue.find(SCOPE, "a.bin")
        seconds.append(int(record.modified_at.timestamp()))
        await catalogue.remove(FileName(SCOPE, "a.bin"), actor="me")
    await ledger.expire()
    assert sorted(set(seconds)) == seconds


async def test_a_name_that_comes_back_while_it_is_being_removed_is_later_too(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    """The new file's insert waits for the removal, with a snapshot from before it."""
    old = await add(catalogue)
    gone = "delete from files where id = $1 returning kind, owner, name, modified_at"
    async with connection.transaction():
        await connection.execute(
            f"with gone as ({gone}) insert into vacated (kind, owner, name, modified_at)"
            " select * from gone",
            old.id,
        )
        adding = asyncio.create_task(add(catalogue))
        while not await connection.fetchval(
            "select exists (select from pg_stat_activity"
            " where wait_event_type = 'Lock' and datname = current_database())"
        ):
            await asyncio.sleep(0.005)
    new = await adding
    assert int(old.modified_at.timestamp()) < int(new.modified_at.timestamp())
    assert new == await catalogue.find(SCOPE, "a.bin")


# Several at once.


async def test_of_concurrent_adds_exactly_one_wins(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    outcomes = await asyncio.gather(
        *(add(catalogue, content=bytes(n)) for n in range(60)), return_exceptions=True
    )
    winners = [outcome for outcome in outcomes if isinstance(outcome, FileRecord)]
    assert Counter({FileRecord: 1, Conflict: 59}) == Counter(type(o) for o in outcomes)
    assert winners == [await catalogue.find(SCOPE, "a.bin")]
    assert 1 == await connection.fetchval("select count(*) from blobs")
    await assert_counters_tell_the_truth(connection)


async def test_of_concurrent_puts_every_one_was_current_once(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    """Two first puts may race for the insert; that loser is told to try again."""
    await add(catalogue)
    records = await asyncio.gather(
        *(catalogue.put(draft_of(), blob_of(bytes(n)), creator="me") for n in range(40))
    )
    assert 40 == len({int(record.modified_at.timestamp()) for record in records})
    last = max(records, key=lambda record: record.modified_at)
    assert last == await catalogue.find(SCOPE, "a.bin")
    live = await connection.fetch("select id from blobs where condemned_until is null")
    assert [last.content.id] == [row["id"] for row in live]
    await assert_counters_tell_the_truth(connection)


async def test_of_concurrent_changes_of_the_same_bytes_one_wins(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    current = await add(catalogue)
    changes = [
        catalogue.replace(draft_of(), blob_of(), creator="me", expected=current.content.id)
        for _ in range(20)
    ]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert Counter({FileRecord: 1, PreconditionFailed: 19}) == Counter(type(o) for o in outcomes)
    await assert_counters_tell_the_truth(connection)


async def test_a_storm_of_all_changes_keeps_the_counters_true(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    async def change(n: int) -> None:
        name, blob = f"f{n % 5}", blob_of(bytes(n))
        if n % 3 == 0:
            await catalogue.remove(FileName(SCOPE, name), actor="me")
        elif n % 3 == 1:
            await catalogue.put(draft_of(name), blob, creator="me")
        else:
            await catalogue.add(draft_of(name), blob, creator="me")

    outcomes = await asyncio.gather(*(change(n) for n in range(300)), return_exceptions=True)
    assert {type(None), Conflict, NotFound} >= {type(outcome) for outcome in outcomes}
    await assert_counters_tell_the_truth(connection)
    live = "select count(*) from blobs where condemned_until is null"
    assert await connection.fetchval(live) == await connection.fetchval(
        "select count(*) from files"
    )


async def test_uploads_and_the_end_of_their_scope_do_not_lock_each_other_out(
    catalogue: PostgresFiles, database: Database, connection: asyncpg.Connection
) -> None:
    begun = asyncio.Event()

    async def end_scope() -> None:
        await begun.wait()
        async with database.transaction() as session:
            await remove_scope(session, SCOPE, actor="me", grace_seconds=GRACE_SECONDS)

    async def upload(n: int) -> FileRecord:
        record = await add(catalogue, f"f{n}")
        begun.set()
        return await catalogue.put(draft_of(record.name), blob_of(), creator="me")

    for _ in range(5):
        begun.clear()
        outcomes = await asyncio.gather(
            end_scope(), *(upload(n) for n in range(40)), return_exceptions=True
        )
        assert outcomes[0] is None
        for outcome in outcomes[1:]:
            assert isinstance(outcome, FileRecord | NotFound), outcome
        assert 0 == await connection.fetchval("select count(*) from files")
        left = "select (sum(files), sum(bytes), sum(condemned)) from usage"
        charged = (
            "select (0::numeric, 0::numeric, sum(size)) from blobs where charged_kind = 'things'"
        )
        assert await connection.fetchval(charged) == await connection.fetchval(left)
        await database.run("add_scope", SCOPE.kind, SCOPE.owner)


# Listings.


async def names(catalogue: PostgresFiles, listing: Listing) -> tuple[int, list[str]]:
    page = await catalogue.list(listing)
    return page.total, [record.name for record in page.items]


@pytest.fixture
async def shelf(catalogue: PostgresFiles) -> PostgresFiles:
    """Five files whose four orders are all different."""
    rows = [
        ("b.bin", 5.0, "image", "png"),
        ("a.txt", 3.0, "text", "txt"),
        ("E.img", 1.0, "audio", "mp3"),
        ("d.bin", 4.0, "binary", "bin"),
        ("c.bin", 2.0, "video", "avi"),
    ]
    for name, time, kind, form in rows:
        attributes = {"class": kind, "format": form, "metadata": {"first": name[0], "n": [1, 2]}}
        await add(catalogue, name, attributes={"time": time, **attributes})
    await catalogue.add(draft_of("other", OTHER), blob_of(scope=OTHER), creator="me")
    return catalogue


@pytest.mark.parametrize(
    ("order", "ascending"),
    [
        pytest.param(BY_TIME, ["E.img", "c.bin", "a.txt", "d.bin", "b.bin"], id="time"),
        pytest.param(BY_NAME, ["E.img", "a.txt", "b.bin", "c.bin", "d.bin"], id="name by byte"),
        pytest.param(BY_CLASS, ["E.img", "d.bin", "b.bin", "a.txt", "c.bin"], id="class"),
        pytest.param(BY_FORMAT, ["c.bin", "d.bin", "E.img", "b.bin", "a.txt"], id="format"),
    ],
)
async def test_listings_are_in_order(
    shelf: PostgresFiles, order: Order, ascending: list[str]
) -> None:
    up = Listing(SCOPE, order=order, descending=False)
    down = Listing(SCOPE, order=order, descending=True)
    assert (5, ascending) == await names(shelf, up)
    assert (5, ascending[::-1]) == await names(shelf, down)


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        pytest.param({"name": ".BIN"}, ["b.bin", "c.bin", "d.bin"], id="part of a name"),
        pytest.param({"name": "%"}, [], id="no wildcard"),
        pytest.param({"name": "_"}, [], id="no wildcard for one"),
        pytest.param({"attributes": {"class": "text"}}, ["a.txt"], id="class"),
        pytest.param({"attributes": {"metadata": {"n": [2]}}}, list("Eabcd"), id="contained"),
        pytest.param({"attributes": {"metadata": {"first": "c"}}}, ["c.bin"], id="metadata"),
        pytest.param({"name": "b", "attributes": {"format": "png"}}, ["b.bin"], id="both"),
    ],
)
async def test_listings_are_filtered(
    shelf: PostgresFiles, listing: dict[str, Any], expected: list[str]
) -> None:
    total, found = await names(shelf, Listing(SCOPE, order=BY_NAME, descending=False, **listing))
    assert (len(expected), [name[0] for name in expected]) == (total, [name[0] for name in found])


async def test_pages_of_a_listing_make_the_whole(shelf: PostgresFiles) -> None:
    async with aclosing(shelf.walk(Listing(SCOPE, limit=1))) as files:
        whole = [record.name async for record in files]
    pages = [await names(shelf, Listing(SCOPE, offset=n, limit=2)) for n in (0, 2, 4, 6)]
    assert [5, 5, 5, 5] == [total for total, _ in pages]
    assert whole == [name for _, page in pages for name in page]


async def test_files_of_equal_order_are_paged_without_loss(catalogue: PostgresFiles) -> None:
    for n in range(12):
        attributes = {"time": 1.0, "class": "c", "format": "f"}
        await add(catalogue, f"f{n}", attributes=attributes)
    for order in (BY_TIME, BY_CLASS, BY_FORMAT):
        pages = [
            (await names(catalogue, Listing(SCOPE, offset=n, limit=5, order=order)))[1]
            for n in (0, 5, 10)
        ]
        assert {f"f{n}" for n in range(12)} == {name for page in pages for name in page}


@pytest.fixture(scope="module")
def plans(database_url: str) -> dict[str, str]:
    """How PostgreSQL runs each listing over many files, at first and when it knows it well."""
    return asyncio.run(_explain(database_url))


async def _explain(url: str) -> dict[str, str]:
    connection = await asyncpg.connect(url)
    found: dict[str, str] = {}
    try:
        await _fill(connection)
        for name, text in read_statements(sql_folders()).items():
            if name.startswith("list_files"):
                await connection.execute(f'prepare "{name}" as {text.rstrip(";")}')
                call = f"explain execute \"{name}\" ('things', 't1', '', '{{}}', 10, 0)"
                for repetition in (1, 10):
                    *_, rows = [await connection.fetch(call) for _ in range(repetition)]
                    found[f"{name} {repetition}"] = "\n".join(row[0] for row in rows)
    finally:
        await connection.close()
    return found


async def _fill(connection: asyncpg.Connection) -> None:
    await connection.execute("""
        select setseed(0.5);
        insert into scopes select 'things', 't' || n from generate_series(1, 20) n
            on conflict do nothing;
        with made as (
            insert into blobs (id, kind, owner, size, sha256)
            select gen_random_uuid(), 'things', 't' || (1 + n % 2 * (n % 20)), 1, sha256('x')
            from generate_series(1, 6000) n returning id, owner
        )
        insert into files (id, kind, owner, name, blob_id, content_type, attributes, creator)
        select gen_random_uuid(), 'things', owner, id::text, id, 'a/b', jsonb_build_object(
            'time', random() * 1e9, 'class', md5(id::text), 'format', left(id::text, 2)), 'me'
        from made;
        analyze files; analyze blobs;
    """)


@pytest.mark.parametrize("repetition", [1, 10])
@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_a_page_comes_from_the_index_of_its_order(
    plans: dict[str, str], order: Order, descending: bool, repetition: int
) -> None:
    plan = plans[f"{ordered('list_files', order.name, descending=descending)} {repetition}"]
    index = (
        "files_kind_owner_name_key"
        if order is BY_NAME
        else order.name.replace("mainflux/", "files_by_")
    )
    assert index in plan, plan
    assert "Sort" not in plan, plan


# What the sweeper and the checker ask.


async def test_a_condemned_orphan_can_never_be_committed(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, connection: asyncpg.Connection
) -> None:
    late = blob_of()
    assert await ledger.condemn_orphan(late.id, SCOPE)
    assert await ledger.condemn_orphan(late.id, SCOPE)
    assert frozenset() == await ledger.which_exist([late.id])
    record = await add(catalogue, "taken")
    for commit in (
        catalogue.add(draft_of(), late, creator="me"),
        catalogue.put(draft_of(), late, creator="me"),
        catalogue.replace(draft_of("taken"), late, creator="me"),
    ):
        with pytest.raises(Failure) as caught:
            await commit
        assert Failure is type(caught.value)
    assert record == await catalogue.find(SCOPE, "taken")
    assert await catalogue.find(SCOPE, "a.bin") is None
    await assert_counters_tell_the_truth(connection)


async def test_a_blob_with_a_row_is_no_orphan(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, connection: asyncpg.Connection
) -> None:
    record = await add(catalogue)
    assert not await ledger.condemn_orphan(record.content.id, SCOPE)
    assert not await is_condemned(connection, record.content.id)


async def test_an_orphan_is_condemned_or_committed_but_not_both(
    catalogue: PostgresFiles,
    ledger: PostgresBlobLedger,
) -> None:
    for n in range(30):
        blob = blob_of()
        outcomes = await asyncio.gather(
            catalogue.add(draft_of(f"f{n}"), blob, creator="me"),
            ledger.condemn_orphan(blob.id, SCOPE),
            return_exceptions=True,
        )
        committed = isinstance(outcomes[0], FileRecord)
        assert committed is (outcomes[1] is False)
        assert committed is (await ledger.committed(blob.id) is not None)


async def test_garbage_is_due_after_its_grace_and_forgotten_once(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, database: Database
) -> None:
    hasty = PostgresFiles(database, garbage_grace_seconds=0.0)
    kept, gone = await add(catalogue, "kept"), await add(catalogue, "gone")
    await catalogue.replace(draft_of("kept"), blob_of(), creator="me")
    await hasty.remove(FileName(SCOPE, "gone"), actor="me")
    assert [Garbage(gone.content.id, SCOPE)] == list(await ledger.due_garbage(10))
    await ledger.purge([kept.content.id, gone.content.id])
    assert [] == list(await ledger.due_garbage(10))
    assert frozenset({kept.content.id}) == await ledger.which_exist(
        [kept.content.id, gone.content.id]
    )


async def test_a_live_blob_is_never_forgotten(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger
) -> None:
    record = await add(catalogue)
    await ledger.purge([record.content.id])
    assert record == await ledger.committed(record.content.id)


async def test_the_checker_sees_every_live_blob_in_pages(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger
) -> None:
    records = [await add(catalogue, f"f{n}") for n in range(7)]
    await catalogue.remove(FileName(SCOPE, "f0"), actor="me")
    seen: list[Blob] = []
    while page := await ledger.blobs_after(seen[-1].id if seen else UUID(int=0), 3):
        seen += page
    assert sorted((r.content for r in records[1:]), key=lambda blob: blob.id) == seen


async def test_a_living_database_passes_the_probe(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger
) -> None:
    await ledger.probe()


# Files without bytes, and their first ones.


async def test_a_file_may_have_no_bytes_yet(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, connection: asyncpg.Connection
) -> None:
    wanted = uuid4()
    draft = replace(draft_of("later.bin", attributes={"status": "pending"}), id=wanted)
    pending = await catalogue.add(draft, None, creator="me")
    assert (wanted, None) == (pending.id, pending.blob)
    assert pending == await catalogue.find(SCOPE, "later.bin")
    assert pending == await catalogue.find_by_id(wanted)
    assert (1, ["later.bin"]) == await names(catalogue, Listing(SCOPE))
    assert [] == list(await ledger.blobs_after(UUID(int=0), 10))
    with pytest.raises(NotFound):
        assert pending.content is None
    await assert_counters_tell_the_truth(connection)


async def test_an_id_that_is_taken_is_a_conflict(catalogue: PostgresFiles) -> None:
    first = await add(catalogue)
    with pytest.raises(Conflict):
        await catalogue.add(replace(draft_of("b.bin"), id=first.id), None, creator="me")


async def test_filling_gives_a_file_its_first_bytes_and_then_others(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    pending = await catalogue.add(
        draft_of(attributes={"status": "pending", "k": 1}), None, creator="me"
    )
    first, second = blob_of(b"1"), blob_of(b"22", OTHER)
    filled = await catalogue.fill(
        pending.id, first, creator="you", expected=NO_BLOB, attributes={"status": "completed"}
    )
    assert (first, {"status": "completed", "k": 1}) == (filled.blob, filled.attributes)
    assert (pending.id, pending.content_type) == (filled.id, filled.content_type)
    again = await catalogue.fill(
        pending.id, second, creator="you", expected=first.id, content_type="a/b"
    )
    assert (second, "a/b") == (again.blob, again.content_type)
    assert again == await catalogue.find(SCOPE, "a.bin")
    assert int(filled.modified_at.timestamp()) < int(again.modified_at.timestamp())
    assert await is_condemned(connection, first.id)
    assert ["created", "filled", "replaced"] == await audited(connection)
    await assert_counters_tell_the_truth(connection)


async def test_a_fill_that_expects_other_bytes_changes_nothing(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger
) -> None:
    pending, late = await catalogue.add(draft_of(), None, creator="me"), blob_of()
    with pytest.raises(PreconditionFailed):
        await catalogue.fill(pending.id, late, creator="me", expected=uuid4())
    filled = await catalogue.fill(pending.id, blob_of(), creator="me", expected=None)
    with pytest.raises(PreconditionFailed):
        await catalogue.fill(pending.id, late, creator="me", expected=NO_BLOB)
    with pytest.raises(NotFound):
        await catalogue.fill(uuid4(), late, creator="me", expected=NO_BLOB)
    assert filled == await catalogue.find_by_id(pending.id)
    assert frozenset() == await ledger.which_exist([late.id])


async def test_of_concurrent_first_fills_one_wins(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    pending = await catalogue.add(draft_of(), None, creator="me")
    outcomes = await asyncio.gather(
        *(
            catalogue.fill(pending.id, blob_of(bytes(n)), creator="me", expected=NO_BLOB)
            for n in range(20)
        ),
        return_exceptions=True,
    )
    assert Counter({FileRecord: 1, PreconditionFailed: 19}) == Counter(type(o) for o in outcomes)
    assert 1 == await connection.fetchval("select count(*) from blobs")
    await assert_counters_tell_the_truth(connection)


# By id, in several scopes, many at once.


async def test_a_file_is_changed_and_removed_by_its_id(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    record = await add(catalogue, attributes={"k": 1})
    amended = await catalogue.amend(record.id, {"j": 2}, actor="you", expected=record.content.id)
    assert {"k": 1, "j": 2} == amended.attributes
    with pytest.raises(PreconditionFailed):
        await catalogue.remove(record.id, actor="me", expected=uuid4())
    await catalogue.remove(record.id, actor="they")
    assert await catalogue.find_by_id(record.id) is None
    with pytest.raises(NotFound):
        await catalogue.remove(record.id, actor="they")
    with pytest.raises(NotFound):
        await catalogue.amend(record.id, {"j": 3}, actor="they")
    assert ["created", "amended", "removed"] == await audited(connection)
    await assert_counters_tell_the_truth(connection)


async def test_the_first_scope_that_has_the_name_is_taken(catalogue: PostgresFiles) -> None:
    here = await add(catalogue)
    there = await catalogue.add(draft_of("a.bin", OTHER), blob_of(scope=OTHER), creator="me")
    empty = Scope("users", "nobody")
    assert here == await catalogue.find_in([empty, SCOPE, OTHER], "a.bin")
    assert there == await catalogue.find_in([OTHER, SCOPE], "a.bin")
    assert await catalogue.find_in([empty], "a.bin") is None
    assert await catalogue.find_in([], "a.bin") is None


async def test_many_files_are_removed_in_one_transaction(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    records = [await add(catalogue, f"f{n}", bytes(n)) for n in range(5)]
    records.append(await catalogue.add(draft_of("dir"), None, creator="me"))
    records.append(await catalogue.add(draft_of("f1", OTHER), blob_of(), creator="me"))
    kept = records.pop(0)
    removed = await catalogue.remove_many([uuid4(), *(r.id for r in records)], actor="they")
    assert {FileName(r.scope, r.name) for r in records} == set(removed)
    assert 1 == await connection.fetchval("select count(*) from files")
    assert [kept.content.id] == [
        row["id"]
        for row in await connection.fetch("select id from blobs where condemned_until is null")
    ]
    assert 6 == (await audited(connection)).count("removed")
    await assert_counters_tell_the_truth(connection)
    assert [] == list(await catalogue.remove_many([r.id for r in records], actor="they"))


# A file that changes hands.


async def test_a_transferred_file_keeps_its_id_and_its_bytes_where_they_lie(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, connection: asyncpg.Connection
) -> None:
    old = await add(catalogue, attributes={"k": 1})
    moved = await catalogue.transfer(old.id, OTHER, actor="they")
    assert (old.id, OTHER, "a.bin", old.blob) == (moved.id, moved.scope, moved.name, moved.blob)
    assert (SCOPE, {"k": 1}) == (moved.content.scope, moved.attributes)
    assert await catalogue.find(SCOPE, "a.bin") is None
    assert moved == await catalogue.find(OTHER, "a.bin") == await ledger.committed(old.content.id)
    assert ["created", "transferred", "received"] == await audited(connection)
    await assert_counters_tell_the_truth(connection)


async def test_a_file_is_amended_and_transferred_whole_or_not_at_all(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    old, nowhere = await add(catalogue, attributes={"k": 1, "l": 2}), Scope("users", "nobody")
    with pytest.raises(NotFound):
        await catalogue.transfer(old.id, nowhere, actor="they", attributes={"k": 3})
    assert old == await catalogue.find_by_id(old.id)
    moved = await catalogue.transfer(old.id, OTHER, actor="they", attributes={"k": 3})
    assert (OTHER, {"k": 3, "l": 2}) == (moved.scope, moved.attributes)
    assert ["created", "amended", "transferred", "received"] == await audited(connection)
    await assert_counters_tell_the_truth(connection)


async def test_a_renamed_file_stays_in_its_scope(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    old = await add(catalogue)
    moved = await catalogue.transfer(old.id, SCOPE, "b.bin", actor="they")
    assert (SCOPE, "b.bin") == (moved.scope, moved.name)
    assert moved == await catalogue.transfer(old.id, SCOPE, "b.bin", actor="they")
    assert 2 == len(set(await audited(connection)) - {"created"})
    await assert_counters_tell_the_truth(connection)


async def test_a_transfer_needs_a_free_name_in_a_scope_that_exists(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    one, two = await add(catalogue, "one"), await add(catalogue, "two")
    with pytest.raises(Conflict):
        await catalogue.transfer(one.id, SCOPE, "two", actor="me")
    with pytest.raises(NotFound):
        await catalogue.transfer(one.id, Scope("users", "nobody"), actor="me")
    with pytest.raises(NotFound):
        await catalogue.transfer(uuid4(), OTHER, actor="me")
    with pytest.raises(PreconditionFailed):
        await catalogue.transfer(one.id, OTHER, actor="me", expected=two.content.id)
    assert one == await catalogue.find(SCOPE, "one")
    await assert_counters_tell_the_truth(connection)


async def test_what_comes_to_a_name_is_a_whole_second_later_than_what_left_it(
    catalogue: PostgresFiles,
) -> None:
    seconds = []
    for _ in range(3):
        await add(catalogue, "a.bin")
        last = await catalogue.replace(draft_of("a.bin"), blob_of(), creator="me")
        seconds.append(int(last.modified_at.timestamp()))
        await catalogue.transfer(last.id, OTHER, f"gone{len(seconds)}", actor="me")
        spare = await add(catalogue, f"spare{len(seconds)}")
        moved = await catalogue.transfer(spare.id, SCOPE, "a.bin", actor="me")
        seconds.append(int(moved.modified_at.timestamp()))
        await catalogue.remove(moved.id, actor="me")
    assert sorted(set(seconds)) == seconds


async def test_an_old_file_comes_to_a_name_as_a_new_one(
    catalogue: PostgresFiles, ledger: PostgresBlobLedger, connection: asyncpg.Connection
) -> None:
    """Of what had the name before nothing is known any more."""
    old, before = await add(catalogue, "old"), await add(catalogue, "a.bin")
    for record, hours in ((old, 9), (before, 2)):
        await connection.execute(
            "update files set modified_at = now() - make_interval(hours => $2) where id = $1",
            record.id,
            hours,
        )
    left = await catalogue.find(SCOPE, "a.bin")
    await catalogue.remove(before.id, actor="me")
    await ledger.expire()
    moved = await catalogue.transfer(old.id, SCOPE, "a.bin", actor="me")
    assert left is not None
    assert left.modified_at < moved.modified_at


async def test_the_caches_of_both_places_are_told(
    catalogue: PostgresFiles, connection: asyncpg.Connection
) -> None:
    heard: list[Change] = []
    await connection.add_listener(CHANNEL, lambda *told: heard.append(parse_change(str(told[-1]))))
    record = await add(catalogue)
    await catalogue.transfer(record.id, OTHER, "b.bin", actor="me")
    await connection.execute("select 1")
    assert [FileChanged(SCOPE, "a.bin"), FileChanged(OTHER, "b.bin")] == heard


MOVES = {
    "stays": (),
    "moves": ("move",),
    "moves and is replaced": ("move", "replace"),
    "is replaced and moves": ("replace", "move"),
    "moves and comes back": ("move", "return"),
    "moves, is replaced, comes back": ("move", "replace", "return"),
    "moves and is removed": ("move", "remove"),
    "is removed": ("remove",),
    "is filled after it moved": ("empty", "move", "replace"),
    "moves without bytes": ("empty", "move"),
}


@pytest.mark.parametrize("ended", [SCOPE, OTHER], ids=["its first scope ends", "the other ends"])
@pytest.mark.parametrize("steps", MOVES.values(), ids=MOVES)
async def test_the_end_of_a_scope_condemns_the_blobs_of_its_rows_and_no_others(
    catalogue: PostgresFiles,
    database: Database,
    connection: asyncpg.Connection,
    steps: tuple[str, ...],
    ended: Scope,
) -> None:
    blob = None if "empty" in steps else blob_of()
    record = await catalogue.add(draft_of(), blob, creator="me")
    for step in steps:
        if step in ("move", "return"):
            scope = OTHER if step == "move" else SCOPE
            record = await catalogue.transfer(record.id, scope, actor="me")
        elif step == "replace":
            new = blob_of(scope=record.scope)
            record = await catalogue.fill(record.id, new, creator="me", expected=None)
        elif step == "remove":
            await catalogue.remove(record.id, actor="me")
    async with database.transaction() as session:
        await remove_scope(session, ended, actor="me", grace_seconds=GRACE_SECONDS)
    lives = "remove" not in steps and record.scope != ended
    expected = {record.content.id} if lives and record.blob is not None else set()
    live = await connection.fetch("select id from blobs where condemned_until is null")
    assert expected == {row["id"] for row in live}
    assert (record if lives else None) == await catalogue.find_by_id(record.id)
    await assert_counters_tell_the_truth(connection)


async def test_transfers_to_and_fro_and_the_end_of_a_scope_do_not_lock_each_other_out(
    catalogue: PostgresFiles, database: Database, connection: asyncpg.Connection
) -> None:
    async def move(file_id: UUID, scope: Scope) -> FileRecord:
        return await catalogue.transfer(file_id, scope, actor="me")

    async def end_scope() -> None:
        async with database.transaction() as session:
            await remove_scope(session, OTHER, actor="me", grace_seconds=GRACE_SECONDS)

    records = [await add(catalogue, f"f{n}") for n in range(10)]
    outcomes = await asyncio.gather(
        *(move(r.id, scope) for _ in range(3) for r in records for scope in (OTHER, SCOPE)),
        end_scope(),
        *(move(r.id, scope) for _ in range(3) for r in records for scope in (OTHER, SCOPE)),
        return_exceptions=True,
    )
    allowed = (FileRecord, NotFound, Conflict, type(None))
    assert [] == [outcome for outcome in outcomes if not isinstance(outcome, allowed)]
    live = await connection.fetch("select id from blobs where condemned_until is null order by 1")
    named = await connection.fetch("select blob_id from files order by 1")
    assert [row[0] for row in named] == [row[0] for row in live]
    await assert_counters_tell_the_truth(connection)


# A dialect's own statements.


async def test_a_named_selection_yields_files_at_once_or_one_by_one(
    catalogue: PostgresFiles,
) -> None:
    records = [await add(catalogue, f"f{n:04}") for n in range(3)]
    await catalogue.add(draft_of("dir"), None, creator="me")
    everything = ordered("list_files", "name", descending=False)
    values: tuple[object, ...] = (SCOPE.kind, SCOPE.owner, "f", {}, None, 0)
    assert records == list(await catalogue.select(everything, *values))
    async with aclosing(catalogue.stream(everything, *values)) as files:
        assert records == [record async for record in files]


async def test_a_million_files_are_streamed_in_memory_that_does_not_grow(
    catalogue: PostgresFiles, database_url: str, tmp_path: Path
) -> None:
    await add(catalogue)
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "many.sql").write_text(
        "-- name: many\nselect f.* from file_rows f, generate_series(1, 1000000);"
    )
    async with open_database(database_url, [SqlFolder("toy", tmp_path)]) as opened:
        files = PostgresFiles(opened, garbage_grace_seconds=0)
        async with aclosing(files.stream("toy/many")) as stream:
            await anext(stream)
            tracemalloc.start()
            try:
                for _ in range(20_000):
                    await anext(stream)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert most < 8 * 1024 * 1024


async def test_streams_leave_connections_to_others(
    catalogue: PostgresFiles, database_url: str
) -> None:
    await add(catalogue)
    everything = ordered("list_files", "name", descending=False)
    values: tuple[object, ...] = (SCOPE.kind, SCOPE.owner, "", {}, None, 0)
    async with open_database(database_url, connections=2, wait_seconds=0.2) as small:
        files = PostgresFiles(small, garbage_grace_seconds=0)
        async with aclosing(files.stream(everything, *values)) as first:
            assert (await anext(first)).name == "a.bin"
            with pytest.raises(CatalogueUnavailable):
                await anext(files.stream(everything, *values))
            assert await files.find(SCOPE, "a.bin") is not None
        async with aclosing(files.stream(everything, *values)) as again:
            assert (await anext(again)).name == "a.bin"


# The counters, against a recount, after anything.


@pytest.mark.parametrize("seed", range(4))
async def test_the_counters_survive_any_sequence_of_changes(
    catalogue: PostgresFiles, database: Database, connection: asyncpg.Connection, seed: int
) -> None:
    random = Random(seed)
    ids: list[UUID] = []
    for _ in range(120):
        with suppress(Conflict, NotFound, PreconditionFailed):
            if random.random() < 0.03:
                await _end_and_begin(database, random.choice([SCOPE, OTHER]))
            made = await _changed_somehow(catalogue, random, ids)
            if isinstance(made, FileRecord):
                ids.append(made.id)
        await assert_counters_tell_the_truth(connection)
        live = await connection.fetch("select id from blobs where condemned_until is null")
        named = await connection.fetch("select blob_id from files where blob_id is not null")
        assert {row[0] for row in live} == {row[0] for row in named}


def _changed_somehow(files: PostgresFiles, random: Random, ids: list[UUID]) -> Awaitable[object]:
    scope, name = random.choice([SCOPE, OTHER]), f"f{random.randrange(4)}"
    blob = blob_of(random.randbytes(random.randrange(9)), random.choice([SCOPE, OTHER]))
    one, draft = random.choice(ids or [uuid4()]), draft_of(name, scope)
    changes: list[Callable[[], Awaitable[object]]] = [
        lambda: files.add(draft, blob, creator="me"),
        lambda: files.add(draft, None, creator="me"),
        lambda: files.put(draft, blob, creator="me"),
        lambda: files.fill(one, blob, creator="me", expected=None),
        lambda: files.fill(one, blob, creator="me", expected=NO_BLOB),
        lambda: files.amend(one, {"n": 1}, actor="me"),
        lambda: files.transfer(one, scope, name, actor="me"),
        lambda: files.remove(FileName(scope, name), actor="me"),
        lambda: files.remove_many(random.sample(ids, min(2, len(ids))), actor="me"),
    ]
    return random.choice(changes)()


async def _end_and_begin(database: Database, scope: Scope) -> None:
    async with database.transaction() as session:
        await remove_scope(session, scope, actor="me", grace_seconds=GRACE_SECONDS)
        await session.run("add_scope", scope.kind, scope.owner)
