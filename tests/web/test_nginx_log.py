"""What nginx sends by itself is in the gateway's metrics, each byte once, in both modes.

Through a real nginx with the lines in effect that are marked in ``deploy/nginx``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, signed_in, upload
from tests.tools.nginx import ACCEL, Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.waiting import until

SIZE = 20 * 1024 * 1024
IMAGE = Firmware(71, SIZE)
NGINX_SENT = "gateway_nginx_sent_bytes_total"
SENT = "gateway_sent_bytes_total"
CUT = "gateway_nginx_downloads_cut_total"
RESUMED = "gateway_nginx_downloads_resumed_total"
WHOLE = 'gateway_nginx_responses_total{status="200"}'
PARTS = 'gateway_nginx_responses_total{status="206"}'
COUNTED = (NGINX_SENT, SENT, CUT, RESUMED, WHOLE, PARTS)
UNREAD = "gateway_nginx_lines_unread_total"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("told")
    async with running_gateway(
        folder,
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        nginx_log_socket=socket_in(folder),
    ) as running:
        yield running


def socket_in(folder: Path) -> Path:
    return folder / "nginx.sock"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["X-Accel", "edge"])
async def nginx(
    request: pytest.FixtureRequest,
    gateway: GatewayProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Nginx]:
    async with running_nginx(
        tmp_path_factory.mktemp("front"),
        upstream=f"{HOST}:{gateway.port}",
        blobs=gateway.data_dir / "blobs",
        edge=request.param == "edge",
        log_socket=socket_in(gateway.data_dir.parent),
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thing(gateway: GatewayProcess) -> Thing:
    async with signed_in(gateway.url) as admin:
        made = await admin.thing()
        await upload(admin.session, f"{gateway.url}/files", made.headers, "a.bin", IMAGE.content)
        return made


async def counts(http: aiohttp.ClientSession, gateway: GatewayProcess) -> dict[str, float]:
    async with http.get(f"{gateway.url}/metrics") as answer:
        told = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines())
    return {name: float(told.get(name, 0)) for name in (*COUNTED, UNREAD)}


async def read(
    http: aiohttp.ClientSession, nginx: Nginx, thing: Thing, **headers: str
) -> tuple[int, int]:
    given = {**thing.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with http.get(f"{nginx.url}/files/a.bin", headers=given) as answer:
        return answer.status, len(await answer.read())


@pytest.mark.parametrize(
    ("expected", "status", "headers"),
    [
        pytest.param({NGINX_SENT: SIZE, WHOLE: 1}, 200, {}, id="whole"),
        pytest.param({NGINX_SENT: 4096, PARTS: 1}, 206, {"Range": "bytes=0-4095"}, id="a piece"),
        pytest.param(
            {NGINX_SENT: 100, PARTS: 1}, 206, {"Range": f"bytes={SIZE - 100}-"}, id="the last piece"
        ),
        pytest.param(
            {NGINX_SENT: SIZE - 1_000_000, PARTS: 1, RESUMED: 1},
            206,
            {"Range": "bytes=1000000-"},
            id="resumed",
        ),
        pytest.param(
            {NGINX_SENT: SIZE - 1_000_000, PARTS: 1, RESUMED: 1},
            206,
            {"Range": f"bytes=1000000-{SIZE - 1}"},
            id="resumed, with the end spelt out",
        ),
        pytest.param({SENT: 300}, 206, {"Range": "BYTES=0-299"}, id="sent by the gateway"),
        pytest.param({SENT: SIZE}, 200, {"If-Match": "*"}, id="sent by the gateway, whole"),
        pytest.param({}, 416, {"Range": f"bytes={SIZE}-"}, id="nothing of a file"),
    ],
)
async def test_each_byte_of_a_download_is_counted_once(
    expected: dict[str, int],
    status: int,
    headers: dict[str, str],
    gateway: GatewayProcess,
    nginx: Nginx,
    thing: Thing,
) -> None:
    async with aiohttp.ClientSession() as http:
        before = await counts(http, gateway)
        assert status == (await read(http, nginx, thing, **headers))[0]
        # A line comes behind its response; that of one more whole byte comes behind both.
        assert (206, 1) == await read(http, nginx, thing, Range="bytes=7-7")
        grown: dict[str, float] = {}

        async def told() -> bool:
            nonlocal grown
            now = await counts(http, gateway)
            grown = {name: now[name] - before[name] for name in now}
            return grown[PARTS] > expected.get(PARTS, 0)

        await until(told)
    expected = {NGINX_SENT: 0, PARTS: 0} | expected
    expected |= {NGINX_SENT: expected[NGINX_SENT] + 1, PARTS: expected[PARTS] + 1}
    assert expected == {name: count for name, count in grown.items() if count}


async def test_what_was_sent_counts_although_the_client_left(
    gateway: GatewayProcess, nginx: Nginx, thing: Thing
) -> None:
    async with aiohttp.ClientSession() as http:
        before = await counts(http, gateway)
        async with aiohttp.ClientSession(read_bufsize=65_536) as leaving:
            answer = await leaving.get(f"{nginx.url}/files/a.bin", headers=thing.headers)
            await answer.content.readexactly(1_000_000)
            answer.close()

        async def cut() -> bool:
            return (await counts(http, gateway))[CUT] == before[CUT] + 1

        await until(cut)
        after = await counts(http, gateway)
    assert 1_000_000 <= after[NGINX_SENT] - before[NGINX_SENT] < SIZE
    assert (before[SENT], 0) == (after[SENT], after[UNREAD])


async def test_the_server_s_own_log_has_these_lines_too(nginx: Nginx, thing: Thing) -> None:
    async with aiohttp.ClientSession() as http:
        await read(http, nginx, thing, Range="bytes=11-22")
    line = '"bytes":12,'
    await until(lambda: line in (nginx.folder / "access.log").read_text())
