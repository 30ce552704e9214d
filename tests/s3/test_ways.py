"""The ways of a file out of the store that do not lead through the gateway, and that nobody can tell them from it.

nginx sends by itself, with a signature of the gateway's, in slices that it keeps: told for each request (X-Accel),
or by a decision that it keeps (edge). A client may be sent to the store itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.tools.faultystore import Fault, FaultyStore, running_faultystore
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, User, sign_in, upload
from tests.tools.nginx import ACCEL, ACCEL_S3, Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.s3store import s3_settings
from tests.tools.seaweed import Engine
from tests.web.test_edge import check_bound, prepare

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLICE = 4 * 1024 * 1024
EDGE_SECONDS, SLACK = 2.0, 1.0
SIGNED_SECONDS = 600
IMAGE = Firmware(71, 2 * SLICE + 4321)
LONG = Firmware(74, 8 * SLICE)
NAMED = "fw é.bin"
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
    told = s3_settings(store.endpoint, "ways") | {
        "s3_retry_seconds": 0.3,
        "s3_signed_seconds": SIGNED_SECONDS,
    }
    folder = tmp_path_factory.mktemp("gateway")
    async with running_gateway(
        folder,
        database_server=postgres_server,
        accel=ACCEL_S3,
        trusted_proxies=f"{HOST}/32",
        s3_redirect="user",
        scrub_days=0,
        s3_redirect_endpoint=store.endpoint,
        **told,
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["accel", "edge"])
async def nginx(
    request: pytest.FixtureRequest,
    gateway: GatewayProcess,
    store: FaultyStore,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Nginx]:
    """The deployed nginx before both, each way."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    async with running_nginx(
        folder,
        upstream=f"{HOST}:{gateway.port}",
        blobs=gateway.data_dir,
        proxy_changes={f"X-Filestore-Accel {ACCEL}$": f"X-Filestore-Accel {ACCEL_S3}$"},
        store=store.endpoint.removeprefix("http://"),
        edge=request.param == "edge",
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


async def test_a_replaced_file_is_new_within_the_bound(
    http: aiohttp.ClientSession, gateway: GatewayProcess, nginx: Nginx, thing: Thing
) -> None:
    """At once, or in edge mode when the decision is over."""
    for seed in (81, 82):
        image = Firmware(seed, 9000)
        sent = {**thing.headers, "Content-Type": "application/octet-stream"}
        url = f"{gateway.url}/files/again.bin"
        async with http.put(url, data=image.content, headers=sent) as answer:
            assert answer.status in {200, 201}

        async with asyncio.timeout(EDGE_SECONDS + SLACK):
            while (await asked(http, nginx.url, thing, "again.bin"))[::2] != (200, image.content):
                await asyncio.sleep(0.02)


async def test_a_store_that_is_away_is_503_in_our_words(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    nginx: Nginx,
    thing: Thing,
    store: FaultyStore,
) -> None:
    image = Firmware(91, 9000)
    name = f"away-{nginx.port}.bin"
    await upload(http, f"{gateway.url}/files", thing.headers, name, image.content)
    store.always["GET"] = Fault.UNAVAILABLE
    try:
        status, headers, body = await asked(http, nginx.url, thing, name)
    finally:
        store.always.clear()
    assert (503, "1") == (status, headers["retry-after"])
    assert b"Error>" not in body
    assert (200, image.content) == (await asked(http, nginx.url, thing, name))[::2]


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


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNAVAILABLE])
async def test_what_fails_in_the_middle_is_cut_and_resumed_under_a_new_signature(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    nginx: Nginx,
    thing: Thing,
    store: FaultyStore,
    fault: Fault,
) -> None:
    """nginx cannot ask for another one while it sends; no word of anybody's is among the bytes."""
    name = f"cut-{nginx.port}-{fault.value}.bin"
    await upload(http, f"{gateway.url}/files", thing.headers, name, IMAGE.content)
    assert 206 == (await asked(http, nginx.url, thing, name, Range="bytes=0-9"))[0]
    got = bytearray()
    store.plan["GET"] = [fault]
    async with http.get(f"{nginx.url}/files/{name}", headers=thing.headers) as answer:
        etag = answer.headers["ETag"]
        with contextlib.suppress(aiohttp.ClientError):
            async for piece in answer.content.iter_any():
                got += piece
    assert 0 < len(got) < IMAGE.size
    sent = {"Range": f"bytes={len(got)}-", "If_Range": etag}
    status, _, rest = await asked(http, nginx.url, thing, name, **sent)
    assert (206, IMAGE.content) == (status, bytes(got) + rest)


async def test_a_slow_client_is_sent_all_of_it_slice_by_slice_under_one_signature(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    nginx: Nginx,
    thing: Thing,
    store: FaultyStore,
) -> None:
    """nginx fetches at the client's pace: the signature has to last as long as the client takes."""
    name = f"slow-{nginx.port}.bin"
    await upload(http, f"{gateway.url}/files", thing.headers, name, LONG.content)
    store.lifetimes.clear()
    async with http.get(f"{nginx.url}/files/{name}", headers=thing.headers) as answer:
        got = await answer.content.readexactly(1000)
        assert len(store.lifetimes) < LONG.size // SLICE
        got += await answer.read()
    assert LONG.content == got
    assert [str(SIGNED_SECONDS)] * (LONG.size // SLICE) == store.lifetimes


async def test_a_change_takes_effect_within_the_bound(
    http: aiohttp.ClientSession, gateway: GatewayProcess, nginx: Nginx
) -> None:
    place = await prepare(gateway, http)
    await check_bound(nginx, place, place.unassign)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(gateway: GatewayProcess, http: aiohttp.ClientSession) -> tuple[User, str]:
    """A user who is sent to the store, and where a group of theirs has files."""
    user = await sign_in(http, gateway.url)
    path = f"/groups/{await user.group('shelf')}/files"
    for name, image in ((NAMED, IMAGE), ("empty.bin", EMPTY)):
        await upload(
            http, gateway.url + path, user.headers, name, image.content, content_type="image/x-fw"
        )
    return user, path


REDIRECTED = [
    pytest.param({}, IMAGE.content, id="whole"),
    pytest.param({"Range": "bytes=5-4100"}, IMAGE.content[5:4101], id="range"),
    pytest.param({"Range": f"bytes={SLICE}-"}, IMAGE.content[SLICE:], id="open"),
    pytest.param({"Range": "bytes=-7"}, IMAGE.content[-7:], id="suffix"),
]


@pytest.mark.parametrize(("headers", "expected"), REDIRECTED)
async def test_whoever_may_follow_is_sent_to_the_store(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    nginx: Nginx,
    shelf: tuple[User, str],
    headers: dict[str, str],
    expected: bytes,
) -> None:
    """Alone and behind nginx; under the file's own name and type, and with nothing else of it."""
    user, path = shelf
    for base in (gateway.url, nginx.url):
        url, sent = f"{base}{path}/{NAMED}", {**user.headers, **headers}
        async with http.get(url, headers=sent, allow_redirects=False) as answer:
            assert (307, b"") == (answer.status, await answer.read())
            assert "no-store" == answer.headers["Cache-Control"]
            assert "no-referrer" == answer.headers["Referrer-Policy"]
            assert {"ETag", "Content-Disposition", "Repr-Digest"}.isdisjoint(answer.headers)
            address = URL(answer.headers["Location"], encoded=True)
        assert "60" == address.query["X-Amz-Expires"]
        async with http.get(address, headers=headers) as answer:
            assert expected == await answer.read()
            assert answer.status == (206 if headers else 200)
            assert "image/x-fw" == answer.headers["Content-Type"]
            assert answer.headers["Content-Disposition"].startswith("attachment; ")
            assert "no-cache" == answer.headers["Cache-Control"]


async def test_an_address_at_the_store_is_for_one_blob_and_for_reading(
    http: aiohttp.ClientSession, gateway: GatewayProcess, shelf: tuple[User, str]
) -> None:
    user, path = shelf
    url = f"{gateway.url}{path}/{NAMED}"
    async with http.get(url, headers=user.headers, allow_redirects=False) as answer:
        written = answer.headers["Location"]
    for method, changed in (
        ("PUT", written),
        ("DELETE", written),
        ("GET", written.replace("/groups/", "/things/")),
        ("GET", written.replace("X-Amz-Expires=60", "X-Amz-Expires=600")),
    ):
        async with http.request(method, URL(changed, encoded=True)) as answer:
            assert 403 == answer.status


STAYS = [
    pytest.param("HEAD", NAMED, {}, 200, id="HEAD"),
    pytest.param("GET", "empty.bin", {}, 200, id="nothing"),
    pytest.param("GET", NAMED, {"If-None-Match": "*"}, 304, id="If-None-Match"),
    pytest.param("GET", NAMED, {"If-Match": '"other"'}, 412, id="If-Match"),
    pytest.param("GET", NAMED, {"Range": "bytes=5-", "If-Range": '"x"'}, 200, id="If-Range"),
    pytest.param("GET", NAMED, {"Range": "bytes=0-1,4-5"}, 400, id="several ranges"),
    pytest.param("GET", NAMED, {"Range": "bytes=99999999-"}, 416, id="beyond the end"),
    pytest.param("GET", NAMED, {"Range": "items=0-1"}, 200, id="another unit"),
    pytest.param("GET", NAMED, {"Want-Digest": "sha-256"}, 200, id="a digest asked for"),
    pytest.param("GET", NAMED, {"Origin": "https://a.example"}, 200, id="a page's"),
    pytest.param("GET", "absent.bin", {}, 404, id="no such file"),
]


@pytest.mark.parametrize(("method", "name", "headers", "status"), STAYS)
async def test_what_a_store_would_answer_otherwise_is_the_gateways(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    shelf: tuple[User, str],
    method: str,
    name: str,
    headers: dict[str, str],
    status: int,
) -> None:
    user, path = shelf
    url, sent = f"{gateway.url}{path}/{name}", {**user.headers, **headers}
    async with http.request(method, url, headers=sent, allow_redirects=False) as answer:
        assert status == answer.status
        assert "Location" not in answer.headers
