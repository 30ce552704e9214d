"""nginx sends from the store by itself: with a signature of the gateway's, in slices that it keeps."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.faultystore import Fault, FaultyStore, running_faultystore
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, sign_in, upload
from tests.tools.nginx import ACCEL, ACCEL_S3, Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.s3store import s3_settings
from tests.tools.seaweed import Engine

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLICE = 4 * 1024 * 1024
IMAGE = Firmware(71, 2 * SLICE + 4321)
SMALL = Firmware(72, 5000)
EMPTY = Firmware(73, 0)
STORES_OWN = re.compile("amz|seaweed|signature|server: seaweed", re.IGNORECASE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(engine: Engine) -> AsyncIterator[FaultyStore]:
    """The store, and who asks it for what."""
    async with running_faultystore(engine) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    store: FaultyStore, tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    """The service, told to let nginx send from the store."""
    told = s3_settings(store.endpoint, "nginx") | {"s3_retry_seconds": 0.3}
    folder = tmp_path_factory.mktemp("gateway")
    async with running_gateway(
        folder,
        database_server=postgres_server,
        accel=ACCEL_S3,
        trusted_proxies=f"{HOST}/32",
        **told,
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx(
    gateway: GatewayProcess, store: FaultyStore, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Nginx]:
    """The deployed nginx before both."""
    folder: Path = tmp_path_factory.mktemp("nginx")
    async with running_nginx(
        folder,
        upstream=f"{HOST}:{gateway.port}",
        blobs=gateway.data_dir,
        proxy_changes={f"X-Filestore-Accel {ACCEL}$": f"X-Filestore-Accel {ACCEL_S3}$"},
        store=store.endpoint.removeprefix("http://"),
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thing(gateway: GatewayProcess, http: aiohttp.ClientSession) -> Thing:
    """A thing with three files."""
    made = await (await sign_in(http, gateway.url)).thing()
    for name, image in (("image.bin", IMAGE), ("small.bin", SMALL), ("empty.bin", EMPTY)):
        await upload(http, f"{gateway.url}/files", made.headers, name, image.content)
    return made


async def asked(
    http: aiohttp.ClientSession, base: str, thing: Thing, name: str, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    sent = {n.replace("_", "-"): v for n, v in headers.items()} | thing.headers
    async with http.get(f"{base}/files/{name}", headers=sent) as answer:
        named = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, named, await answer.read()


# What may differ between who sends: the date, the id of the request, the connection.
UNLIKE = {"date", "server", "x-request-id", "connection", "keep-alive"}

CASES = [
    pytest.param("image.bin", {}, id="whole"),
    pytest.param("small.bin", {}, id="small"),
    pytest.param("empty.bin", {}, id="empty"),
    pytest.param("image.bin", {"Range": "bytes=5-4100"}, id="in one slice"),
    pytest.param("image.bin", {"Range": f"bytes={SLICE - 9}-{SLICE + 9}"}, id="over two slices"),
    pytest.param("image.bin", {"Range": f"bytes={SLICE + 1}-"}, id="open"),
    pytest.param("image.bin", {"Range": "bytes=-77"}, id="suffix"),
    pytest.param("image.bin", {"Range": "bytes=8000000-99999999"}, id="clamped"),
    pytest.param("image.bin", {"Range": "bytes=99999999-"}, id="beyond the end"),
    pytest.param("empty.bin", {"Range": "bytes=0-"}, id="of nothing"),
    pytest.param("image.bin", {"Range": "bytes=0-0", "If_Range": "ours"}, id="If-Range, ours"),
    pytest.param("image.bin", {"Range": "bytes=0-0", "If_Range": '"other"'}, id="If-Range, other"),
    pytest.param("small.bin", {"If_None_Match": "ours"}, id="If-None-Match, ours"),
    pytest.param("small.bin", {"If_None_Match": '"other"'}, id="If-None-Match, other"),
    pytest.param("small.bin", {"If_Match": "ours"}, id="If-Match, ours"),
    pytest.param("small.bin", {"If_Match": '"other"'}, id="If-Match, other"),
    pytest.param("small.bin", {"If_Match": "ours", "Range": "bytes=1-2"}, id="If-Match, range"),
    pytest.param(
        "small.bin", {"If_Unmodified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, id="unmodified"
    ),
    pytest.param(
        "small.bin", {"If_Modified_Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, id="modified"
    ),
    pytest.param("absent.bin", {}, id="no such file"),
]


@pytest.mark.parametrize("turn", ["cold", "hot"])
@pytest.mark.parametrize(("name", "headers"), CASES)
async def test_it_is_what_the_gateway_sends(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    nginx: Nginx,
    thing: Thing,
    name: str,
    headers: dict[str, str],
    turn: str,
) -> None:
    _, known, _ = await asked(http, gateway.url, thing, name)
    sent = {n: known["etag"] if v == "ours" else v for n, v in headers.items()}
    status, plain, body = await asked(http, gateway.url, thing, name, **sent)
    found, shown, content = await asked(http, nginx.url, thing, name, **sent)
    assert (status, body) == (found, content)
    assert {n: v for n, v in plain.items() if n not in UNLIKE} == {
        n: v for n, v in shown.items() if n not in UNLIKE
    }
    assert not STORES_OWN.search(str(shown))


async def test_what_was_fetched_once_is_not_fetched_again_whoever_asks(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    nginx: Nginx,
    thing: Thing,
    store: FaultyStore,
) -> None:
    other = await (await sign_in(http, gateway.url)).thing("other")
    await upload(http, f"{gateway.url}/files", other.headers, "new.bin", IMAGE.content)
    store.ranges.clear()
    for _ in range(3):
        status, _, body = await asked(http, nginx.url, other, "new.bin")
        assert (200, IMAGE.content) == (status, body)
        status, _, body = await asked(http, nginx.url, other, "new.bin", Range="bytes=9-4000")
        assert (206, IMAGE.content[9:4001]) == (status, body)
    slices = [f"bytes={n * SLICE}-{(n + 1) * SLICE - 1}" for n in range(3)]
    assert slices == store.ranges


async def test_a_replaced_file_is_new_at_once(
    http: aiohttp.ClientSession, gateway: GatewayProcess, nginx: Nginx, thing: Thing
) -> None:
    for seed in (81, 82, 83):
        image = Firmware(seed, 9000)
        sent = {**thing.headers, "Content-Type": "application/octet-stream"}
        url = f"{gateway.url}/files/again.bin"
        async with http.put(url, data=image.content, headers=sent) as answer:
            assert answer.status in {200, 201}
        status, _, body = await asked(http, nginx.url, thing, "again.bin")
        assert (200, image.content) == (status, body)


async def test_a_store_that_is_away_is_503_in_our_words(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    nginx: Nginx,
    thing: Thing,
    store: FaultyStore,
) -> None:
    image = Firmware(91, 9000)
    await upload(http, f"{gateway.url}/files", thing.headers, "away.bin", image.content)
    store.always["GET"] = Fault.UNAVAILABLE
    try:
        status, headers, body = await asked(http, nginx.url, thing, "away.bin")
    finally:
        store.always.clear()
    assert (503, "1") == (status, headers["retry-after"])
    assert b"Error>" not in body
    assert (200, image.content) == (await asked(http, nginx.url, thing, "away.bin"))[::2]


async def test_nobody_comes_to_the_store_past_the_gateway(
    http: aiohttp.ClientSession, nginx: Nginx, thing: Thing
) -> None:
    for path in ("/_s3/", "/_s3/firmware/nginx/blobs/", "/firmware/nginx/blobs/"):
        async with http.get(f"{nginx.url}{path}", headers=thing.headers) as answer:
            assert answer.status in {401, 403, 404}
            assert not STORES_OWN.search(await answer.text())


async def test_head_is_of_the_row(
    http: aiohttp.ClientSession, nginx: Nginx, thing: Thing, store: FaultyStore
) -> None:
    store.ranges.clear()
    async with http.head(f"{nginx.url}/files/image.bin", headers=thing.headers) as answer:
        assert (200, str(IMAGE.size)) == (answer.status, answer.headers["Content-Length"])
    assert [] == store.ranges
