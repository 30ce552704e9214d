"""The line of a request: whose it was, by which address, and how many bytes went out, however it ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import signed_in, upload
from tests.tools.rawhttp import raw_connection

IMAGE = Firmware(seed=8, size=64 * 1024 * 1024)
SOME_SECONDS = 20.0
CLIENT = "203.0.113.7"


@pytest.fixture
async def gateway(tmp_path: Path, postgres_server: str) -> AsyncIterator[GatewayProcess]:
    async with running_gateway(
        tmp_path, database_server=postgres_server, trusted_proxies="127.0.0.1/32", commit="abc"
    ) as running:
        yield running


async def lines(gateway: GatewayProcess, part: str, count: int) -> list[dict[str, Any]]:
    """The lines of requests for that path, once there are so many."""
    async with asyncio.timeout(SOME_SECONDS):
        while True:
            logged = [json.loads(line) for line in gateway.log.splitlines() if line[:1] == "{"]
            found = [x for x in logged if x["event"] == "request" and part in x["path"]]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def metric(session: aiohttp.ClientSession, gateway: GatewayProcess, name: str) -> float:
    async with session.get(f"{gateway.url}/metrics") as answer:
        told = [line for line in (await answer.text()).splitlines() if line.startswith(name)]
    return float(told[0].split()[-1])


async def test_a_line_names_caller_client_and_bytes_and_no_credential(
    gateway: GatewayProcess,
) -> None:
    async with signed_in(gateway.url) as admin:
        thing = await admin.thing()
        url = f"{gateway.url}/files"
        await upload(admin.session, url, thing.headers, "a.bin", b"x" * 100_000)
        forwarded = {**thing.headers, "X-Forwarded-For": f"198.51.100.1, {CLIENT}"}
        for extra in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=10-29"}):
            headers = {**forwarded, **extra}
            async with admin.session.get(f"{url}/a.bin", headers=headers) as answer:
                await answer.read()
        async with admin.session.get(f"{url}/a.bin", headers=thing.headers) as answer:
            await answer.read()
        async with admin.session.head(f"{url}/a.bin", headers=thing.headers) as answer:
            assert 200 == answer.status
        forged = {"X-Forwarded-For": "<script>"}
        async with admin.session.get(f"{url}/a.bin", headers=forged) as answer:
            refusal = len(await answer.read())
    found = await lines(gateway, "/files/a.bin", 6)
    caller = f"thing/{thing.id}"
    assert [
        (CLIENT, caller, 100_000),
        (CLIENT, caller, 10),
        (CLIENT, caller, 20),
        ("127.0.0.1", caller, 100_000),
        ("127.0.0.1", caller, 0),
        ("127.0.0.1", None, refusal),
    ] == [(line["client"], line["principal"], line["bytes"]) for line in found]
    assert thing.key not in gateway.log
    [made] = [line for line in await lines(gateway, "/things", 1) if line["method"] == "POST"]
    assert made["principal"].startswith("user/")


async def test_what_was_sent_counts_although_the_client_left(gateway: GatewayProcess) -> None:
    async with signed_in(gateway.url) as admin:
        thing = await admin.thing()
        await upload(admin.session, f"{gateway.url}/files", thing.headers, "big.bin", IMAGE.content)
        async with aiohttp.ClientSession() as leaving:
            answer = await leaving.get(f"{gateway.url}/files/big.bin", headers=thing.headers)
            await answer.content.readexactly(20 * 1024 * 1024)
            assert 1 == await metric(admin.session, gateway, "gateway_downloads_in_flight")
            answer.close()
        [line] = [x for x in await lines(gateway, "/files/big.bin", 1) if x["method"] == "GET"]
        sent = await metric(admin.session, gateway, "gateway_sent_bytes_total")
        assert 499 == line["status"]
        assert 16 * 1024 * 1024 <= line["bytes"] < len(IMAGE.content)
        assert sent == line["bytes"]
        assert 1 == await metric(admin.session, gateway, "gateway_downloads_cut_total")
        assert 0 == await metric(admin.session, gateway, "gateway_downloads_in_flight")
        assert 1 == await metric(admin.session, gateway, 'gateway_build_info{commit="abc"')


LOOKED_AT = (
    "gateway_free_disk_bytes",
    'gateway_database_connections{state="in_use"}',
    'gateway_database_connections{state="idle"}',
    'gateway_webhook_deliveries{state="waiting"}',
    'gateway_webhook_deliveries{state="dead"}',
    "gateway_webhook_oldest_waiting_seconds",
    "gateway_webhooks_disabled",
)


async def test_what_is_looked_at_is_among_the_metrics(gateway: GatewayProcess) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(SOME_SECONDS):
        while True:
            async with session.get(f"{gateway.url}/metrics") as answer:
                told = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines())
            if all(name in told for name in LOOKED_AT) and float(told[LOOKED_AT[0]]) > 0:
                break
            await asyncio.sleep(0.02)
    assert 1 <= sum(float(told[name]) for name in LOOKED_AT[1:3]) <= 10
    assert {"0.0"} == {told[name] for name in LOOKED_AT[3:]}


async def test_what_a_client_says_of_itself_is_cut(gateway: GatewayProcess) -> None:
    """A line is no place to keep what strangers write."""
    async with aiohttp.ClientSession() as session:
        headers = {"User-Agent": "u" * 4000, "Range": "bytes=" + "1" * 4000}
        async with session.get(f"{gateway.url}/files/{'a' * 3000}", headers=headers) as answer:
            assert answer.status < 500
    [line] = await lines(gateway, "/files/aaaa", 1)
    assert (512, 512, 1024) == tuple(len(line[n]) for n in ("user_agent", "range", "path"))


async def test_who_leaves_after_a_refusal_is_no_error(gateway: GatewayProcess) -> None:
    """What is left of a refused body is read for a moment, in which a client may reset the connection."""
    for number in range(5):
        async with raw_connection(gateway.port) as raw:
            length = ("Content-Length", "1000000")
            await raw.send_head("POST", f"/things?leaving={number}", [length])
            await raw.send(b"x" * 1000)
            await raw.read_head()
            raw.reset()
    assert len(await lines(gateway, "/things", 5)) == 5
    assert "Unhandled exception" not in gateway.log
