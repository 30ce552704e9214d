"""Suite C: every system call of an upload fails, in every way it may, under the real gateway.

Whatever fails: the right status in our own words, no acknowledgement, nothing stored, the file
of that name untouched, no descriptor and no part left, fsync never tried twice on a file, and
the next upload works.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.blobs.disk.store import open_disk_store
from gateway.database.pool import Database
from gateway.model.errors import GatewayError, StorageFailed
from gateway.model.file import Draft, Scope
from gateway.upkeep.check import What, check
from gateway.upkeep.sweep import GracePeriods, sweep
from tests.contract.abilities import inventory_of
from tests.faults.broken import (
    Faults,
    Match,
    is_blob,
    is_kind,
    is_part,
    is_root,
    is_scope,
)
from tests.faults.house import House, new_thing, open_house
from tests.tools.firmware import Firmware
from tests.tools.waiting import until

OLD = Firmware(0, 100_000).content
SMALL, LARGE = Firmware(1, 5_000).content, Firmware(2, 3_000_000).content
SCOPE = Scope("things", "t1")


@pytest.fixture
async def house(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database_url, tmp_path / "data", await new_thing(database)) as house:
        yield house


@pytest.fixture
def faults(house: House, monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


FULL = [errno.ENOSPC, errno.EDQUOT]
BROKEN = [errno.EIO, errno.EMFILE]
TABLE = [
    ("fstatvfs", is_root, [errno.EIO]),
    ("open", is_part, [*FULL, *BROKEN]),
    ("flock", is_part, [errno.EIO, errno.ENOLCK]),
    ("write", is_part, [*FULL, errno.EFBIG, errno.EIO]),
    ("fsync", is_part, [*FULL, errno.EIO]),
    ("close", is_part, [errno.EDQUOT, errno.EIO]),
    ("mkdir", is_kind, [*FULL, errno.EIO]),
    ("mkdir", is_scope, [*FULL, errno.EIO]),
    ("open", is_scope, [*BROKEN]),
    ("fsync", is_root, [errno.EIO]),
    ("fsync", is_kind, [*FULL, errno.EIO]),
    ("fsync", is_scope, [*FULL, errno.EIO]),
    ("link", is_blob, [*FULL, errno.EIO, errno.EMLINK]),
]
CASES = [
    pytest.param(
        call,
        match,
        error,
        content,
        id=f"{call} {match.__name__[3:]} {errno.errorcode[error]} {size}",
    )
    for call, match, errors in TABLE
    for error in errors
    for size, content in (("small", SMALL), ("large", LARGE))
    if match is is_part or size == "small"
]


@pytest.mark.parametrize(("call", "match", "error", "content"), CASES)
async def test_an_upload_whose_system_call_fails_leaves_no_trace(
    house: House, faults: Faults, call: str, match: Match, error: int, content: bytes
) -> None:
    before = house.descriptors()
    with faults.failing(call, match, error):
        said = await house.ask("POST", "new.bin", content)
    full = error in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    assert (507 if full else 500) == said.status, said.body
    assert said.is_worded_failure
    assert faults.hits
    assert ([], []) == (house.parts(), house.blobs())
    assert before == house.descriptors()
    assert 404 == (await house.ask("GET", "new.bin")).status
    assert 1 >= max(
        (n for ino, n in faults.synced.items() if ino not in _folders(house)), default=0
    )
    assert 201 == (await house.ask("POST", "new.bin", content)).status
    assert content == (await house.ask("GET", "new.bin")).body


@pytest.mark.parametrize(
    ("call", "match", "at"),
    [
        pytest.param("write", is_part, 2, id="the second batch"),
        pytest.param("fsync", is_part, 1, id="the file's fsync"),
        pytest.param("link", is_blob, 1, id="the link"),
        pytest.param("fsync", is_scope, 1, id="the folder's fsync"),
    ],
)
async def test_a_replacement_that_fails_leaves_the_old_file(
    house: House, faults: Faults, call: str, match: Match, at: int
) -> None:
    await house.ask("POST", "fw.bin", OLD)
    old, before = await house.ask("GET", "fw.bin"), house.blobs()
    with faults.failing(call, match, errno.EIO, at=at):
        said = await house.ask("PUT", "fw.bin", LARGE)
    assert (500, True) == (said.status, said.is_worded_failure)
    now = await house.ask("GET", "fw.bin")
    assert (OLD, old.headers["ETag"]) == (now.body, now.headers["ETag"])
    assert ([], before) == (house.parts(), house.blobs())
    assert 200 == (await house.ask("PUT", "fw.bin", LARGE)).status
    assert LARGE == (await house.ask("GET", "fw.bin")).body


async def test_short_writes_lose_nothing(house: House, faults: Faults) -> None:
    with faults.short_writes():
        assert 201 == (await house.ask("POST", "fw.bin", LARGE)).status
    assert LARGE == (await house.ask("GET", "fw.bin")).body


async def test_a_part_that_cannot_be_unlinked_fails_no_durable_upload(
    house: House, faults: Faults
) -> None:
    with faults.failing("unlink", is_part, errno.EIO):
        assert 201 == (await house.ask("POST", "fw.bin", SMALL)).status
    assert 1 == len(house.parts())
    assert 1 == await inventory_of(house.stores.blobs).clear_incoming(older_than_seconds=-1)
    assert SMALL == (await house.ask("GET", "fw.bin")).body


async def test_a_name_that_cannot_be_taken_back_is_an_orphan_and_no_file(
    house: House, faults: Faults
) -> None:
    """The folder's fsync fails, and then the unlink of what it would have made durable."""
    with (
        faults.failing("fsync", is_scope, errno.EIO),
        faults.failing("unlink", is_blob, errno.EIO),
    ):
        assert 500 == (await house.ask("POST", "fw.bin", SMALL)).status
    assert 404 == (await house.ask("GET", "fw.bin")).status
    assert 1 == len(house.blobs())


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param("open", errno.EMFILE, id="no descriptor"),
        pytest.param("open", errno.EIO, id="open"),
        pytest.param("fstat", errno.EIO, id="stat"),
    ],
)
async def test_a_download_that_cannot_begin_says_so(
    house: House, faults: Faults, call: str, error: int
) -> None:
    await house.ask("POST", "fw.bin", SMALL)
    before = house.descriptors()
    with faults.failing(call, is_blob, error):
        said = await house.ask("GET", "fw.bin")
    assert (500, True) == (said.status, said.is_worded_failure)
    # Somebody looks at the blob now, and closes it again.
    await until(lambda: before == house.descriptors())
    assert SMALL == (await house.ask("GET", "fw.bin")).body


async def test_a_volume_whose_fsyncs_fail_is_not_ready(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        async with open_disk_store(tmp_path) as store:
            faults = Faults(patch)
            await store.probe()
            with faults.failing("fsync", is_part, errno.EIO):
                for _ in range(3):
                    async with store.stage(SCOPE) as writer:
                        await writer.write(b"lost")
                        with pytest.raises(StorageFailed):
                            await writer.seal()
            with pytest.raises(StorageFailed):
                await store.probe()


def _folders(house: House) -> set[int]:
    """Folders may be synced as often as one likes: the inodes of ours."""
    root = house.data_dir
    return {path.stat().st_ino for path in (root, *root.rglob("*"), *root.parents) if path.is_dir()}


async def test_a_sweep_that_was_killed_after_its_claim_is_finished_by_the_next(
    house: House,
) -> None:
    """The claim keeps a late commit away for a week; the bytes need not wait for that."""
    stores = house.stores
    async with stores.blobs.stage(SCOPE) as writer:
        await writer.write(b"an orphan")
        orphan = await writer.seal()
    assert await stores.ledger.condemn_orphan(orphan.id, SCOPE)
    assert [orphan.id] == (await check(stores.blobs, stores.ledger)).blobs_that_are(What.ORPHAN)
    assert 1 == (await sweep(stores.blobs, stores.ledger, GracePeriods(-1, -1))).orphans
    assert [] == house.blobs()
    with pytest.raises(GatewayError):
        await stores.files.add(Draft(SCOPE, "late", "a/b"), orphan, creator="me")
