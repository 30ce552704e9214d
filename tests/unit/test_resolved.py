"""The cache of resolved reads: what it may keep, and what makes it forget."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

import pytest

from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.change import Change, FileChanged, RightsChanged
from gateway.model.digest import Digest
from gateway.model.file import Blob, FileRecord, Scope
from gateway.model.precondition import Validators
from gateway.traffic.resolved import Closable, ReadCache, Resolved, SharedReader, Version

R = TypeVar("R", bound=Closable)
SCOPE = Scope("things", "one")
OTHER = FileChanged(SCOPE, "other.bin")
CHANGED = FileChanged(SCOPE, "firmware.bin")


class OpenBlob:
    """A blob that knows whether it is open."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def resolved(blob: R, *, size: int = 3, lines: bytes = b"", plain: bool = False) -> Resolved[R]:
    """A read of ``blob``, which is open."""
    now = datetime.now(UTC)
    record = FileRecord(
        id=uuid4(),
        scope=SCOPE,
        name="firmware.bin",
        blob=Blob(uuid4(), SCOPE, size, Digest("a" * 64)),
        content_type="application/octet-stream",
        attributes={},
        creator="one",
        created_at=now,
        modified_at=now,
        updated_at=now,
    )
    principal = Principal(PrincipalKind.THING, "one", "thing")
    access = Access(principal, Action.READ, "mainflux", SCOPE, record.name)
    seen = asyncio.get_running_loop().time()
    version = Version(record.content, Validators(record.content.digest.etag, now), {}, lines)
    return Resolved(
        access, record, version, SharedReader(blob), seen, ("one", "owner"), plain=plain
    )


def hearing(*, seconds: float = 60.0, entries: int = 8) -> ReadCache[OpenBlob]:
    cache = ReadCache[OpenBlob](seconds=seconds, entries=entries)
    cache.on_connected()
    return cache


def keep(cache: ReadCache[OpenBlob], key: str) -> OpenBlob:
    """Resolve a read as ``serve`` does, and let go of it afterwards."""
    blob = OpenBlob()
    with cache.resolving("key") as watch:
        read = resolved(blob)
        cache.keep(key, read, watch)
    read.reader.release()
    return blob


async def test_a_kept_read_stays_open_until_it_is_forgotten() -> None:
    cache = hearing()
    blob = keep(cache, "key")
    found = cache.find("key")
    assert found is not None
    cache.on_change(CHANGED)
    assert (False, None) == (blob.closed, cache.find("key"))
    found.reader.release()
    assert blob.closed


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param(CHANGED, False, id="its file changed"),
        pytest.param(OTHER, True, id="another file changed"),
        pytest.param(FileChanged(Scope("groups", "one"), "firmware.bin"), True, id="same name"),
        pytest.param(RightsChanged(), False, id="anybody's rights changed"),
        pytest.param(RightsChanged(frozenset({"x", "owner"})), False, id="its owner's rights"),
        pytest.param(RightsChanged(frozenset({"another"})), True, id="another's rights"),
    ],
)
async def test_a_change_forgets_what_it_makes_stale(change: Change, kept: bool) -> None:
    cache = hearing()
    blob = keep(cache, "key")
    cache.on_change(change)
    assert kept == (not blob.closed)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param(CHANGED, False, id="its file changed meanwhile"),
        pytest.param(RightsChanged(), False, id="rights changed meanwhile"),
        pytest.param(RightsChanged(frozenset({"one"})), False, id="its own meanwhile"),
        pytest.param(RightsChanged(frozenset({"another"})), True, id="another's meanwhile"),
        pytest.param(OTHER, True, id="another file changed meanwhile"),
    ],
)
async def test_a_read_resolved_across_a_change_is_used_once(change: Change, kept: bool) -> None:
    cache = hearing()
    with cache.resolving("key") as watch:
        cache.on_change(change)
        cache.keep("key", resolved(OpenBlob()), watch)
    assert kept == (cache.find("key") is not None)


async def test_nothing_is_kept_while_changes_cannot_be_heard() -> None:
    cache = hearing()
    blob = keep(cache, "before")
    cache.on_disconnected()
    keep(cache, "after")
    assert blob.closed
    assert cache.find("before") is None
    assert cache.find("after") is None


async def test_nothing_is_kept_before_changes_are_heard() -> None:
    cache: ReadCache[OpenBlob] = ReadCache(seconds=60.0, entries=8)
    assert keep(cache, "key").closed
    assert cache.find("key") is None


async def test_a_read_resolved_while_the_feed_was_lost_and_found_is_not_kept() -> None:
    cache = hearing()
    with cache.resolving("key") as watch:
        cache.on_disconnected()
        cache.on_connected()
        cache.keep("key", resolved(OpenBlob()), watch)
    assert cache.find("key") is None


async def test_an_expired_read_is_not_found() -> None:
    cache = hearing(seconds=1e-9)
    blob = keep(cache, "key")
    assert cache.find("key") is None
    assert blob.closed


async def test_the_least_recently_used_read_goes_first() -> None:
    cache = hearing(entries=2)
    blobs = {key: keep(cache, key) for key in ("one", "two")}
    found = cache.find("one")
    assert found is not None
    found.reader.release()
    keep(cache, "three")
    assert {"one": False, "two": True} == {key: blob.closed for key, blob in blobs.items()}


async def test_who_asks_while_a_read_is_resolved_finds_it_afterwards() -> None:
    cache = hearing()
    assert not await cache.resolved_by_another("key")
    with cache.resolving("key") as watch:
        waiting = asyncio.create_task(cache.resolved_by_another("key"))
        await asyncio.sleep(0)
        cache.keep("key", resolved(OpenBlob()), watch)
    assert await waiting
    assert cache.find("key") is not None
    assert not await cache.resolved_by_another("key")


async def test_who_waits_for_a_read_that_fails_is_told() -> None:
    cache = hearing()
    with contextlib.suppress(RuntimeError), cache.resolving("key"):
        waiting = asyncio.create_task(cache.resolved_by_another("key"))
        await asyncio.sleep(0)
        raise RuntimeError
    assert await waiting
    assert cache.find("key") is None
