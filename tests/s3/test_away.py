"""What clients and probes are told while the store is away."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.model.errors import CatalogueUnavailable, StorageUnavailable
from gateway.web.operations.health import Probe, Readiness, ready_handler
from tests.tools.faultystore import Fault, running_faultystore
from tests.tools.firmware import Firmware
from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import sign_in, upload
from tests.tools.s3store import s3_settings
from tests.tools.seaweed import Engine

IMAGE = Firmware(61, 200_000)


async def test_uploads_and_reads_get_503_and_when_to_come_again(
    engine: Engine, tmp_path: Path, postgres_server: str
) -> None:
    async with (
        running_faultystore(engine) as faulty,
        gateway_inside(
            tmp_path,
            database_server=postgres_server,
            **(s3_settings(faulty.endpoint, "away") | {"s3_retry_seconds": 0.3}),
        ) as gateway,
        aiohttp.ClientSession() as session,
    ):
        thing = await (await sign_in(session, gateway.url)).thing()
        url, headers = f"{gateway.url}/files", thing.headers
        await upload(session, url, headers, "a.bin", IMAGE.content)
        faulty.always = dict.fromkeys(("PUT", "GET", "HEAD", "DELETE"), Fault.UNAVAILABLE)
        for method, place in (("PUT", "/b.bin"), ("PUT", "/a.bin"), ("GET", "/a.bin")):
            body = IMAGE.content if method == "PUT" else None
            sent = {**headers, "Content-Type": "application/octet-stream"}
            async with session.request(method, url + place, data=body, headers=sent) as answer:
                assert (503, "1") == (answer.status, answer.headers.get("Retry-After"))
                assert "s3" not in (await answer.text()).lower()
        faulty.always = {}
        assert [] == await quarantined(gateway)  # a store that is away says nothing of its blobs
        async with session.get(f"{url}/a.bin", headers=headers) as answer:
            assert (200, IMAGE.content) == (answer.status, await answer.read())
        async with session.get(f"{url}/b.bin", headers=headers) as answer:
            assert 404 == answer.status


async def quarantined(gateway: InsideGateway) -> list[dict[str, object]]:
    """What ``check`` finds wrong, quarantine included."""
    status, said = await gateway.run("check", "--json")
    found: list[dict[str, object]] = json.loads(said)["findings"]
    assert bool(found) == bool(status)
    return found


async def test_a_scrub_of_a_store_that_goes_away_ends_and_accuses_nobody(
    engine: Engine, tmp_path: Path, postgres_server: str
) -> None:
    async with running_faultystore(engine) as faulty:
        told = s3_settings(faulty.endpoint, "scrub") | {"s3_retry_seconds": 0.3}
        async with (
            gateway_inside(tmp_path, database_server=postgres_server, **told) as gateway,
            aiohttp.ClientSession() as session,
        ):
            thing = await (await sign_in(session, gateway.url)).thing()
            url = f"{gateway.url}/files"
            await upload(session, url, thing.headers, "a.bin", IMAGE.content)
            for verb in ("GET", "HEAD"):
                faulty.plan[verb] = [Fault.UNAVAILABLE] * 40
                faulty.probes_pass = True
                status, _ = await gateway.run("scrub", "--json")
                assert 1 == status
                faulty.plan.clear()
                assert [] == await quarantined(gateway)
            status, said = await gateway.run("scrub", "--json")
            assert (0, []) == (status, json.loads(said)["findings"])


async def test_doctor_says_what_is_wrong_with_the_store(
    engine: Engine, tmp_path: Path, postgres_server: str
) -> None:
    told = s3_settings(engine.endpoint, "doctor") | {"s3_retry_seconds": 0.3}
    async with gateway_inside(tmp_path, database_server=postgres_server, **told) as gateway:
        for changes, level in (({}, "ok"), ({"s3_endpoint": "http://127.0.0.1:1"}, "fail")):
            gateway._settings |= changes
            _, said = await gateway.run("doctor", "--json")
            [line] = [c for c in json.loads(said)["checks"] if c["about"] == "store"]
            assert level == line["level"], line


@pytest.mark.parametrize(
    ("fails", "status"),
    [
        pytest.param("store", 200, id="a store that all share takes none of them out of service"),
        pytest.param("database", 503, id="a database does"),
    ],
)
async def test_readiness(fails: str, status: int) -> None:
    async def away() -> None:
        raise StorageUnavailable if fails == "store" else CatalogueUnavailable

    async def well() -> None:
        pass

    probes: dict[str, Probe] = {
        name: away if name == fails else well for name in ("store", "database")
    }
    ready = ready_handler(Readiness(probes, frozenset({"store"})))
    answer = await ready(make_mocked_request("GET", "/ready"))
    assert status == answer.status
    assert answer.body is not None
    assert fails.encode() in bytes(answer.body)  # type: ignore[arg-type]
