"""Downloads, and who sends them: never nginx, whatever it asks for."""

from __future__ import annotations

import aiohttp
import pytest

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, upload
from tests.tools.nginx import ACCEL
from tests.tools.rawhttp import raw_connection
from tests.web.conftest import Published
from tests.web.test_downloads import *  # noqa: F403 - the same tests, on another store
from tests.web.test_downloads import IMAGE

# Bytes that nginx sends; ranges that it judges by itself; a gateway of the test's own.
del test_behind_nginx_it_is_nginx_that_sends  # noqa: F821
del test_the_edge_knows_a_satisfiable_range_from_another  # noqa: F821
del test_a_stranger_cannot_ask_for_the_place_of_a_blob_either  # noqa: F821

LARGE = Firmware(77, 24 * 1024 * 1024 + 4321)


async def test_a_front_server_is_not_told_of_a_place_that_there_is_not(
    gateway: GatewayProcess, thing: Thing, published: Published
) -> None:
    [credential] = thing.headers.items()
    for range_ in ([], [("Range", "bytes=1-99999")]):
        async with raw_connection(gateway.port) as connection:
            asked = [credential, ("X-Filestore-Accel", ACCEL), *range_]
            answer = await connection.ask("GET", published.path, asked)
        assert [] == answer.head.all("X-Accel-Redirect")
        assert answer.body == (IMAGE.read(1, 99_999) if range_ else IMAGE.content)


async def test_a_front_server_in_edge_mode_is_given_no_decision(
    gateway: GatewayProcess, thing: Thing, published: Published
) -> None:
    [credential] = thing.headers.items()
    async with raw_connection(gateway.port) as connection:
        asked = [credential, ("X-Filestore-Edge", "1000.000")]
        answer = await connection.ask("GET", published.path, asked)
    assert (403, []) == (answer.status, answer.head.all("X-Filestore-Blob"))


async def test_a_file_larger_than_every_buffer_comes_back_whole_and_in_ranges(
    gateway: GatewayProcess,
    port: int,
    http: aiohttp.ClientSession,
    thing: Thing,
    way: str,
) -> None:
    [credential] = thing.headers.items()
    name = f"large-{way}.bin"
    await upload(http, f"http://127.0.0.1:{port}/files", thing.headers, name, LARGE.content)
    async with raw_connection(port) as connection:
        answer = await connection.ask("GET", f"/files/{name}", [credential])
        assert (200, LARGE.content) == (answer.status, answer.body)
        for start, count in ((0, 100_000), (65_535, 65_538), (5_000_001, 9_999_999)):
            asked = [credential, ("Range", f"bytes={start}-{start + count - 1}")]
            answer = await connection.ask("GET", f"/files/{name}", asked)
            assert (206, LARGE.read(start, count)) == (answer.status, answer.body)


@pytest.mark.parametrize("command", ["check", "sweep", "scrub"])
async def test_a_command_that_would_see_none_of_the_blobs_says_so(
    gateway: GatewayProcess, command: str
) -> None:
    assert (2, "") == await gateway.run(command)


async def test_it_is_said_at_start_what_memory_is(gateway: GatewayProcess) -> None:
    assert "blobs are kept in memory: they end with this process" in gateway.log
