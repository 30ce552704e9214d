"""Directories that are moved and removed, and what happens to them at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.database.pool import Database
from gateway.model.errors import GatewayError
from tests.dialects.losant.conftest import Inside, Owner, key_of
from tests.tools.waiting import until


async def plant(owner: Owner) -> str:
    """A tree with a few leaves; the id of its root."""
    top = await owner.directory("top")
    await owner.directory("mid", "/top/")
    await owner.directory("low", "/top/mid/")
    await owner.directory("bare", "/top/")
    for parent in ("/top/", "/top/mid/", "/top/mid/low/"):
        for name in ("a", "b"):
            await owner.file(name, parent, f"{parent}{name}".encode())
    await owner.awaited("waiting", "/top/mid/")
    await owner.file("top-secret")
    return top


TREE = ["", "a", "b", "bare/", "mid/", "mid/a", "mid/b", "mid/low/", "mid/low/a", "mid/low/b", "mid/waiting"]  # fmt: skip


def below(root: str) -> list[str]:
    """The planted tree, under another root."""
    return sorted(root + path for path in TREE)


async def test_a_directory_moves_with_all_that_is_in_it(owner: Owner, inside: Inside) -> None:
    top = await plant(owner)
    await owner.directory("new")
    before = {item["id"]: item for item in await owner.all()}
    said = await owner.ask("POST", f"/{top}/move?name=there&parentDirectory=/new", {})
    assert (201, "there", "/new/", "moving") == (
        said.status,
        said.json["name"],
        said.json["parentDirectory"],
        said.json["status"],
    )
    source = await owner.ask("GET", f"/{top}")
    assert ("moving", said.json["id"]) == (source.json["status"], source.json["moveIntoId"])
    await owner.settle()
    assert sorted(["/new/", "/top-secret", *below("/new/there/")]) == await owner.paths()
    assert 404 == (await owner.ask("GET", f"/{top}")).status
    now = {item["id"]: item for item in await owner.all()}
    assert "completed" == now[said.json["id"]]["status"]
    # What has moved has another id; what has not has not.
    kept = {item["name"] for found, item in now.items() if found in before}
    assert {"new", "top-secret"} == kept
    for item in now.values():
        if item["parentDirectory"] == "/new/there/mid/" and item["status"] == "completed":
            record = await inside.file(owner, item["id"])
            if record.blob is not None:
                assert f"/top/mid/{item['name']}".encode() == await inside.content(record)


async def test_a_directory_goes_with_all_that_is_in_it(owner: Owner, database: Database) -> None:
    top = await plant(owner)
    said = await owner.ask("DELETE", f"/{top}", {})
    assert (200, {"success": True}) == (said.status, said.json)
    assert "deleting" == (await owner.ask("GET", f"/{top}")).json["status"]
    await owner.settle()
    assert ["/top-secret"] == await owner.paths()
    assert 1 == await live_blobs(database, owner)


async def test_a_directory_of_many_pages_goes_whole(owner: Owner, database: Database) -> None:
    await owner.directory("many")
    await fill(database, owner, "/many/", 450)
    moved = await owner.ask("POST", f"/{await id_of(owner, '/many/')}/move?name=more", {})
    await owner.settle()
    said = await owner.ask("GET", "?directory=/more/&perPage=1")
    assert (450, True) == (said.json["totalCount"], said.json["parentExists"])
    await owner.ask("DELETE", f"/{moved.json['id']}", {})
    await owner.settle()
    assert [] == await owner.paths()
    assert 0 == await left_over(database)


@pytest.fixture
def settings() -> dict[str, Any]:
    """What is done in the background is done when a test says so."""
    return {"losant_upkeep_seconds": 0}


@pytest.fixture
async def held(owner: Owner, database: Database) -> str:
    """A planted tree on its way from /top/ to /new/there/, which nobody works on."""
    top = await plant(owner)
    await owner.directory("new")
    said = await owner.ask("POST", f"/{top}/move?name=there&parentDirectory=/new", {})
    assert 201 == said.status
    return top


@pytest.mark.parametrize(
    ("expected", "name", "parent"),
    [
        pytest.param(409, "x", "/top/", id="into what is moving"),
        pytest.param(409, "x", "/top/mid/low/", id="far into it"),
        pytest.param(409, "x", "/new/there/", id="into where it is going"),
        pytest.param(409, "there", "/new/", id="in its place"),
        pytest.param(409, "top", "/", id="where it was"),
        pytest.param(201, "x", "/new/", id="beside it"),
        pytest.param(201, "topper", "/", id="a name that only begins so"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_nothing_is_put_into_a_directory_that_is_moving(
    owner: Owner, held: str, expected: int, name: str, parent: str, kind: str
) -> None:
    body = {"name": name, "type": kind, "parentDirectory": parent}
    assert expected == (await owner.ask("POST", "", body)).status
    loose = await id_of(owner, "/top-secret")
    where = f"name=y&parentDirectory={parent}" if name == "x" else f"name={name}"
    if parent != "/" and name == "x":
        assert expected == (await owner.ask("POST", f"/{loose}/move?{where}", {})).status
    await owner.inside.work()
    assert set(below("/new/there/")) <= set(await owner.paths())


@pytest.mark.parametrize(
    "path", ["/top/", "/top/mid/", "/new/", "/new/there/"], ids=lambda path: f"{path} itself"
)
async def test_no_two_moves_or_removals_meet(owner: Owner, held: str, path: str) -> None:
    wanted = await id_of(owner, path)
    assert 409 == (await owner.ask("DELETE", f"/{wanted}", {})).status
    assert 409 == (await owner.ask("POST", f"/{wanted}/move?name=elsewhere", {})).status
    await owner.inside.work()
    assert sorted(["/new/", "/top-secret", *below("/new/there/")]) == await owner.paths()


async def test_single_files_of_a_moving_directory_may_still_go(
    owner: Owner, held: str, inside: Inside
) -> None:
    first, second = await id_of(owner, "/top/mid/a"), await id_of(owner, "/top/mid/b")
    assert 200 == (await owner.ask("DELETE", f"/{first}", {})).status
    assert 201 == (await owner.ask("POST", f"/{second}/move?name=b2&parentDirectory=/", {})).status
    await owner.inside.work()
    expected = {"/new/", "/top-secret", "/b2", *below("/new/there/")}
    assert sorted(expected - {"/new/there/mid/a", "/new/there/mid/b"}) == await owner.paths()


async def test_an_upload_is_completed_while_its_directory_moves(
    owner: Owner, inside: Inside
) -> None:
    top = await owner.directory("top")
    made = await owner.awaited("a", "/top/")
    moved = await owner.ask("POST", f"/{top}/move?name=there", {})
    await owner.settle()
    record = await inside.complete(key_of(made), b"late")
    assert (b"late", "/there/") == (await inside.content(record), record.attributes["parent"])
    assert 404 == (await owner.ask("GET", f"/{made['id']}")).status
    assert moved.json["id"] == await id_of(owner, "/there/")


async def test_an_application_that_is_removed_takes_its_work_along(
    owner: Owner, held: str, database: Database
) -> None:
    said = await owner.client.ask("DELETE", f"/applications/{owner.application}", {})
    assert 200 == said.status
    await owner.inside.work()
    assert (0, 0) == (await live_blobs(database, owner), await left_over(database))


async def test_a_form_is_completed_once_whoever_comes_first(owner: Owner, inside: Inside) -> None:
    made = await owner.awaited("a")
    outcomes = await asyncio.gather(
        *(inside.complete(key_of(made), f"bytes {number}".encode()) for number in range(5)),
        return_exceptions=True,
    )
    done = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert 1 == len(done)
    assert all(isinstance(o, GatewayError) for o in outcomes if isinstance(o, BaseException))
    seen = (await owner.ask("GET", f"/{made['id']}")).json
    assert ("completed", 7) == (seen["status"], seen["fileSize"])


async def test_a_form_ends_with_the_next_one(owner: Owner, inside: Inside) -> None:
    made = await owner.awaited("a")
    again = await owner.ask("PATCH", f"/{made['id']}", {})
    assert key_of(made) != key_of(again.json)
    with pytest.raises(GatewayError):
        await inside.complete(key_of(made), b"old")
    record = await inside.complete(key_of(again.json), b"new")
    assert b"new" == await inside.content(record)
    with pytest.raises(GatewayError):
        await inside.complete(key_of(again.json), b"once more")


async def test_a_form_ends_even_while_its_bytes_are_coming(owner: Owner, inside: Inside) -> None:
    made = await owner.awaited("a")
    begun = await inside.find_awaited(key_of(made))
    again = await owner.ask("PATCH", f"/{made['id']}", {})
    with pytest.raises(GatewayError):
        await inside.deposit(begun, b"old")
    record = await inside.complete(key_of(again.json), b"new")
    assert b"new" == await inside.content(record)


async def test_patches_at_once_leave_one_form(owner: Owner, inside: Inside) -> None:
    made = await owner.awaited("a")
    said = await asyncio.gather(
        *(owner.ask("PATCH", f"/{made['id']}", {"fileSize": n}) for n in range(4))
    )
    keys = [key_of(answer.json) for answer in said if answer.status == 201]
    assert {201} == {answer.status for answer in said}
    assert 4 == len(set(keys))
    outcomes = await asyncio.gather(
        *(inside.complete(key, b"x") for key in keys), return_exceptions=True
    )
    assert 1 == sum(not isinstance(outcome, BaseException) for outcome in outcomes)


async def test_a_move_waits_for_who_is_putting_something_in(
    owner: Owner, inside: Inside, database: Database
) -> None:
    """It is not there yet when the move is asked for, and it follows all the same."""
    top = await owner.directory("top")
    async with database.transaction() as session:
        await session.connection.execute(ONE_FILE, owner.application)
        move = asyncio.create_task(status(owner.ask("POST", f"/{top}/move?name=there", {})))
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"

        async def waits() -> bool:
            return move.done() or await database_value(database, waiting) > 0

        await until(waits)
        assert not move.done()
    assert 201 == await move
    await inside.work()
    assert ["/there/", "/there/late"] == await owner.paths()


ONE_FILE = """
insert into files (id, kind, owner, name, content_type, attributes, creator)
select gen_random_uuid(), 'applications', $1, repeat('f', 24), '',
       jsonb_build_object('type', 'file', 'parent', '/top/', 'name', 'late', 'status', 'completed',
           'generation', 0, 'upload', null, 'expires', null, 'into', null, 'size', 0,
           'dimensions', null, 'author', repeat('0', 24), 'author_type', 'user'), ''
"""


async def database_value(database: Database, text: str) -> int:
    async with database.session() as session:
        return int(await session.connection.fetchval(text))


async def test_one_name_in_a_directory_is_one_file(owner: Owner) -> None:
    kinds = ["file", "directory"] * 4
    said = await asyncio.gather(
        *(owner.ask("POST", "", {"name": "same", "type": kind}) for kind in kinds)
    )
    assert [201] + [409] * 7 == sorted(answer.status for answer in said)
    others = [await owner.file(f"f{number}") for number in range(4)]
    said = await asyncio.gather(
        *(owner.ask("POST", f"/{found}/move?name=alike", {}) for found in others)
    )
    assert [201] + [409] * 3 == sorted(answer.status for answer in said)


@pytest.mark.parametrize("rounds", range(3))
async def test_all_at_once_ends_in_one_state(
    owner: Owner, inside: Inside, database: Database, rounds: int
) -> None:
    """Finish, move, delete of one file, and the removal of its directory: each is answered once."""
    directory = await owner.directory("d")
    made = await owner.awaited("a", "/d/")

    async def finish() -> int:
        try:
            await inside.complete(key_of(made), b"x")
        except GatewayError:
            return 400
        return 204

    answers = await asyncio.gather(
        finish(),
        status(owner.ask("POST", f"/{made['id']}/move?name=b&parentDirectory=/", {})),
        status(owner.ask("DELETE", f"/{made['id']}", {})),
        status(owner.ask("DELETE", f"/{directory}", {})),
        status(owner.ask("POST", "", {"name": "n", "type": "file", "parentDirectory": "/d/"})),
    )
    await owner.settle()
    moved, deleted, created = answers[1] == 201, answers[2] == 200, answers[4] == 201
    assert 200 == answers[3]
    assert {*answers} <= {200, 201, 204, 400, 404, 409}
    left = await owner.paths()
    assert left in ([], ["/b"])
    assert (left == ["/b"]) <= moved
    assert not (moved and deleted and left), "a file that was deleted under its old id is gone"
    assert created or answers[4] in (404, 409)
    await check_counts(database)
    # Whatever was completed and is there has its bytes.
    for item in await owner.all():
        assert item["status"] == ("completed" if answers[0] == 204 else "pending")


async def test_removing_an_application_while_files_are_made(
    owner: Owner, database: Database
) -> None:
    async def make(number: int) -> int:
        return (await owner.ask("POST", "", {"name": f"f{number}", "type": "file"})).status

    made = [asyncio.create_task(make(number)) for number in range(20)]
    said = await owner.client.ask("DELETE", f"/applications/{owner.application}", {})
    statuses = set(await asyncio.gather(*made))
    assert 200 == said.status
    assert statuses <= {201, 404}
    assert 0 == await left_over(database)
    assert 0 == await database_count(database, "select count(*) from files where owner = $1", owner)


async def test_two_workers_share_the_work(owner: Owner, database: Database) -> None:
    for number in range(6):
        await owner.directory(f"d{number}")
        await fill(database, owner, f"/d{number}/", 30)
    for number in range(6):
        found = await id_of(owner, f"/d{number}/")
        said = await owner.ask("POST", f"/{found}/move?name=e{number}", {})
        assert 201 == said.status
    await asyncio.gather(*(owner.inside.work() for _ in range(3)))
    await owner.settle()
    for number in range(6):
        said = await owner.ask("GET", f"?directory=/e{number}/&perPage=1")
        assert 30 == said.json["totalCount"]
    assert 6 * 30 + 6 == len(await owner.all())
    assert 0 == await left_over(database)


async def status(asked: Any) -> int:
    return int((await asked).status)


async def id_of(owner: Owner, path: str) -> str:
    """The id of what is at a path; a directory's ends with a slash."""
    for item in await owner.all():
        slash = "/" * (item["type"] == "directory")
        if item["parentDirectory"] + item["name"] + slash == path:
            return str(item["id"])
    raise AssertionError(f"nothing at {path}")


async def fill(database: Database, owner: Owner, parent: str, count: int) -> None:
    """So many files without bytes, at once."""
    async with database.session() as session:
        await session.connection.execute(
            """
            insert into files (id, kind, owner, name, content_type, attributes, creator)
            select gen_random_uuid(), 'applications', $1,
                   substr(replace(gen_random_uuid()::text, '-', ''), 1, 24), '',
                   jsonb_build_object('type', 'file', 'parent', $2::text, 'name', 'n' || n,
                       'status', 'completed', 'generation', 0, 'upload', null, 'expires', null,
                       'into', null, 'author', repeat('0', 24), 'author_type', 'user',
                       'size', 0, 'dimensions', null), ''
            from generate_series(1, $3) n
            """,
            owner.application,
            parent,
            count,
        )


async def live_blobs(database: Database, owner: Owner) -> int:
    return await database_count(
        database, "select count(*) from blobs where owner = $1 and condemned_until is null", owner
    )


async def left_over(database: Database) -> int:
    """Jobs and steps that are not done."""
    async with database.session() as session:
        jobs = await session.connection.fetchval("select count(*) from losant_jobs")
        steps = await session.connection.fetchval("select count(*) from losant_steps")
    return int(jobs + steps)


async def check_counts(database: Database) -> None:
    """What is kept of how many there are is how many there are, settled or not."""
    async with database.session() as session:
        wrong = await session.connection.fetch(MISCOUNTED)
    assert [] == [dict(row) for row in wrong]


MISCOUNTED = """
with kept as (
    select application, directory, type, status, sum(files) as files from losant_counts
    group by application, directory, type, status having sum(files) <> 0
), there as (
    select application, directory, type, status, count(*) as files from losant_files
    group by grouping sets ((application, type, status), (application, directory, type, status))
)
(select * from kept except select * from there) union all (select * from there except select * from kept)
"""


async def test_totals_are_kept_whatever_happens(
    owner: Owner, other: Owner, database: Database
) -> None:
    top = await plant(owner)
    await plant(other)
    await check_counts(database)
    await owner.ask("PATCH", f"/{await id_of(owner, '/top/mid/a')}", {})
    await owner.ask("POST", f"/{top}/move?name=there", {})
    await check_counts(database)
    await asyncio.gather(*(owner.inside.work() for _ in range(4)))
    await check_counts(database)
    assert 0 == await unsettled(database)
    await owner.ask("DELETE", f"/{await id_of(owner, '/there/')}", {})
    await asyncio.gather(*(owner.inside.work() for _ in range(4)))
    await check_counts(database)
    await other.client.ask("DELETE", f"/applications/{other.application}", {})
    await check_counts(database)
    text = "select count(*) from losant_counts where application = $1"
    assert 0 == await database_count(database, text, other)


async def unsettled(database: Database) -> int:
    async with database.session() as session:
        text = "select count(*) from losant_counts where not settled"
        return int(await session.connection.fetchval(text))


async def database_count(database: Database, text: str, owner: Owner) -> int:
    async with database.session() as session:
        return int(await session.connection.fetchval(text, owner.application))


async def test_what_is_done_is_noted(owner: Owner, database: Database) -> None:
    found = await owner.file("a")
    await owner.ask("POST", f"/{found}/move?name=b", {})

    async def noted() -> bool:
        text = "select count(*) from audit where owner = $1 and event = 'moved'"
        return await database_count(database, text, owner) == 1

    await until(noted)
