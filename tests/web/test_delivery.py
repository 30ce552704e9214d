"""A store without descriptors that fails, dawdles or lies, behind a whole gateway; and when it is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobReader, BlobWriter, Inventory
from gateway.database.pool import Database
from gateway.model.byterange import ByteRange
from gateway.model.errors import BlobMissing, StorageFailed
from gateway.model.file import Blob, Scope
from gateway.upkeep.check import Report, What, check, scrub
from gateway.upkeep.sweep import GracePeriods, sweep
from gateway.web.authentication import CALLERS
from tests.faults.house import House, new_thing, open_house
from tests.tools.firmware import Firmware
from tests.tools.hook import ALLOW, deny, running_hook
from tests.tools.rawhttp import Head, RawConnection, raw_connection

IMAGE = Firmware(41, 1_000_000)
LARGE = Firmware(42, 48 * 1024 * 1024)
PIECE = 64 * 1024
SECONDS = 20.0

Chunks = AsyncGenerator[bytes, None]
Change = Callable[[Chunks], Chunks]


async def honest(chunks: Chunks) -> Chunks:
    async for chunk in chunks:
        yield chunk


async def one_piece_less(chunks: Chunks) -> Chunks:
    last = None
    async for chunk in chunks:
        if last is not None:
            yield last
        last = chunk


async def a_byte_less(chunks: Chunks) -> Chunks:
    async for chunk in chunks:
        yield chunk if len(chunk) == PIECE else chunk[:-1]


async def a_byte_more(chunks: Chunks) -> Chunks:
    async for chunk in chunks:
        yield chunk if len(chunk) == PIECE else chunk + b"!"


async def failing(chunks: Chunks) -> Chunks:
    yield await anext(chunks)
    raise StorageFailed()


async def vanishing(chunks: Chunks) -> Chunks:
    yield await anext(chunks)
    raise BlobMissing()


class Reader:
    """A blob in memory whose pieces are what the test makes of them."""

    def __init__(self, reader: BlobReader, store: Store) -> None:
        self._reader, self._store = reader, store

    @property
    def size(self) -> int:
        return self._reader.size

    @property
    def descriptor(self) -> None:
        return

    async def read(self, offset: int, count: int) -> bytes:
        return await self._reader.read(offset, count)

    async def _counted(self, span: ByteRange) -> Chunks:
        async for chunk in self._store.change(self._reader.chunks(span)):
            self._store.given += len(chunk)
            yield chunk

    def chunks(self, span: ByteRange) -> Chunks:
        return self._counted(span)

    def close(self) -> None:
        self._store.closed += 1


class Store:
    """A memory store that counts what is asked of it."""

    def __init__(self) -> None:
        self._store = MemoryBlobStore()
        self.change: Change = honest
        self.listed = True
        self.opened = self.closed = self.given = 0

    @property
    def client_served(self) -> None:
        return

    @property
    def front_served(self) -> None:
        return

    @property
    def inventory(self) -> Inventory | None:
        return self._store if self.listed else None

    @asynccontextmanager
    async def stage(
        self,
        scope: Scope,
        *,
        algorithms: Collection[str] = (),
        expected_bytes: int | None = None,
        blob_id: UUID | None = None,
    ) -> AsyncIterator[BlobWriter]:
        async with self._store.stage(
            scope, algorithms=algorithms, expected_bytes=expected_bytes, blob_id=blob_id
        ) as writer:
            yield writer

    async def open(self, blob: Blob) -> BlobReader:
        self.opened += 1
        await settled(200)  # it takes a while, in which others come
        return Reader(await self._store.open(blob), self)

    async def remove(self, scope: Scope, blob_id: UUID) -> None:
        await self._store.remove(scope, blob_id)

    async def probe(self) -> None:
        await self._store.probe()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def settings() -> dict[str, object]:
    """What a test wants different."""
    return {}


@pytest.fixture
async def house(
    database: Database,
    database_url: str,
    tmp_path: Path,
    store: Store,
    settings: dict[str, object],
) -> AsyncIterator[House]:
    """A whole gateway on ``store``, with a file of a thing."""
    headers = await new_thing(database)
    async with open_house(database_url, tmp_path, headers, blobs=store, **settings) as house:
        house.app[CALLERS].listeners.on_connected()  # so that reads may be kept
        assert 201 == (await house.ask("POST", "fw.bin", IMAGE.content)).status
        yield house


@asynccontextmanager
async def asking(
    house: House, *headers: tuple[str, str], name: str = "fw.bin", method: str = "GET"
) -> AsyncIterator[tuple[RawConnection, Head]]:
    """A connection on which the file was asked for, and the head of the response."""
    [credential] = house.headers.items()
    port = int(house.url.rpartition(":")[2])
    async with asyncio.timeout(SECONDS), raw_connection(port, receive_buffer=PIECE) as connection:
        await connection.send_head(method, f"/files/{name}", [credential, *headers])
        yield connection, await connection.read_head()


async def settled(times: int = 5000) -> None:
    """Let the gateway, which is on this loop, do all that it can do now."""
    for _ in range(times):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(one_piece_less, id="a piece too few"),
        pytest.param(a_byte_less, id="a byte too few"),
        pytest.param(a_byte_more, id="a byte too many"),
        pytest.param(failing, id="a store that fails"),
        pytest.param(vanishing, id="a blob that vanishes"),
    ],
)
async def test_what_cannot_be_finished_is_cut_and_never_ends_as_if_it_were_whole(
    house: House, store: Store, change: Change
) -> None:
    store.change = change
    async with asking(house) as (connection, head):
        assert (200, str(IMAGE.size)) == (head.status, head.one("Content-Length"))
        received, _ = await connection.read_ending()
    assert len(received) < IMAGE.size
    assert IMAGE.content.startswith(received)


async def test_a_blob_that_is_gone_before_a_byte_was_sent_is_an_error_in_words(
    house: House, store: Store
) -> None:
    record = await house.files.find(*await scope_of(house))
    await store.remove(record.content.scope, record.content.id)
    async with asking(house) as (_, head):
        assert 500 == head.status


async def scope_of(house: House) -> tuple[Scope, str]:
    """Where the file is."""
    inventory = house.stores.blobs.inventory
    assert inventory is not None
    scopes = {stored.scope async for stored in inventory.walk()}
    return scopes.pop(), "fw.bin"


async def test_a_slow_client_holds_little_whatever_the_size(house: House, store: Store) -> None:
    assert 201 == (await house.ask("POST", "large.bin", LARGE.content)).status
    async with asking(house, name="large.bin") as (connection, head):
        await settled()
        assert store.given < LARGE.size // 3  # the sockets' buffers
        before = store.given
        await settled()
        assert before == store.given
        received = bytearray()
        while len(received) < int(head.one("Content-Length")):
            received += await connection.read_some(1 << 20)
    assert LARGE.content == received


async def test_a_client_that_leaves_ends_the_wait_for_the_store(house: House, store: Store) -> None:
    waiting, over = asyncio.Event(), asyncio.Event()

    async def stuck(chunks: Chunks) -> Chunks:
        try:
            yield await anext(chunks)
            waiting.set()
            await asyncio.Event().wait()
        finally:
            over.set()

    store.change = stuck
    async with asking(house) as (connection, _):
        await waiting.wait()
        connection.reset()
        await over.wait()


@pytest.mark.parametrize("settings", [{"download_stall_seconds": 0.3}], ids=["a third of a second"])
async def test_a_client_that_takes_nothing_is_cut(house: House, store: Store) -> None:
    assert 201 == (await house.ask("POST", "large.bin", LARGE.content)).status
    over = asyncio.Event()

    async def told(chunks: Chunks) -> Chunks:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            over.set()

    store.change = told
    async with asking(house, name="large.bin") as (connection, _):
        await over.wait()
        received, _ = await connection.read_ending()
    assert len(received) < LARGE.size


@pytest.mark.parametrize("settings", [{"download_stall_seconds": 0.1}], ids=["a tenth of a second"])
async def test_a_client_that_waits_for_the_store_has_not_stalled(
    house: House, store: Store
) -> None:
    async def slow(chunks: Chunks) -> Chunks:
        yield await anext(chunks)
        await asyncio.sleep(0.5)  # longer than any client may take nothing
        async for chunk in chunks:
            yield chunk

    store.change = slow
    async with asking(house) as (connection, head):
        assert IMAGE.content == await connection.read_body(head)


@pytest.mark.parametrize("settings", [{"device_bytes_per_second": 400_000}], ids=["400 kB/s"])
async def test_a_stream_goes_at_its_pace(house: House) -> None:
    """400 kB at once, the rest at the rate."""
    started = time.monotonic()
    async with asking(house) as (connection, head):
        assert IMAGE.content == await connection.read_body(head)
    assert time.monotonic() - started > 1.3


async def test_the_blob_is_opened_when_its_bytes_are_wanted(house: House, store: Store) -> None:
    async with asking(house, method="HEAD") as (_, head):
        assert 200 == head.status
    async with asking(house, ("If-None-Match", head.one("ETag"))) as (_, unchanged):
        assert 304 == unchanged.status
    async with asking(house, ("Range", "bytes=5000000-")) as (_, refused):
        assert 416 == refused.status
    async with asking(house, ("If-Match", '"another"')) as (_, refused):
        assert 412 == refused.status
    assert 0 == store.opened
    for _ in range(3):
        async with asking(house, ("Range", "bytes=0-9")) as (connection, head):
            assert IMAGE.read(0, 10) == await connection.read_body(head)
    assert (1, 0) == (store.opened, store.closed)


async def test_a_fleet_that_comes_all_at_once_opens_it_once(house: House, store: Store) -> None:
    async def fetch() -> bytes:
        async with asking(house) as (connection, head):
            return await connection.read_body(head)

    assert [IMAGE.content] * 12 == await asyncio.gather(*(fetch() for _ in range(12)))
    assert 1 == store.opened


@pytest.mark.parametrize("settings", [{"read_cache_seconds": 0}], ids=["nothing is kept"])
async def test_whoever_is_served_lets_go_of_the_blob(house: House, store: Store) -> None:
    async with asking(house) as (connection, head):
        assert IMAGE.content == await connection.read_body(head)
        await connection.send_head("GET", "/health")
        assert 200 == (await connection.read_answer()).status
    assert (1, 1) == (store.opened, store.closed)


async def test_whom_the_hook_refuses_lets_go_of_the_blob_too(
    database: Database, database_url: str, tmp_path: Path, store: Store
) -> None:
    """Who is asked again about a read that is kept, and says no."""
    headers = await new_thing(database)
    async with (
        running_hook() as hook,
        open_house(
            database_url,
            tmp_path,
            headers,
            blobs=store,
            hook_url=hook.url,
            hook_cache_seconds=0,
        ) as house,
    ):
        house.app[CALLERS].listeners.on_connected()
        assert 201 == (await house.ask("POST", "fw.bin", IMAGE.content)).status
        assert 200 == (await house.ask("GET", "fw.bin")).status
        hook.always(deny())
        assert 403 == (await house.ask("GET", "fw.bin")).status
        hook.always(ALLOW)
        assert (1, 0) == (store.opened, store.closed)
        house.app[CALLERS].listeners.on_disconnected()
        assert (1, 1) == (store.opened, store.closed)


async def test_upkeep_without_a_list_of_what_is_stored_does_the_rest_and_says_so(
    house: House, store: Store
) -> None:
    ledger = house.stores.ledger
    assert 201 == (await house.ask("POST", "gone.bin", b"gone soon")).status
    await store.remove(*await of(house, "gone.bin"))
    store.listed = False
    report = await check(store, ledger)
    assert (2, False, [What.MISSING]) == (report.blobs, report.listed, kinds_of(report))
    assert [What.MISSING] == kinds_of(await scrub(store, ledger))
    swept = await sweep(store, ledger, GracePeriods(-1, -1))
    assert (0, 0, False) == (swept.incoming, swept.orphans, swept.listed)
    assert IMAGE.content == (await house.ask("GET", "fw.bin")).body


def kinds_of(report: Report) -> list[What]:
    return [finding.what for finding in report.findings]


async def of(house: House, name: str) -> tuple[Scope, UUID]:
    """Where the blob of a file lies, and its id."""
    scope, _ = await scope_of(house)
    blob = (await house.files.find(scope, name)).content
    return blob.scope, blob.id
