"""A store that is away, full, slow or wrong: nothing is promised that is not there, and nothing is mixed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import obstore
import pytest

from gateway.blobs.s3.options import Checksum, S3Options
from gateway.blobs.s3.signing import Credential
from gateway.blobs.s3.store import S3BlobStore, open_s3_store
from gateway.blobs.s3.unfinished import PlainRequests
from gateway.model.byterange import ByteRange
from gateway.model.errors import (
    BlobMissing,
    StartupFailed,
    StorageFailed,
    StorageFull,
    StorageUnavailable,
)
from tests.contract.stores import SCOPE, content_of, deposit
from tests.s3.conftest import options_of
from tests.tools.faultystore import Fault, FaultyStore, running_faultystore
from tests.tools.firmware import Firmware
from tests.tools.s3store import BUCKET
from tests.tools.seaweed import Engine

SMALL = Firmware(41, 90_001)
LARGE = Firmware(42, 6 * 1024 * 1024 + 11)
IN_ONE, IN_PARTS = pytest.param(SMALL, id="one request"), pytest.param(LARGE, id="parts")


@pytest.fixture
async def faulty(engine: Engine) -> AsyncIterator[FaultyStore]:
    async with running_faultystore(engine) as running:
        yield running


@pytest.fixture
def options(faulty: FaultyStore) -> S3Options:
    """The store behind the proxy."""
    return options_of(faulty.endpoint)


async def stored(store: S3BlobStore) -> int:
    return len([blob async for blob in store.walk()])


async def unfinished(options: S3Options) -> int:
    assert options.credential is not None
    plain = PlainRequests(options, options.credential)
    return len([upload async for upload in plain.unfinished()])


@pytest.mark.parametrize(
    ("image", "verb", "faults"),
    [
        pytest.param(SMALL, "PUT", [Fault.UNAVAILABLE], id="503 once"),
        pytest.param(LARGE, "PART", [Fault.UNAVAILABLE], id="503 of a part"),
        pytest.param(LARGE, "BEGIN", [Fault.UNAVAILABLE], id="503 of the beginning"),
        pytest.param(LARGE, "COMPLETE", [Fault.UNAVAILABLE], id="503 of the end"),
        pytest.param(SMALL, "PUT", [Fault.LOST_ANSWER], id="the answer is lost"),
        pytest.param(LARGE, "COMPLETE", [Fault.LOST_ANSWER], id="the answer of the end is lost"),
        pytest.param(SMALL, "PUT", [Fault.LOST_ANSWER] * 20, id="all answers are lost"),
        pytest.param(LARGE, "COMPLETE", [Fault.LOST_ANSWER] * 20, id="all of the end are lost"),
        pytest.param(SMALL, "HEAD", [Fault.UNAVAILABLE], id="the look is not answered"),
    ],
)
async def test_what_arrived_is_a_blob_whatever_was_answered(
    faulty: FaultyStore, store: S3BlobStore, image: Firmware, verb: str, faults: list[Fault]
) -> None:
    faulty.plan[verb] = faults
    blob = await deposit(store, image.content)
    faulty.plan.clear()
    assert image.content == await content_of(store, blob)


@pytest.mark.parametrize(
    ("image", "verb", "fault", "error"),
    [
        pytest.param(SMALL, "PUT", Fault.UNAVAILABLE, StorageUnavailable, id="503"),
        pytest.param(SMALL, "PUT", Fault.SILENT, StorageUnavailable, id="silence"),
        pytest.param(SMALL, "PUT", Fault.FULL, StorageFull, id="full"),
        pytest.param(SMALL, "PUT", Fault.ACCEPTED, StorageUnavailable, id="only answered"),
        pytest.param(SMALL, "PUT", Fault.HALF_STORED, StorageUnavailable, id="half of it"),
        pytest.param(SMALL, "HEAD", Fault.UNAVAILABLE, StorageUnavailable, id="no look"),
        pytest.param(LARGE, "BEGIN", Fault.UNAVAILABLE, StorageUnavailable, id="no beginning"),
        pytest.param(LARGE, "PART", Fault.UNAVAILABLE, StorageUnavailable, id="no part"),
        pytest.param(LARGE, "PART", Fault.FULL, StorageFull, id="a part that is too much"),
        pytest.param(LARGE, "COMPLETE", Fault.UNAVAILABLE, StorageUnavailable, id="no end"),
    ],
)
async def test_what_did_not_arrive_whole_is_refused_in_time_and_leaves_nothing(
    faulty: FaultyStore,
    store: S3BlobStore,
    options: S3Options,
    image: Firmware,
    verb: str,
    fault: Fault,
    error: type[StorageFailed | StorageFull],
) -> None:
    faulty.always[verb] = fault
    began = time.monotonic()
    with pytest.raises(error):
        await deposit(store, image.content)
    assert time.monotonic() - began < 20
    faulty.always.clear()
    assert (0, 0) == (await stored(store) if verb != "HEAD" else 0, await unfinished(options))


async def test_a_store_that_compares_nothing_is_read_back_and_its_lies_are_found(
    faulty: FaultyStore, options: S3Options, caplog: pytest.LogCaptureFixture
) -> None:
    for wrong in (True, False):
        faulty.lenient = True
        async with open_s3_store(options) as store:
            assert "each upload is read back" in caplog.text
            if wrong:
                faulty.plan["PUT"] = [Fault.OTHER_STORED]
                with pytest.raises(StorageUnavailable, match="other bytes"):
                    await deposit(store, SMALL.content)
                assert 0 == await stored(store)
            else:
                blob = await deposit(store, SMALL.content)
                assert SMALL.content == await content_of(store, blob)


@pytest.mark.parametrize("image", [IN_ONE, IN_PARTS])
async def test_a_body_that_is_cut_is_continued_from_its_next_byte(
    faulty: FaultyStore, store: S3BlobStore, image: Firmware
) -> None:
    blob = await deposit(store, image.content)
    faulty.ranges.clear()
    faulty.plan["GET"] = [Fault.HALF_BODY] * 10  # more than the client continues by itself
    async with aclosing((await store.open(blob)).chunks(ByteRange(7, image.size))) as pieces:
        got = b"".join([piece async for piece in pieces])
    assert image.content[7:] == got
    assert len(faulty.ranges) > 10


async def test_bytes_of_two_versions_never_come_together(
    faulty: FaultyStore, store: S3BlobStore, engine: Engine, options: S3Options
) -> None:
    blob = await deposit(store, LARGE.content)
    reader = await store.open(blob)
    chunks, got = reader.chunks(ByteRange(0, LARGE.size)), b""
    async with aclosing(chunks) as pieces:
        got += await anext(pieces)
        key = f"{options.within}blobs/{SCOPE.kind}/{SCOPE.owner}/{blob.id}"
        await obstore.put_async(engine.client(BUCKET), key, bytes(LARGE.size))
        with pytest.raises((BlobMissing, StorageUnavailable)):
            got += b"".join([piece async for piece in pieces])
    assert LARGE.content.startswith(got)


async def test_a_reader_ends_if_the_store_gives_nothing_any_more(
    faulty: FaultyStore, store: S3BlobStore
) -> None:
    blob = await deposit(store, SMALL.content)
    reader = await store.open(blob)
    faulty.always["GET"] = Fault.UNAVAILABLE
    with pytest.raises(StorageUnavailable):
        await anext(reader.chunks(ByteRange(0, SMALL.size)))
    with pytest.raises(StorageUnavailable):
        await reader.read(0, 10)


async def test_a_slow_taker_holds_no_request_at_the_store(
    faulty: FaultyStore, store: S3BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.blobs.s3.reader._SLOW_SECONDS", 0.0)
    image = Firmware(43, 800_000)
    blob = await deposit(store, image.content)
    faulty.ranges.clear()
    async with aclosing((await store.open(blob)).chunks(ByteRange(0, image.size))) as pieces:
        got = [piece async for piece in pieces]
    assert image.content == b"".join(got)
    assert all(length <= 32 * 1024 for length in map(len, got[1:]))
    assert len(faulty.ranges) == len(got) > 10


async def test_a_taker_that_stands_still_has_its_request_dropped_and_goes_on_later(
    store: S3BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.blobs.s3.reader._SLOW_SECONDS", 0.05)
    image, bucket = Firmware(44, 5_000_000), store._bucket
    blob = await deposit(store, image.content)
    async with aclosing((await store.open(blob)).chunks(ByteRange(0, image.size))) as pieces:
        got = [await anext(pieces)]
        while not bucket.opened:
            got.append(await anext(pieces))
        async with asyncio.timeout(5):
            while bucket.opened:
                await asyncio.sleep(0.01)
        got += [piece async for piece in pieces]
    assert image.content == b"".join(got)
    assert 0 == bucket.opened


async def test_when_too_many_bodies_are_open_all_others_read_on_in_small_requests(
    faulty: FaultyStore, store: S3BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.blobs.s3.bucket._MOST_OPEN", 0)
    image = Firmware(45, 1_000_000)
    blob = await deposit(store, image.content)
    faulty.ranges.clear()
    async with aclosing((await store.open(blob)).chunks(ByteRange(0, image.size))) as pieces:
        assert image.content == b"".join([piece async for piece in pieces])
    assert 1 + -(-(image.size - 16_384) // 65_536) == len(faulty.ranges)


async def test_a_probe_is_made_once_in_a_few_seconds_and_says_how_it_is(
    faulty: FaultyStore, store: S3BlobStore
) -> None:
    faulty.always["PUT"] = Fault.UNAVAILABLE
    asked = []
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await store.probe()
        asked.append(faulty.seen.count("PUT"))
    assert asked == [asked[0]] * 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"credential": Credential("nobody", "x" * 20)}, "GATEWAY_S3_ACCESS_KEY", id="key"
        ),
        pytest.param({"endpoint": "http://127.0.0.1:1"}, "does not answer", id="nobody there"),
        pytest.param({"endpoint": "https://{}"}, "does not answer", id="no TLS there"),
    ],
)
async def test_a_store_that_cannot_be_used_ends_the_start_with_one_line(
    engine: Engine, changes: dict[str, object], said: str
) -> None:
    place = engine.endpoint.removeprefix("http://")
    told: dict[str, Any] = {"endpoint": engine.endpoint} | changes
    told["endpoint"] = told["endpoint"].format(place)
    with pytest.raises(StartupFailed, match=said) as refused:
        async with open_s3_store(options_of(**told)):
            pass
    assert "\n" not in str(refused.value)


async def test_a_store_without_ranges_is_not_used(faulty: FaultyStore, options: S3Options) -> None:
    faulty.always["GET"] = Fault.ACCEPTED
    with pytest.raises(StartupFailed, match="range"):
        async with open_s3_store(options):
            pass


async def test_an_upload_of_parts_that_is_given_up_never_becomes_an_object(
    faulty: FaultyStore, store: S3BlobStore, options: S3Options
) -> None:
    async with store.stage(SCOPE) as writer:
        for start in range(0, LARGE.size, 500_000):
            await writer.write(LARGE.content[start : start + 500_000])
        await writer.measure()
    assert (0, 0) == (await stored(store), await unfinished(options))
    assert ("COMPLETE" in faulty.seen, "ABORT" in faulty.seen) == (False, True)


async def test_parts_that_nobody_writes_are_removed_once_no_upload_can_be_so_old(
    engine: Engine,
) -> None:
    options = options_of(engine.endpoint, longest_upload_seconds=-1.0)
    patient = replace(options, longest_upload_seconds=3600.0)
    assert options.credential is not None
    plain = PlainRequests(options, options.credential)
    key = f"{options.within}blobs/things/t1/{uuid4()}"
    assert 200 == (await plain.ask("POST", key, {"uploads": ""}))[0]
    async with open_s3_store(options) as store, open_s3_store(patient) as later:
        async with store.stage(SCOPE) as writer:
            for start in range(0, LARGE.size, 500_000):
                await writer.write(LARGE.content[start : start + 500_000])
            await writer.measure()
            assert 0 == await later.clear_incoming(older_than_seconds=0)
            assert 1 == await store.leftovers(older_than_seconds=-1)
            assert 1 == await store.clear_incoming(older_than_seconds=-1)
            blob = await writer.seal()
        assert LARGE.content == await content_of(store, blob)
    assert 0 == await unfinished(options)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"checksum": Checksum.SHA256}, id="SHA-256"),
        pytest.param({"signed_payload": True}, id="signed bytes"),
        pytest.param({"read_back": True}, id="read back"),
        pytest.param({"prefix": ""}, id="a bucket of our own"),
    ],
)
async def test_every_way_to_send_stores_the_same(
    engine: Engine, changes: dict[str, object]
) -> None:
    async with open_s3_store(options_of(engine.endpoint, **changes)) as store:
        for image in (SMALL, LARGE):
            blob = await deposit(store, image.content)
            assert image.content == await content_of(store, blob)
            await store.remove(SCOPE, blob.id)
