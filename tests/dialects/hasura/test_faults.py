"""Our own faults, all of which have one answer here: 500 in the words of the table."""

from __future__ import annotations

import shutil
import tempfile

import asyncpg
import pytest

from tests.dialects.hasura.conftest import ADMIN, OCTETS, Hasura, check_refusal
from tests.tools.gateway import GatewayProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Room for whatever else happens on the disk meanwhile, and none for the ten gibibytes that are
# announced below.
ROOM_BYTES = 6 * 1024**3
ANNOUNCED = ("Content-Length", str(10 * 1024**3))
SETTINGS = {
    "min_free_bytes": max(shutil.disk_usage(tempfile.gettempdir()).free - ROOM_BYTES, 0),
    "database_wait_seconds": 0.5,
}
FATAL = (500, "fatal_internal_error", "internal server error")


async def test_a_full_disk_is_our_fault(hasura: Hasura, gateway: GatewayProcess) -> None:
    """Where other APIs have 507. Not a byte is asked for."""
    for method, path in (("POST", "/full"), ("PUT", "/full"), ("POST", "")):
        answer = await hasura.ask(method, path, (*ADMIN, OCTETS, ANNOUNCED))
        check_refusal(answer, *FATAL)
        assert [] == answer.head.all("Retry-After")
    assert "insufficient storage" in gateway.log


async def test_the_log_tells_of_the_request_whose_blob_is_gone(
    hasura: Hasura, gateway: GatewayProcess
) -> None:
    created = await hasura.create("", b"content")
    [blob] = (path for path in (gateway.data_dir / "blobs").rglob("*") if path.is_file())
    blob.unlink()
    answer = await hasura.ask("GET", f"/{created['file_id']}")
    check_refusal(answer, *FATAL)
    assert answer.head.one("X-Request-Id") in gateway.log


async def test_a_database_that_is_away_is_our_fault(
    hasura: Hasura, gateway: GatewayProcess, postgres_server: str
) -> None:
    """Where other APIs have 503."""
    name = gateway._environment["GATEWAY_DATABASE_URL"].partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(postgres_server)
    try:
        await connection.execute(f"alter database {name} with allow_connections false")
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
        )
        for method in ("GET", "PUT", "DELETE"):
            answer = await hasura.ask(method, "/away", (*ADMIN, OCTETS))
            check_refusal(answer, *FATAL)
            assert [] == answer.head.all("Retry-After")
    finally:
        await connection.execute(f"alter database {name} with allow_connections true")
        await connection.close()
