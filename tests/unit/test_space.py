"""The account of a disk's space: what is promised is nobody else's, and all of it comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.blobs.disk import space as space_module
from gateway.blobs.disk.space import Share, Space, Watermark
from gateway.blobs.disk.store import open_disk_store
from gateway.model.errors import StorageFull
from gateway.model.file import Scope

FREE = 1000
KEPT = 100
SCOPE = Scope("things", "t1")


class Disk:
    """What the file system says is free."""

    free = FREE


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk()
    monkeypatch.setattr(space_module, "_free_bytes", lambda _: found.free)
    return found


@pytest.fixture
def space(disk: Disk, tmp_path: Path) -> Iterator[Space]:
    folder = os.open(tmp_path, os.O_RDONLY)
    yield Space(folder, min_free_bytes=KEPT)
    os.close(folder)


@pytest.mark.parametrize(
    ("fits", "promised", "asked"),
    [
        pytest.param(True, 0, 900, id="all above the watermark"),
        pytest.param(False, 0, 901, id="one byte of the watermark"),
        pytest.param(True, 500, 400, id="what others left"),
        pytest.param(False, 500, 401, id="one byte of what others were promised"),
    ],
)
def test_a_promise_is_what_nobody_else_has(
    space: Space, fits: bool, promised: int, asked: int
) -> None:
    Share(space).promise(promised)
    if fits:
        Share(space).promise(asked)
    else:
        with pytest.raises(StorageFull):
            Share(space).promise(asked)
    assert space.spoken_for == promised + (asked if fits else 0)


def test_a_batch_without_a_promise_leaves_the_others_theirs(space: Space) -> None:
    Share(space).promise(800)
    stranger = Share(space)
    with pytest.raises(StorageFull), stranger.spending(101):
        pytest.fail("it was let in")
    with stranger.spending(100):
        assert space.spoken_for == 900


def test_a_batch_is_held_against_what_is_really_free(space: Space, disk: Disk) -> None:
    """The database took what was promised to an upload: the upload ends, not the database."""
    share = Share(space)
    share.promise(800)
    disk.free = KEPT + 49
    with pytest.raises(StorageFull), share.spending(50):
        pytest.fail("it was let in")
    share.give_back()
    assert space.spoken_for == 0


def test_all_that_was_promised_comes_back(space: Space) -> None:
    share = Share(space)
    share.promise(600)
    with share.spending(100):
        pass
    with pytest.raises(OSError, match="broken"), share.spending(100):
        raise OSError("broken")
    assert space.spoken_for == 400
    share.give_back()
    share.give_back()
    assert space.spoken_for == 0


@pytest.mark.parametrize("end", ["sealed", "discarded", "cancelled", "shorter", "full"])
async def test_an_upload_gives_its_room_back_however_it_ends(
    tmp_path: Path, disk: Disk, end: str
) -> None:
    disk.free = 64 << 20
    async with open_disk_store(tmp_path, min_free_bytes=1 << 20) as store:
        space = store._disk.space

        async def upload() -> None:
            async with store.stage(SCOPE, expected_bytes=32 << 20) as writer:
                assert space.spoken_for == 32 << 20
                await writer.write(bytes((32 if end == "sealed" else 8) << 20))
                await writer.measure()
                if end == "cancelled":
                    raise asyncio.CancelledError
                if end == "full":
                    disk.free = 0
                    await writer.write(bytes(8 << 20))
                if end != "discarded":
                    await writer.seal()

        if end == "cancelled":
            with pytest.raises(asyncio.CancelledError):
                await upload()
        elif end == "full":
            with pytest.raises(StorageFull):
                await upload()
        else:
            await upload()
        assert space.spoken_for == 0


async def test_the_watermark_is_seen_from_both_sides(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "_FRESH_SECONDS", 0.0)
    watermark = Watermark(tmp_path, min_free_bytes=KEPT)
    await watermark.check()
    disk.free = KEPT - 1
    for _ in range(2):
        with pytest.raises(StorageFull):
            await watermark.check()
    disk.free = KEPT
    await watermark.check()
