"""Batches on their way from the loop to a thread."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.blobs.disk import writer as disk_writer
from gateway.blobs.disk.batches import Batch, Batches
from gateway.blobs.disk.folders import Disk
from gateway.blobs.disk.publishing import Publisher
from gateway.blobs.disk.writer import DiskWriter
from gateway.model.errors import StorageFailed
from gateway.model.file import Scope
from tests.tools.waiting import PATIENCE_SECONDS

SCOPE = Scope("things", "t1")
PIECE = bytes(1024 * 1024)


def batch(number: int) -> Batch:
    made = Batch()
    made.add(bytes([number]))
    return made


def test_small_chunks_are_gathered_and_large_ones_are_kept_as_they_are() -> None:
    large, made = bytes(100_000), Batch()
    for chunk in (b"a", b"b", large, b"c", b"d"):
        made.add(chunk)
    assert made.pieces == [b"ab", large, b"cd"]
    assert made.pieces[1] is large
    assert made.size == 100_004


async def test_a_thread_is_sent_once_and_takes_all_in_order() -> None:
    batches = Batches()
    assert [batches.put(batch(number)) for number in range(3)] == [True, False, False]
    taken = []
    while (found := batches.take()) is not None:
        taken.append(found.pieces[0][0])
    assert taken == [0, 1, 2]
    assert batches.put(batch(3)), "the thread said that it goes"


async def test_who_fills_waits_for_room_and_no_longer() -> None:
    batches = Batches()
    batches.put(batch(0))
    await asyncio.wait_for(batches.room(), PATIENCE_SECONDS)
    batches.put(batch(1))
    waiting = asyncio.create_task(batches.room())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await asyncio.to_thread(batches.take)
    await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_who_fills_does_not_wait_for_a_thread_that_gave_up() -> None:
    batches = Batches()
    batches.put(batch(0))
    batches.put(batch(1))
    waiting = asyncio.create_task(batches.room())
    await asyncio.sleep(0.01)
    await asyncio.to_thread(batches.give_up)
    await asyncio.wait_for(waiting, PATIENCE_SECONDS)
    assert batches.put(batch(2))
    assert batches.take() is not None
    assert batches.take() is None, "what waited before is gone"


async def test_a_writer_whose_disk_fails_says_so_at_every_later_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never waits for a thread that will not come."""

    def fail(descriptor: int, content: memoryview) -> None:
        time.sleep(0.01)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk_writer, "write_all", fail)
    disk = Disk(tmp_path, min_free_bytes=0)
    publisher = Publisher(disk, together=1, alone=1)
    with ThreadPoolExecutor(2) as pool:
        writer = DiskWriter(disk, pool, publisher, SCOPE, ())
        failures = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(10):
                try:
                    await writer.write(PIECE)
                except StorageFailed:
                    failures += 1
            for call in (writer.measure, writer.seal):
                with pytest.raises(StorageFailed):
                    await call()
            await writer.discard()
    publisher.close()
    disk.close()
    assert failures >= 5
    assert list((tmp_path / "incoming").iterdir()) == []
