"""The gateway tool starts, kills, restarts and stops the real service."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.tools.gateway import GatewayDied, GatewayProcess, running_gateway
from tests.tools.mainflux import signed_in


async def status_of(gateway: GatewayProcess, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(gateway.url + path) as answer:
        return answer.status


async def test_a_gateway_lives_on_through_kill_and_restart(
    tmp_path: Path, postgres_server: str
) -> None:
    """Same port, same data, same database: a thing made before the kill is known after it."""
    async with running_gateway(tmp_path, database_server=postgres_server) as gateway:
        async with signed_in(gateway.url) as admin:
            thing = await admin.thing()
        first = gateway.pid
        await gateway.kill9()
        assert not gateway.running
        await gateway.start()
        assert gateway.pid != first
        async with (
            aiohttp.ClientSession(headers=thing.headers) as session,
            session.get(f"{gateway.url}/files") as answer,
        ):
            assert answer.status == 200
        await gateway.restart()
        assert await status_of(gateway, "/health") == 200
        assert await gateway.terminate() == 0
    with pytest.raises(aiohttp.ClientConnectionError):
        await status_of(gateway, "/health")


async def test_a_gateway_without_a_database_brings_its_own(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, database_server=None) as gateway:
        assert await status_of(gateway, "/ready") == 200
        assert (gateway.data_dir / "postgres" / "postmaster.pid").exists()
        await gateway.kill9()
    assert not (gateway.data_dir / "postgres" / "postmaster.pid").exists()


async def test_a_gateway_that_cannot_start_tells_why(tmp_path: Path, postgres_server: str) -> None:
    with pytest.raises(GatewayDied, match="GATEWAY_WORKERS"):
        async with running_gateway(tmp_path, database_server=postgres_server, workers=0):
            pass


async def test_a_setting_that_does_not_exist_is_a_mistake_in_the_test(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="wrokers"):
        async with running_gateway(tmp_path, database_server=None, wrokers=2):
            pass
