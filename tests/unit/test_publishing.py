"""Uploads made permanent together: one sync of their folder, and an outcome each."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.blobs.disk.folders import Disk
from gateway.blobs.disk.publishing import Publisher, Sealing, publish
from gateway.model.errors import StorageFailed, StorageFull
from gateway.model.file import Scope
from tests.tools.waiting import PATIENCE_SECONDS

SCOPE = Scope("things", "t1")
OTHER = Scope("groups", "g1")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    opened = Disk(tmp_path, min_free_bytes=0)
    yield opened
    opened.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is synced from now on."""
    fsync, names = os.fsync, list[str]()

    def note(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return names


def sealing(
    disk: Disk,
    scope: Scope = SCOPE,
    *,
    stored: bool = True,
    outcome: asyncio.Future[None] | None = None,
) -> Sealing:
    """An upload of one byte; without ``stored`` its part never comes to be."""
    name = f"{uuid4()}.part"

    def store() -> None:
        if stored:
            (disk.root / "incoming" / name).write_bytes(b"x")

    return Sealing(name, uuid4(), scope, store, lambda: None, outcome or asyncio.Future())


def held(disk: Disk, busy: threading.Event, go: threading.Event) -> Sealing:
    """An upload that says that it is being stored, and waits there."""
    upload = sealing(disk)
    store = upload.store

    def hold() -> None:
        busy.set()
        assert go.wait(10)
        store()

    upload.store = hold
    return upload


async def told(upload: Sealing) -> bool:
    """That it was published, within a while. Raises what it failed with."""
    await asyncio.wait_for(upload.outcome, PATIENCE_SECONDS)
    return True


def permanent(disk: Disk) -> set[str]:
    return {path.name for path in (disk.root / "blobs").rglob("*") if path.is_file()}


async def test_a_folder_is_synced_once_for_all(disk: Disk, synced: list[str]) -> None:
    publish(disk, [sealing(disk), sealing(disk, OTHER)])  # their folders are made
    synced.clear()
    together = [sealing(disk) for _ in range(5)] + [sealing(disk, OTHER)]
    publish(disk, together)
    assert synced == [SCOPE.owner, OTHER.owner]
    assert {each.name for each in together} <= permanent(disk)
    assert list((disk.root / "incoming").iterdir()) == []
    for each in together:
        assert await told(each)


async def test_all_are_written_before_the_first_is_synced(disk: Disk) -> None:
    """So that the disk has the bytes of all while it is waited for one of them."""
    done = list[str]()

    def noting(name: str) -> Sealing:
        store, sync = partial(done.append, f"write {name}"), partial(done.append, f"sync {name}")
        return Sealing(f"{name}.part", uuid4(), SCOPE, store, sync, asyncio.Future())

    uploads = [noting("a"), noting("b")]
    publish(disk, uploads)
    assert ["write a", "write b", "sync a", "sync b"] == done
    told = await asyncio.gather(*(each.outcome for each in uploads), return_exceptions=True)
    assert all(isinstance(each, StorageFailed) for each in told), "there is no part"


@pytest.mark.parametrize("step", ["store", "sync"])
async def test_what_is_not_stored_or_not_synced_has_no_name_and_is_told_why(
    disk: Disk, step: str
) -> None:
    def fail() -> None:
        raise StorageFull()

    lost, kept = sealing(disk), sealing(disk)
    setattr(lost, step, fail)
    publish(disk, [lost, kept])
    with pytest.raises(StorageFull):
        await lost.outcome
    assert await told(kept)
    assert {kept.name} == permanent(disk)


async def test_a_folder_that_cannot_be_opened_fails_its_own_alone(disk: Disk) -> None:
    (disk.root / "blobs" / SCOPE.kind).mkdir()
    (disk.root / "blobs" / SCOPE.kind / SCOPE.owner).write_bytes(b"")
    lost, kept = [sealing(disk), sealing(disk)], sealing(disk, OTHER)
    publish(disk, [*lost, kept])
    for each in lost:
        with pytest.raises(StorageFailed):
            await told(each)
    assert await told(kept)
    assert kept.name in permanent(disk)


async def test_who_does_not_wait_any_more_keeps_nobody_else_waiting(disk: Disk) -> None:
    gone, kept = sealing(disk), sealing(disk)
    gone.outcome.cancel()
    publish(disk, [gone, kept])
    assert await told(kept)


async def test_a_part_that_cannot_be_taken_away_keeps_nobody_waiting(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a second name, for the sweeper; here it has been there already."""
    upload, fsync = sealing(disk), os.fsync

    def sweep(descriptor: int) -> None:
        (disk.root / "incoming" / upload.part).unlink()
        monkeypatch.setattr(os, "fsync", fsync)

    publish(disk, [sealing(disk)])
    monkeypatch.setattr(os, "fsync", sweep)
    publish(disk, [upload])
    assert await told(upload)


async def test_threads_are_told_apart_by_their_names(disk: Disk) -> None:
    """As ``top -H`` and a dump of all stacks show them."""
    publisher, names = Publisher(disk, together=1, alone=1), list[str]()
    for alone in (False, True):
        upload = sealing(disk)
        upload.sync = lambda: names.append(threading.current_thread().name)
        publisher.submit(upload, alone=alone)
        assert await told(upload)
    publisher.close()
    assert ["blob-publish_0", "blob-seal_0"] == names


def test_what_is_published_when_its_loop_is_closed_is_there(disk: Disk) -> None:
    loop = asyncio.new_event_loop()
    upload = sealing(disk, outcome=loop.create_future())
    loop.close()
    publish(disk, [upload])
    assert {upload.name} == permanent(disk)


async def test_what_fails_is_alone_in_that(disk: Disk) -> None:
    good, bad, fine = sealing(disk), sealing(disk, stored=False), sealing(disk)
    publish(disk, [good, bad, fine])
    with pytest.raises(StorageFailed):
        await bad.outcome
    assert permanent(disk) == {good.name, fine.name}
    assert await told(good)
    assert await told(fine)


async def test_a_folder_that_cannot_be_synced_gives_no_names(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(disk, [sealing(disk)])
    before, fsync = permanent(disk), os.fsync

    def fail(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == SCOPE.owner:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    lost, kept = [sealing(disk), sealing(disk)], sealing(disk, OTHER)
    publish(disk, [*lost, kept])
    for each in lost:
        with pytest.raises(StorageFailed):
            await each.outcome
    assert await told(kept)
    assert permanent(disk) == before | {kept.name}


async def test_nobody_hears_of_a_name_before_its_folder_is_synced(
    disk: Disk, synced: list[str]
) -> None:
    publish(disk, [sealing(disk)])
    synced.clear()
    upload, heard = sealing(disk), list[list[str]]()
    upload.outcome.add_done_callback(lambda _: heard.append(list(synced)))
    publish(disk, [upload])
    await upload.outcome
    assert heard == [[SCOPE.owner]]


async def test_what_comes_while_the_threads_are_busy_goes_together(disk: Disk) -> None:
    """And none is forgotten, however they come."""
    publisher, busy, go = Publisher(disk, together=1, alone=1), threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        assert go.wait(10)

    first = Sealing("none.part", uuid4(), SCOPE, hold, lambda: None, asyncio.Future())
    publisher.submit(first, alone=False)
    assert await asyncio.to_thread(busy.wait, 10)
    uploads = [sealing(disk) for _ in range(100)]
    for upload in uploads:
        publisher.submit(upload, alone=False)
    aside = sealing(disk)
    publisher.submit(aside, alone=True)
    assert await told(aside), "it waits for nobody"
    go.set()
    for upload in uploads:
        assert await told(upload)
    with pytest.raises(StorageFailed):
        await first.outcome
    again = sealing(disk)
    publisher.submit(again, alone=False)
    assert await told(again)
    publisher.close()
    assert permanent(disk) == {each.name for each in [*uploads, aside, again]}


async def test_uploads_wait_for_none_while_a_thread_is_idle(disk: Disk) -> None:
    """Nor later, when the threads have been busy and are idle again."""
    publisher = Publisher(disk, together=2, alone=1)
    for _ in range(3):
        go, uploads = threading.Event(), list[Sealing]()
        for _ in range(2):
            busy = threading.Event()
            uploads.append(held(disk, busy, go))
            publisher.submit(uploads[-1], alone=False)
            assert await asyncio.to_thread(busy.wait, 10), "a thread is idle, and was not sent"
        go.set()
        for upload in uploads:
            assert await told(upload)
    publisher.close()


async def test_large_uploads_are_no_more_at_once_than_they_may(disk: Disk) -> None:
    publisher, go = Publisher(disk, together=1, alone=1), threading.Event()
    busy, late = threading.Event(), threading.Event()
    first, second = held(disk, busy, go), held(disk, late, go)
    publisher.submit(first, alone=True)
    assert await asyncio.to_thread(busy.wait, 10)
    publisher.submit(second, alone=True)
    assert not await asyncio.to_thread(late.wait, 0.1), "it waits for its thread"
    go.set()
    assert await told(first)
    assert await told(second)
    publisher.close()
