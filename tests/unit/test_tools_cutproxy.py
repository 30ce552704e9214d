"""The cutting proxy: whole when it should be, cut where it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.tools.cutproxy import Cut, Manner, running_cutproxy, seeded_cuts
from tests.tools.firmware import Firmware
from tests.tools.rawhttp import raw_connection

IMAGE = Firmware(11, 3 << 20)


@pytest.fixture
async def target() -> AsyncIterator[int]:
    """Reads a line ``<count>\\n`` and that many bytes, then sends the image and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(int(await reader.readline() or 0))
            writer.write(IMAGE.content)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_without_a_plan_every_byte_passes(target: int) -> None:
    async with running_cutproxy(target) as proxy, raw_connection(proxy.port) as connection:
        await connection.send(b"5\n12345")
        assert (IMAGE.content, "eof") == await connection.read_ending()
        assert proxy.made == []


@pytest.mark.parametrize(("manner", "ending"), [("fin", "eof"), ("rst", "reset")])
async def test_a_response_is_cut_at_its_byte_and_in_its_manner(
    target: int, manner: Manner, ending: str
) -> None:
    cut = Cut("response", 1_000_000, manner)
    async with running_cutproxy(target, [cut]) as proxy:
        async with raw_connection(proxy.port) as connection:
            await connection.send(b"0\n")
            received, ended = await connection.read_ending()
        assert ended == ending
        assert IMAGE.read(0, len(received)) == received
        assert len(received) == 1_000_000 if manner == "fin" else len(received) <= 1_000_000
        assert proxy.made == [cut]
        async with raw_connection(proxy.port) as connection:
            await connection.send(b"0\n")
            assert (IMAGE.content, "eof") == await connection.read_ending()


async def test_a_request_is_cut_before_the_server_has_it_all(target: int) -> None:
    seen: list[Cut] = []

    async def note(cut: Cut) -> None:
        seen.append(cut)

    cut = Cut("request", 20, "rst")
    async with (
        running_cutproxy(target, [cut], on_cut=note) as proxy,
        raw_connection(proxy.port) as connection,
    ):
        await connection.send(b"30\n", bytes(30))
        assert await connection.read_ending() == (b"", "reset")
    assert seen == [cut]


def test_a_seed_is_one_plan() -> None:
    plan = list(seeded_cuts(1, 50, 1000))
    assert plan == list(seeded_cuts(1, 50, 1000))
    assert plan != list(seeded_cuts(2, 50, 1000))
    assert all(0 <= cut.after <= 1000 for cut in plan)
    assert {cut.manner for cut in plan} == {"fin", "rst"}


async def test_a_slow_line_still_brings_every_byte(target: int) -> None:
    async with (
        running_cutproxy(target, bytes_per_second=100e6, latency=0.01) as proxy,
        raw_connection(proxy.port) as connection,
    ):
        await connection.send(b"0\n")
        assert (IMAGE.content, "eof") == await connection.read_ending()
