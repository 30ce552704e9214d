"""A fleet flies, a real Prometheus looks on: every query of the dashboard has something to show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.monitoring.test_files import MONITORING, alerts, named, queries
from tests.tools.firmware import Firmware
from tests.tools.fleet import flown
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, signed_in, upload
from tests.tools.nginx import ACCEL, running_nginx
from tests.tools.ports import HOST
from tests.tools.prometheus import promtool, queried, running_prometheus
from tests.tools.waiting import until

IMAGE = Firmware(81, 700_000)
SCRAPED_EVERY = 0.25
SCRAPES = 80
# What Grafana puts in place of its variables.
FILLED = {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m"}
LINKS = (
    "--devices",
    "7",
    "--cut-every",
    "250k",
    "--pause",
    "0.05",
    "--bandwidth",
    "2m-8m",
    "--seconds",
    "60",
)


@dataclass(frozen=True, slots=True)
class Watched:
    """A gateway and the Prometheus that watches it."""

    gateway: GatewayProcess
    prometheus: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Watched]:
    """After two fleets have flown, one to nginx and one to the gateway itself."""
    folder = tmp_path_factory.mktemp("watched")
    async with (
        running_gateway(
            folder,
            database_server=postgres_server,
            accel=ACCEL,
            trusted_proxies=f"{HOST}/32",
            nginx_log_socket=folder / "nginx.sock",
        ) as gateway,
        running_nginx(
            folder / "front",
            upstream=f"{HOST}:{gateway.port}",
            blobs=gateway.data_dir / "blobs",
            log_socket=folder / "nginx.sock",
        ) as nginx,
        running_prometheus(
            folder, MONITORING / "prometheus.yml", f"{HOST}:{gateway.port}", seconds=SCRAPED_EVERY
        ) as prometheus,
        signed_in(gateway.url) as admin,
    ):
        thing = await admin.thing()
        await upload(admin.session, f"{gateway.url}/files", thing.headers, "a.bin", IMAGE.content)
        (folder / "a.bin").write_bytes(IMAGE.content)
        urls = (nginx.url, gateway.url)
        assert [0, 0] == await asyncio.gather(*(flown(*aimed(url, thing, folder)) for url in urls))
        # A method's first request makes its series; its second one is what a rate can see.
        await upload(admin.session, f"{gateway.url}/files", thing.headers, "b.bin", IMAGE.content)
        yield Watched(gateway, prometheus)


def aimed(url: str, thing: Thing, folder: Path) -> list[str]:
    """What a fleet is told: devices of every kind, over links that drop."""
    image = str(folder / "a.bin")
    return ["--url", f"{url}/files/a.bin", "--key", thing.key, "--image", image, *LINKS]


def filled(query: str) -> str:
    for name, value in FILLED.items():
        query = query.replace(name, value)
    return query


async def test_every_query_of_the_dashboard_has_something_to_show(watched: Watched) -> None:
    async with aiohttp.ClientSession() as session:
        missing = queries()
        for _ in range(SCRAPES):
            missing = [each for each in missing if not await shown(session, watched, each[1])]
            if not missing:
                break
            await asyncio.sleep(SCRAPED_EVERY)
        assert [] == missing


async def shown(session: aiohttp.ClientSession, watched: Watched, query: str) -> bool:
    """Whether the query gives a number."""
    series = await queried(session, watched.prometheus, filled(query))
    return any(one["value"][1] != "NaN" for one in series)


@pytest.mark.parametrize(
    "name",
    [
        "gateway_nginx_sent_bytes_total",
        "gateway_nginx_downloads_cut_total",
        "gateway_nginx_downloads_resumed_total",
        "gateway_sent_bytes_total",
        "gateway_downloads_cut_total",
        "gateway_downloads_resumed_total",
        "gateway_received_bytes_total",
    ],
)
async def test_what_the_fleets_went_through_is_counted(watched: Watched, name: str) -> None:
    async with aiohttp.ClientSession() as session:

        async def counted() -> bool:
            series = await queried(session, watched.prometheus, name)
            return [True] == [float(one["value"][1]) > 0 for one in series]

        await until(counted, within=10)


async def test_promtool_takes_the_metrics_and_each_that_is_asked_for_is_there(
    watched: Watched,
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{watched.gateway.url}/metrics") as answer,
    ):
        told = await answer.text()
    promtool("check", "metrics", stdin=told)
    there = set(re.findall(r"^([a-z_]+)[{ ]", told, re.MULTILINE)) | {"up"}
    assert set() == named() - there
    assert not any(name.endswith("_created") for name in there)


async def test_no_alert_fires_of_a_gateway_that_is_well(watched: Watched) -> None:
    """But for what is the machine's: how full its disk is, and how busy with other things it is."""
    async with aiohttp.ClientSession() as session:
        for alert in alerts():
            name = alert["alert"]
            if "Disk" not in name and name != "FilestoreStandsStill":
                assert [] == await queried(session, watched.prometheus, alert["expr"]), name
