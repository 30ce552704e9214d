"""A deployment's blobs go to a bucket and back while it serves, and it knows where they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.model.errors import StartupFailed
from tests.tools.firmware import Firmware
from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import Thing, sign_in, upload
from tests.tools.s3store import s3_settings
from tests.tools.seaweed import Engine

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGES = [Firmware(seed, 1000 * seed) for seed in range(12)]


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(
    engine: Engine, tmp_path: Path, postgres_server: str
) -> AsyncIterator[InsideGateway]:
    """A gateway on its disk that knows of a bucket, too."""
    told = s3_settings(engine.endpoint, tmp_path.name) | {"store": "disk"}
    async with gateway_inside(tmp_path, database_server=postgres_server, **told) as running:
        yield running


async def publish(gateway: InsideGateway, images: list[Firmware]) -> Thing:
    async with aiohttp.ClientSession() as session:
        thing = await (await sign_in(session, gateway.url)).thing()
        for number, image in enumerate(images):
            name = f"{number}.bin"
            await upload(session, f"{gateway.url}/files", thing.headers, name, image.content)
    return thing


async def check_all(gateway: InsideGateway, thing: Thing, images: list[Firmware]) -> None:
    async with aiohttp.ClientSession() as session:
        for number, image in enumerate(images):
            url = f"{gateway.url}/files/{number}.bin"
            async with session.get(url, headers=thing.headers) as answer:
                assert (200, image.content) == (answer.status, await answer.read())


async def moved(gateway: InsideGateway, *arguments: str) -> tuple[int, dict[str, Any]]:
    status, said = await gateway.run("move-blobs", "--json", *arguments)
    return status, json.loads(said)


async def test_all_goes_to_a_bucket_and_back_and_a_gateway_elsewhere_does_not_start(
    gateway: InsideGateway,
) -> None:
    thing = await publish(gateway, IMAGES)
    status, said = await moved(gateway, "--to", "s3")
    assert (0, 12, 0, False) == (status, said["copied"], said["present"], said["finished"])
    more = await publish(gateway, IMAGES[:3])
    status, said = await moved(gateway, "--to", "s3", "--finish")
    assert (0, 3, 12, True) == (status, said["copied"], said["present"], said["finished"])
    with pytest.raises(StartupFailed, match="are in another store"):
        await gateway.restart()
    await gateway.restart(store="s3")
    await check_all(gateway, thing, IMAGES)
    await check_all(gateway, more, IMAGES[:3])
    status, report = await gateway.run("check", "--json")
    assert (0, 15) == (status, json.loads(report)["blobs"]), report
    await check_all(gateway, await publish(gateway, IMAGES[4:5]), IMAGES[4:5])
    status, said = await moved(gateway, "--to", "disk", "--finish")
    assert (0, 1, 15, True) == (status, said["copied"], said["present"], said["finished"])
    await gateway.restart(store="disk")
    await check_all(gateway, thing, IMAGES)


async def test_what_is_damaged_or_gone_is_named_and_nothing_is_finished(
    gateway: InsideGateway,
) -> None:
    await publish(gateway, IMAGES[:4])
    one, two = sorted((gateway.data_dir / "blobs" / "things").rglob("*-*-*-*-*"), key=size_of)[-2:]
    two.write_bytes(b"x" * two.stat().st_size)
    one.unlink()
    status, said = await moved(gateway, "--to", "s3", "--finish")
    findings = said["findings"]
    assert (1, 2, False) == (status, said["copied"], said["finished"])
    assert {("missing", one.name), ("damaged", two.name)} == {
        (found["what"], found["blob"]) for found in findings
    }
    await gateway.restart()  # it is where it was
    status, said = await moved(gateway, "--to", "s3")
    assert (1, 0, 2) == (status, said["copied"], said["present"])


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
