"""What the catalogue promises (``gateway.catalogue.port``), asked of it on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.catalogue.port import BY_NAME, Garbage, Listing, Order
from gateway.catalogue.postgres import PostgresCatalogue
from gateway.database.pool import Database
from gateway.database.statements import ordered, read_statements
from gateway.identity.rows.scopes import remove_scope
from gateway.model.digest import Digest
from gateway.model.errors import (
    Conflict,
    Failure,
    NotFound,
    PreconditionFailed,
)
from gateway.model.file import Blob, Draft, FileRecord, Scope
from tests.tools.deployment import sql_folders

SCOPE = Scope("things", "t1")
OTHER = Scope("groups", "g1")
GRACE_SECONDS = 3600.0
BY_TIME, BY_CLASS, BY_FORMAT = (Order(f"mainflux/{key}") for key in ("time", "class", "format"))
ORDERS = (BY_TIME, BY_NAME, BY_CLASS, BY_FORMAT)


@pytest.fixture
async def catalogue(database: Database) -> PostgresCatalogue:
    for scope in (SCOPE, OTHER):
        await database.run("add_scope", scope.kind, scope.owner)
    return PostgresCatalogue(database, garbage_grace_seconds=GRACE_SECONDS)


def blob_of(content: bytes = b"bytes", scope: Scope = SCOPE) -> Blob:
    return Blob(uuid4(), scope, len(content), Digest(hashlib.sha256(content).hexdigest()))


def draft_of(
    name: str = "a.bin", scope: Scope = SCOPE, attributes: Mapping[str, Any] | None = None
) -> Draft:
    return Draft(scope, name, "application/octet-stream", attributes or {})


async def add(
    catalogue: PostgresCatalogue,
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
        "select kind, owner, count(*) as files, sum(size)::bigint as bytes from file_rows"
        " group by kind, owner order by kind, owner"
    )
    assert [tuple(row) for row in real] == [tuple(row) for row in counted]


# One change at a time.


async def test_an_added_file_is_found_as_it_was_returned(catalogue: PostgresCatalogue) -> None:
    added = await add(
        catalogue, "ünïcode 名.bin", b"12345", {"time": 1.5, "metadata": {"k": [1, None]}}
    )
    assert added == await catalogue.find(SCOPE, "ünïcode 名.bin")
    assert added == await catalogue.committed(added.blob.id)
    assert await catalogue.find(OTHER, "ünïcode 名.bin") is None
    assert (5, "me") == (added.blob.size, added.creator)


async def test_a_taken_name_is_a_conflict_and_changes_nothing(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    first, late = await add(catalogue), blob_of(b"late")
    with pytest.raises(Conflict):
        await catalogue.add(draft_of(), late, creator="you")
    assert first == await catalogue.find(SCOPE, "a.bin")
    assert frozenset() == await catalogue.known([late.id])
    await assert_counters_tell_the_truth(connection)


async def test_names_differ_by_case_and_by_scope(catalogue: PostgresCatalogue) -> None:
    await add(catalogue, "a.bin")
    await add(catalogue, "A.bin")
    await catalogue.add(draft_of("a.bin", OTHER), blob_of(scope=OTHER), creator="me")


async def test_a_file_needs_a_scope_that_exists(catalogue: PostgresCatalogue) -> None:
    gone = Scope("things", "gone")
    with pytest.raises(NotFound):
        await catalogue.add(draft_of(scope=gone), blob_of(scope=gone), creator="me")


async def test_replacing_keeps_the_file_and_condemns_its_old_blob(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    old = await add(catalogue, attributes={"time": 1.0, "metadata": {"k": 1}})
    new = blob_of(b"longer than before")
    replaced = await catalogue.replace(draft_of(attributes={"time": 2.0}), new, creator="you")
    assert (old.id, old.created_at, new) == (replaced.id, replaced.created_at, replaced.blob)
    assert {"time": 2.0, "metadata": {"k": 1}} == replaced.attributes
    assert replaced == await catalogue.find(SCOPE, "a.bin")
    assert await is_condemned(connection, old.blob.id)
    assert not await is_condemned(connection, new.id)
    await assert_counters_tell_the_truth(connection)


async def test_what_is_not_there_cannot_be_replaced_amended_or_removed(
    catalogue: PostgresCatalogue,
) -> None:
    with pytest.raises(NotFound):
        await catalogue.replace(draft_of(), blob_of(), creator="me")
    with pytest.raises(NotFound):
        await catalogue.amend(SCOPE, "a.bin", {"k": 1})
    with pytest.raises(NotFound):
        await catalogue.remove(SCOPE, "a.bin", creator="me")


async def test_put_adds_and_then_replaces(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    first = await catalogue.put(draft_of(), blob_of(b"1"), creator="me")
    second = await catalogue.put(draft_of(), blob_of(b"22"), creator="me")
    assert first.id == second.id
    assert second == await catalogue.find(SCOPE, "a.bin")
    assert await is_condemned(connection, first.blob.id)
    await assert_counters_tell_the_truth(connection)


async def test_amending_merges_attributes_and_leaves_bytes_and_their_date(
    catalogue: PostgresCatalogue,
) -> None:
    old = await add(catalogue, attributes={"time": 1.0, "metadata": {"k": 1}})
    amended = await catalogue.amend(SCOPE, "a.bin", {"metadata": {"j": 2}})
    assert {"time": 1.0, "metadata": {"j": 2}} == amended.attributes
    assert (old.blob, old.modified_at) == (amended.blob, amended.modified_at)
    assert old.updated_at < amended.updated_at


async def test_a_removed_file_is_gone_and_its_blob_condemned(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    record = await add(catalogue)
    await catalogue.remove(SCOPE, "a.bin", creator="me")
    assert await catalogue.find(SCOPE, "a.bin") is None
    assert await catalogue.committed(record.blob.id) is None
    assert await is_condemned(connection, record.blob.id)
    await assert_counters_tell_the_truth(connection)


async def test_only_the_expected_bytes_are_changed(catalogue: PostgresCatalogue) -> None:
    current, stale = await add(catalogue), uuid4()
    with pytest.raises(PreconditionFailed):
        await catalogue.replace(draft_of(), blob_of(), creator="me", expected=stale)
    with pytest.raises(PreconditionFailed):
        await catalogue.put(draft_of(), blob_of(), creator="me", expected=stale)
    with pytest.raises(PreconditionFailed):
        await catalogue.amend(SCOPE, "a.bin", {"k": 1}, expected=stale)
    with pytest.raises(PreconditionFailed):
        await catalogue.remove(SCOPE, "a.bin", creator="me", expected=stale)
    assert current == await catalogue.find(SCOPE, "a.bin")
    expected = current.blob.id
    replaced = await catalogue.replace(draft_of(), blob_of(), creator="me", expected=expected)
    await catalogue.remove(SCOPE, "a.bin", creator="me", expected=replaced.blob.id)


async def test_a_put_that_expects_bytes_does_not_create(catalogue: PostgresCatalogue) -> None:
    with pytest.raises(NotFound):
        await catalogue.put(draft_of(), blob_of(), creator="me", expected=uuid4())


async def test_every_change_of_bytes_is_in_the_audit(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    one = await add(catalogue)
    two = await catalogue.replace(draft_of(), blob_of(), creator="you")
    await catalogue.remove(SCOPE, "a.bin", creator="they")
    events = await connection.fetch("select event, blob_id, actor from audit order by id")
    assert [
        ("created", one.blob.id, "me"),
        ("replaced", two.blob.id, "you"),
        ("removed", two.blob.id, "they"),
    ] == [tuple(event) for event in events]


# Dates.


async def test_each_replacement_is_a_whole_second_later(catalogue: PostgresCatalogue) -> None:
    dates = [(await add(catalogue)).modified_at]
    for _ in range(5):
        record = await catalogue.replace(draft_of(), blob_of(), creator="me")
        dates.append(record.modified_at)
    seconds = [int(date.timestamp()) for date in dates]
    assert sorted(set(seconds)) == seconds


async def test_a_name_that_comes_back_is_a_whole_second_later(catalogue: PostgresCatalogue) -> None:
    seconds = []
    for _ in range(4):
        record = await add(catalogue)
        assert record == await catalogue.find(SCOPE, "a.bin")
        seconds.append(int(record.modified_at.timestamp()))
        await catalogue.remove(SCOPE, "a.bin", creator="me")
    await catalogue.tidy()
    assert sorted(set(seconds)) == seconds


async def test_a_name_that_comes_back_while_it_is_being_removed_is_later_too(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
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
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
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
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
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
    assert [last.blob.id] == [row["id"] for row in live]
    await assert_counters_tell_the_truth(connection)


async def test_of_concurrent_changes_of_the_same_bytes_one_wins(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    current = await add(catalogue)
    changes = [
        catalogue.replace(draft_of(), blob_of(), creator="me", expected=current.blob.id)
        for _ in range(20)
    ]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert Counter({FileRecord: 1, PreconditionFailed: 19}) == Counter(type(o) for o in outcomes)
    await assert_counters_tell_the_truth(connection)


async def test_a_storm_of_all_changes_keeps_the_counters_true(
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    async def change(n: int) -> None:
        name, blob = f"f{n % 5}", blob_of(bytes(n))
        if n % 3 == 0:
            await catalogue.remove(SCOPE, name, creator="me")
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
    catalogue: PostgresCatalogue, database: Database, connection: asyncpg.Connection
) -> None:
    async def end_scope() -> None:
        await asyncio.sleep(0.01)
        async with database.transaction() as session:
            await remove_scope(session, SCOPE, actor="me", grace_seconds=GRACE_SECONDS)

    async def upload(n: int) -> FileRecord:
        record = await add(catalogue, f"f{n}")
        return await catalogue.put(draft_of(record.name), blob_of(), creator="me")

    for _ in range(5):
        outcomes = await asyncio.gather(
            end_scope(), *(upload(n) for n in range(40)), return_exceptions=True
        )
        assert outcomes[0] is None
        for outcome in outcomes[1:]:
            assert isinstance(outcome, FileRecord | NotFound), outcome
        assert 0 == await connection.fetchval("select count(*) from files")
        assert 0 == await connection.fetchval("select count(*) from usage")
        await database.run("add_scope", SCOPE.kind, SCOPE.owner)


# Listings.


async def names(catalogue: PostgresCatalogue, listing: Listing) -> tuple[int, list[str]]:
    page = await catalogue.list(listing)
    return page.total, [record.name for record in page.files]


@pytest.fixture
async def shelf(catalogue: PostgresCatalogue) -> PostgresCatalogue:
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
    shelf: PostgresCatalogue, order: Order, ascending: list[str]
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
    shelf: PostgresCatalogue, listing: dict[str, Any], expected: list[str]
) -> None:
    total, found = await names(shelf, Listing(SCOPE, order=BY_NAME, descending=False, **listing))
    assert (len(expected), [name[0] for name in expected]) == (total, [name[0] for name in found])


async def test_pages_of_a_listing_make_the_whole(shelf: PostgresCatalogue) -> None:
    whole = (await names(shelf, Listing(SCOPE, limit=None)))[1]
    pages = [await names(shelf, Listing(SCOPE, offset=n, limit=2)) for n in (0, 2, 4, 6)]
    assert [5, 5, 5, 5] == [total for total, _ in pages]
    assert whole == [name for _, page in pages for name in page]


async def test_files_of_equal_order_are_paged_without_loss(catalogue: PostgresCatalogue) -> None:
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
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    late = blob_of()
    assert await catalogue.condemn_orphan(late.id, SCOPE)
    assert await catalogue.condemn_orphan(late.id, SCOPE)
    assert frozenset() == await catalogue.known([late.id])
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
    catalogue: PostgresCatalogue, connection: asyncpg.Connection
) -> None:
    record = await add(catalogue)
    assert not await catalogue.condemn_orphan(record.blob.id, SCOPE)
    assert not await is_condemned(connection, record.blob.id)


async def test_an_orphan_is_condemned_or_committed_but_not_both(
    catalogue: PostgresCatalogue,
) -> None:
    for n in range(30):
        blob = blob_of()
        outcomes = await asyncio.gather(
            catalogue.add(draft_of(f"f{n}"), blob, creator="me"),
            catalogue.condemn_orphan(blob.id, SCOPE),
            return_exceptions=True,
        )
        committed = isinstance(outcomes[0], FileRecord)
        assert committed is (outcomes[1] is False)
        assert committed is (await catalogue.committed(blob.id) is not None)


async def test_garbage_is_due_after_its_grace_and_forgotten_once(
    catalogue: PostgresCatalogue, database: Database
) -> None:
    hasty = PostgresCatalogue(database, garbage_grace_seconds=0.0)
    kept, gone = await add(catalogue, "kept"), await add(catalogue, "gone")
    await catalogue.replace(draft_of("kept"), blob_of(), creator="me")
    await hasty.remove(SCOPE, "gone", creator="me")
    assert [Garbage(gone.blob.id, SCOPE)] == list(await catalogue.due_garbage(10))
    await catalogue.forget([kept.blob.id, gone.blob.id])
    assert [] == list(await catalogue.due_garbage(10))
    assert frozenset({kept.blob.id}) == await catalogue.known([kept.blob.id, gone.blob.id])


async def test_a_live_blob_is_never_forgotten(catalogue: PostgresCatalogue) -> None:
    record = await add(catalogue)
    await catalogue.forget([record.blob.id])
    assert record == await catalogue.committed(record.blob.id)


async def test_the_checker_sees_every_live_blob_in_pages(catalogue: PostgresCatalogue) -> None:
    records = [await add(catalogue, f"f{n}") for n in range(7)]
    await catalogue.remove(SCOPE, "f0", creator="me")
    seen: list[Blob] = []
    while page := await catalogue.blobs_after(seen[-1].id if seen else UUID(int=0), 3):
        seen += page
    assert sorted((r.blob for r in records[1:]), key=lambda blob: blob.id) == seen


async def test_a_living_database_passes_the_probe(catalogue: PostgresCatalogue) -> None:
    await catalogue.probe()
