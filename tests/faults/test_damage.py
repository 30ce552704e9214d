"""Damaged blobs: found by a scrub, a check or a read; sent to nobody; mended when they can be.

The suite of random injections is ``tests/torture/damage.py``; here is one case for each promise.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from gateway.catalogue.damage import ScrubKind
from gateway.catalogue.postgres_damage import PostgresScrubPlan
from gateway.database.changes import listening
from gateway.database.pool import Database
from gateway.model.change import ChangeListeners
from gateway.model.damage import Damage, Fault, FoundBy
from gateway.upkeep import scrub as scrubs
from gateway.upkeep.check import What, check
from gateway.upkeep.quarantine import StoreAway, Ward
from gateway.upkeep.repair import repair
from gateway.upkeep.scrub import Scrubber, scrubbing
from gateway.upkeep.sweep import GracePeriods
from gateway.web.authentication import CALLERS
from gateway.web.context import WARD
from gateway.web.downloads.context import DOWNLOADS
from tests.faults.house import House, new_thing, open_house
from tests.tools.firmware import Firmware
from tests.tools.rawhttp import raw_connection
from tests.tools.waiting import until

LARGE = Firmware(71, 3_000_000).content
SMALL = Firmware(72, 5_000).content
GRACE = GracePeriods(0, 0)
DAMAGED = b'{"error":"the file is damaged: upload it again"}'


@pytest.fixture
def settings() -> dict[str, Any]:
    """What a test wants different."""
    return {}


@pytest.fixture
async def house(
    database: Database, database_url: str, tmp_path: Path, settings: dict[str, Any]
) -> AsyncIterator[House]:
    """A gateway that hears what others change, with a large and a small file of a thing."""
    headers = await new_thing(database)
    chosen: dict[str, Any] = {"verify_one_in": 0, **settings}
    async with open_house(database_url, tmp_path / "data", headers, **chosen) as house:
        listeners = ChangeListeners(house.app[CALLERS].listeners, house.app[DOWNLOADS].under_way)
        async with listening(database_url, listeners):
            for name, content in (("large.bin", LARGE), ("small.bin", SMALL)):
                assert 201 == (await house.ask("POST", name, content)).status
            yield house


async def blob_of(house: House, name: str) -> UUID:
    database = house.stores.messaging.database
    async with database.session() as session:
        found = await session.connection.fetchval("select blob_id from files where name = $1", name)
    assert isinstance(found, UUID)
    return found


async def path_of(house: House, name: str) -> Path:
    [path] = (house.data_dir / "blobs").rglob(str(await blob_of(house, name)))
    return path


def flip(path: Path) -> None:
    """One bit in the middle, in place."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0] ^ 1
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte]))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def extend(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"!")


def make_unreadable(path: Path) -> None:
    """Opening it follows no link, as root too."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


KINDS = [
    pytest.param(flip, Damage.DAMAGED, id="a bit is another"),
    pytest.param(truncate, Damage.WRONG_SIZE, id="a byte is gone"),
    pytest.param(extend, Damage.WRONG_SIZE, id="a byte too many"),
    pytest.param(Path.unlink, Damage.MISSING, id="all is gone"),
    pytest.param(make_unreadable, Damage.UNREADABLE, id="it cannot be opened"),
]


def scrubber(house: House, **more: Any) -> Scrubber:
    return Scrubber(house.app[WARD], house.stores.scrubs, **more)


async def scrub(house: House) -> None:
    """As the command does it."""
    await scrubber(house).finish(await house.stores.scrubs.begin(ScrubKind.COMMAND))


async def quarantine(house: House) -> list[tuple[str, Damage, FoundBy]]:
    found = await house.stores.quarantine.page(None, 100)
    return [(entry.file.name, entry.fault.damage, entry.found_by) for entry in found]


@pytest.mark.parametrize(("injure", "damage"), KINDS)
@pytest.mark.parametrize("name", ["large.bin", "small.bin"])
async def test_what_a_scrub_found_is_refused_before_its_first_byte_on_a_connection_that_goes_on(
    house: House, name: str, injure: Callable[[Path], None], damage: Damage
) -> None:
    assert 200 == (await house.ask("GET", name)).status
    injure(await path_of(house, name))
    await scrub(house)
    assert [(name, damage, FoundBy.SCRUB)] == await quarantine(house)
    other = SMALL if name == "large.bin" else LARGE
    headers = [*house.headers.items()]
    async with raw_connection(int(house.url.rpartition(":")[2])) as connection:
        for wanted in ([], [("Range", "bytes=0-99")], [("If-Range", '"x"'), ("Range", "bytes=1-")]):
            answer = await connection.ask("GET", f"/files/{name}", [*headers, *wanted])
            assert (500, DAMAGED) == (answer.status, answer.body)
            answer = await connection.ask("HEAD", f"/files/{name}", [*headers, *wanted])
            assert 500 == answer.status
            rest = f"/files/{'small' if other is SMALL else 'large'}.bin"
            assert other == (await connection.ask("GET", rest, headers)).body


async def test_an_upload_of_the_name_replaces_what_is_in_quarantine(house: House) -> None:
    flip(await path_of(house, "large.bin"))
    await scrub(house)
    assert 500 == (await house.ask("GET", "large.bin")).status
    assert 200 == (await house.ask("PUT", "large.bin", SMALL)).status
    assert SMALL == (await house.ask("GET", "large.bin")).body
    assert ([], 0) == (await quarantine(house), await house.stores.quarantine.count())


@pytest.mark.parametrize("mend", ["scrub", "repair"])
async def test_a_blob_whose_bytes_are_right_again_leaves_the_quarantine(
    house: House, mend: str
) -> None:
    path = await path_of(house, "large.bin")
    flip(path)
    await scrub(house)
    assert 500 == (await house.ask("GET", "large.bin")).status
    flip(path)
    if mend == "scrub":
        await scrub(house)
    else:
        ward = house.app[WARD]
        report = await check(ward.blobs, ward.ledger, GRACE, quarantine=ward.quarantine)
        assert [What.DAMAGED] == [finding.what for finding in report.findings]
        report = await repair(ward, GRACE, report)
        assert ([], [What.DAMAGED]) == (report.findings, [f.what for f in report.repaired])
    assert [] == await quarantine(house)
    assert LARGE == (await house.ask("GET", "large.bin")).body


async def get_cut(house: House, name: str) -> tuple[int, bytes]:
    """The status, and what came of the body until the connection ended."""
    async with raw_connection(int(house.url.rpartition(":")[2])) as connection:
        await connection.send_head("GET", f"/files/{name}", [*house.headers.items()])
        head = await connection.read_head()
        body = b""
        try:
            while piece := await connection.read_some():
                body += piece
                if len(body) == int(head.one("Content-Length")):
                    break
        except ConnectionError:
            pass
        return head.status, body


@pytest.mark.parametrize("settings", [{"verify_one_in": 1}], ids=["every read is hashed"])
async def test_a_hashed_download_of_other_bytes_is_cut_and_its_blob_sent_to_nobody_again(
    house: House,
) -> None:
    for name in ("large.bin", "small.bin"):
        assert 200 == (await house.ask("GET", name)).status
        flip(await path_of(house, name))
    status, body = await get_cut(house, "large.bin")
    assert (200, True) == (status, len(body) < len(LARGE))
    assert 500 == (await house.ask("GET", "small.bin")).status
    assert [
        ("large.bin", Damage.DAMAGED, FoundBy.READ),
        ("small.bin", Damage.DAMAGED, FoundBy.READ),
    ] == await quarantine(house)
    assert DAMAGED == (await house.ask("GET", "large.bin")).body


async def test_none_is_hashed_where_none_is_to_be(house: House) -> None:
    flip(await path_of(house, "large.bin"))
    assert len(LARGE) == len((await house.ask("GET", "large.bin")).body)
    assert [] == await quarantine(house)


@pytest.mark.parametrize("injure", [truncate, extend], ids=["shorter", "longer"])
async def test_a_file_that_changes_while_it_is_open_is_cut_and_then_in_quarantine(
    house: House, injure: Callable[[Path], None]
) -> None:
    assert 206 == await ranged(house)  # so that it is open
    injure(await path_of(house, "large.bin"))
    status, body = await get_cut(house, "large.bin")
    assert (200, True) == (status, len(body) <= len(LARGE))
    await until(lambda: _has_damage(house))
    assert [("large.bin", Damage.WRONG_SIZE, FoundBy.READ)] == await quarantine(house)


async def _has_damage(house: House) -> bool:
    return await house.stores.quarantine.count() > 0


async def ranged(house: House) -> int:
    wanted = {**house.headers, "Range": "bytes=0-99"}
    async with house.session.get(f"{house.url}/files/large.bin", headers=wanted) as answer:
        await answer.read()
        return answer.status


@pytest.mark.parametrize("settings", [{"fast_ways": frozenset[str]()}], ids=["no short cut"])
async def test_a_disk_that_fails_in_the_middle_cuts_and_its_blob_is_in_quarantine(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, inode = os.pread, (await path_of(house, "large.bin")).stat().st_ino

    def failing(descriptor: int, count: int, offset: int) -> bytes:
        if offset > 1_000_000 and os.fstat(descriptor).st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", failing)
    status, body = await get_cut(house, "large.bin")
    assert (200, True) == (status, 0 < len(body) < len(LARGE))
    await until(lambda: _has_damage(house))
    assert [("large.bin", Damage.UNREADABLE, FoundBy.READ)] == await quarantine(house)


@pytest.mark.parametrize("settings", [{"fast_ways": frozenset[str]()}], ids=["no short cut"])
@pytest.mark.parametrize("failures", [1, 2], ids=["of the read", "and of the first look"])
async def test_a_disk_that_fails_for_a_moment_has_damaged_nothing(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failures: int,
) -> None:
    real, inode = os.pread, (await path_of(house, "large.bin")).stat().st_ino
    left = [OSError(errno.EIO, os.strerror(errno.EIO)) for _ in range(failures)]

    def failing(descriptor: int, count: int, offset: int) -> bytes:
        if left and offset > 1_000_000 and os.fstat(descriptor).st_ino == inode:
            raise left.pop()
        return real(descriptor, count, offset)

    caplog.set_level("INFO", logger="gateway.upkeep.quarantine")
    monkeypatch.setattr(os, "pread", failing)
    _, body = await get_cut(house, "large.bin")
    assert len(body) < len(LARGE)
    await until(lambda: "its blob is right" in caplog.text)
    assert ([], []) == (left, await quarantine(house))
    assert LARGE == (await house.ask("GET", "large.bin")).body


async def test_a_download_under_way_is_cut_when_another_gateway_finds_the_damage(
    house: House,
) -> None:
    big = Firmware(73, 48_000_000).content
    assert 201 == (await house.ask("POST", "big.bin", big)).status
    blob_id, port = await blob_of(house, "big.bin"), int(house.url.rpartition(":")[2])
    async with raw_connection(port, receive_buffer=65_536) as connection:
        await connection.send_head("GET", "/files/big.bin", [*house.headers.items()])
        assert 200 == (await connection.read_head()).status
        await house.stores.quarantine.put(blob_id, Fault(Damage.DAMAGED, "seen"), FoundBy.SCRUB)
        body, ending = await connection.read_ending()
    assert len(body) < len(big), ending
    assert DAMAGED == (await house.ask("GET", "big.bin")).body


async def test_a_store_that_is_away_puts_nothing_into_quarantine(house: House) -> None:
    blobs = house.data_dir / "blobs" / "things"
    blobs.rename(house.data_dir / "elsewhere")
    with pytest.raises(StoreAway):
        await scrub(house)
    assert 500 == (await house.ask("GET", "large.bin")).status
    (house.data_dir / "elsewhere").rename(blobs)
    await scrub(house)
    assert [] == await quarantine(house)
    assert LARGE == (await house.ask("GET", "large.bin")).body


async def fill(house: House, count: int) -> None:
    for number in range(count):
        assert 201 == (await house.ask("POST", f"{number}.bin", b"%d" % number)).status


async def test_two_who_scrub_hash_each_blob_once(house: House) -> None:
    await fill(house, 30)
    hashed = list[UUID]()
    scrub_id = await house.stores.scrubs.begin(ScrubKind.COMMAND)
    both = [scrubber(house, hashed=lambda blob: hashed.append(blob.id)) for _ in range(2)]
    done = await asyncio.gather(*(each.finish(scrub_id) for each in both))
    assert (32, 32) == (len(hashed), len(set(hashed)))
    assert [(True, 32)] * 2 == [(progress.ended, progress.blobs) for progress in done]


async def test_a_scrub_goes_on_where_one_that_died_stood(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(house, 30)
    monkeypatch.setattr(scrubs, "_WRITE_SECONDS", -1.0)  # after each blob
    hashed = list[UUID]()

    class Died(BaseException):
        pass

    def until_ten(blob: Any) -> None:
        if len(hashed) == 10:
            raise Died
        hashed.append(blob.id)

    plan = PostgresScrubPlan(house.stores.messaging.database, lease_seconds=0.3)
    monkeypatch.setattr(plan, "let_go", _nothing)
    scrub_id = await plan.begin(ScrubKind.COMMAND)
    with pytest.raises(Died):
        await Scrubber(house.app[WARD], plan, hashed=until_ten).finish(scrub_id)
    assert scrub_id == await plan.begin(ScrubKind.COMMAND)
    again = list[UUID]()
    done = await scrubber(house, hashed=lambda blob: again.append(blob.id)).finish(scrub_id)
    assert (True, 32, 22) == (done.ended, done.blobs, len(again))
    assert set() == set(hashed) & set(again)


async def _nothing(*_: object) -> None:
    """Whoever died does nothing any more."""


async def test_the_service_hashes_one_portion_at_a_time_and_once_in_so_many_days(
    house: House,
) -> None:
    plan, hashed = house.stores.scrubs, list[UUID]()
    scrub_id = await plan.begin(ScrubKind.SERVICE)
    portion = await plan.claim(scrub_id, most_at_once=1)
    assert portion is not None
    assert None is await plan.claim(scrub_id, most_at_once=1)
    await plan.let_go(portion)
    own = scrubber(house, hashed=lambda blob: hashed.append(blob.id))
    async with scrubbing(own, every_days=1, look_seconds=0.01):
        await until(lambda: _has_ended(house))
        await asyncio.sleep(0.1)
    assert 2 == len(hashed)
    assert not await plan.is_due(1)


async def _has_ended(house: House) -> bool:
    return not await house.stores.scrubs.is_due(1)


async def test_a_scrub_keeps_to_its_rate(house: House) -> None:
    loop = asyncio.get_running_loop()
    began, rate = loop.time(), 10_000_000
    limited = scrubber(house, bytes_per_second=rate)
    await limited.finish(await house.stores.scrubs.begin(ScrubKind.COMMAND))
    assert loop.time() - began >= 0.9 * len(LARGE) / rate


async def test_damage_and_its_end_are_in_the_audit_and_told_to_webhooks_once(
    house: House, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        thing = await connection.fetchval("select owner from files where name = 'large.bin'")
        await connection.execute(
            "insert into webhooks (id, thing_id, name, url, host, format, files, messages)"
            " values ($1, $2, 'w', 'http://h', 'h', 'json', true, false)",
            uuid4(), UUID(thing),
        )  # fmt: skip
        path = await path_of(house, "large.bin")
        flip(path)
        await scrub(house)
        await scrub(house)
        truncate(path)
        await scrub(house)
        assert [("large.bin", Damage.WRONG_SIZE, FoundBy.SCRUB)] == await quarantine(house)
        with path.open("ab") as file:
            file.write(LARGE[-1:])
        flip(path)
        await scrub(house)
        told = await connection.fetch(
            "select body::jsonb ->> 'event' as e from deliveries order by id"
        )
        noted = await connection.fetch(
            "select event, actor from audit where event in ('quarantined', 'released') order by id"
        )
    finally:
        await connection.close()
    assert ["damaged", "repaired"] == [row["e"] for row in told]
    assert [("quarantined", "scrub"), ("released", "scrub")] == [tuple(row) for row in noted]


async def test_what_was_removed_meanwhile_is_no_damage(house: House) -> None:
    blob_id = await blob_of(house, "small.bin")
    assert 204 == (await house.ask("DELETE", "small.bin")).status
    ward: Ward = house.app[WARD]
    fault = Fault(Damage.DAMAGED, "late")
    assert None is await ward.quarantine.put(blob_id, fault, FoundBy.SCRUB)
    assert 0 == await ward.quarantine.count()
