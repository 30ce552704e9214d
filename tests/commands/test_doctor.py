"""doctor: a line for each thing that a gateway needs, beside a gateway, with planted faults."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.commands.test_no_deployment import run
from tests.tools.gateway import ADMIN_PASSWORD, GatewayProcess, running_gateway
from tests.tools.mainflux import signed_in, upload
from tests.tools.nginx import ACCEL, running_nginx
from tests.tools.ports import HOST, free_port


@pytest.fixture
async def gateway(tmp_path: Path, postgres_server: str) -> AsyncIterator[GatewayProcess]:
    async with running_gateway(
        tmp_path, database_server=postgres_server, accel=ACCEL, trusted_proxies="127.0.0.0/8"
    ) as running:
        yield running


def levels(said: str) -> dict[str, str]:
    """The worst level of each thing that was looked at."""
    order = ("ok", "warn", "fail")
    worst: dict[str, str] = {}
    for line in json.loads(said)["checks"]:
        worst[line["about"]] = max(worst.get(line["about"], "ok"), line["level"], key=order.index)
    return worst


def lines(said: str, level: str) -> list[dict[str, Any]]:
    return [line for line in json.loads(said)["checks"] if line["level"] == level]


async def test_all_is_well_beside_a_gateway_and_through_its_proxy(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    before = sorted(str(path) for path in gateway.data_dir.rglob("*"))
    async with (
        signed_in(gateway.url) as admin,
        running_nginx(
            tmp_path / "nginx", upstream=f"{HOST}:{gateway.port}", blobs=gateway.data_dir / "blobs"
        ) as nginx,
    ):
        thing = await admin.thing()
        await upload(admin.session, f"{gateway.url}/files", thing.headers, "a.bin", b"x" * 5000)
        asked = ("--url", f"http://{HOST}:{nginx.port}", "--path", "/files/a.bin")
        credential = ("--credential", thing.headers["Authorization"])
        status, said = await gateway.run("doctor", *asked, *credential)
        direct = ("--url", gateway.url, "--path", "/files/none.bin")
        bare_status, bare = await gateway.run("doctor", *direct, *credential)
    assert (status, [*lines(said, "fail"), *lines(said, "warn")]) == (0, []), said
    proxy = [line["found"] for line in json.loads(said)["checks"] if line["about"] == "proxy"]
    for part in ("leads to a gateway", "/metrics and /ready", "passed through", "is internal"):
        assert any(part in found for found in proxy), part
    assert "the first byte of /files/a.bin comes" in proxy[-1]
    # Without the proxy all can be seen, and a file that is not there does not come.
    assert (1, "/metrics and /ready can be read from outside") == (
        bare_status,
        lines(bare, "warn")[0]["found"],
    )
    assert lines(bare, "fail")[0]["found"].startswith(
        "the first byte of /files/none.bin is answered with 404"
    )
    after = sorted(str(path) for path in gateway.data_dir.rglob("*") if "things" not in str(path))
    assert after == [path for path in before if "things" not in path]


async def test_each_planted_fault_is_told_by_its_own_line(gateway: GatewayProcess) -> None:
    secret = gateway.data_dir / "secret"
    kept = secret.read_text()
    secret.chmod(0o644)
    assert "fail" == levels((await gateway.run("doctor"))[1])["secret"]
    secret.chmod(0o600)
    secret.write_text("y" * 64)
    _, said = await gateway.run("doctor")
    assert ["the database belongs to a deployment with another secret"] == [
        line["found"] for line in lines(said, "fail")
    ]
    secret.write_text(kept)
    connection = await asyncpg.connect(gateway.environment["GATEWAY_DATABASE_URL"])
    try:
        await connection.execute(
            "insert into schema_migrations values ('9999_x.contract.sql', 'x')"
        )
        status, said = await gateway.run("doctor")
        assert (1, True) == (status, "9999_x.contract.sql" in lines(said, "fail")[0]["found"])
    finally:
        await connection.execute("delete from schema_migrations where name like '9999%'")
        await connection.close()


FAULTS = {
    "wrong value": ({"GATEWAY_PORT": "x"}, "settings", "GATEWAY_PORT"),
    "no server": (
        {"GATEWAY_DATABASE_URL": f"postgresql://me:{ADMIN_PASSWORD}@{HOST}:1/files"},
        "database",
        f"PostgreSQL at {HOST}:1, database files, user me: Connection refused",
    ),
    "full disk": ({"GATEWAY_MIN_FREE_BYTES": str(2**60)}, "disk", "free"),
    "no directory": ({"GATEWAY_DATA_DIR": "/dev/null"}, "disk", "/dev/null"),
}


@pytest.mark.parametrize(("variables", "about", "part"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_status_1_and_tells_no_password(
    tmp_path: Path, variables: dict[str, str], about: str, part: str
) -> None:
    (tmp_path / "var").mkdir()
    done = run(tmp_path, "doctor", **variables)
    assert 1 == done.returncode
    assert any(
        part in line["found"] for line in lines(done.stdout, "fail") if line["about"] == about
    )
    assert all(line["advice"] for line in lines(done.stdout, "fail"))
    assert ADMIN_PASSWORD not in done.stdout + done.stderr


def test_a_port_that_another_has_is_told_and_a_misspelt_setting_is_guessed(tmp_path: Path) -> None:
    with socket.create_server((HOST, free_port())) as taken:
        port = str(taken.getsockname()[1])
        done = run(tmp_path, "doctor", GATEWAY_PORT=port, GATEWAY_PORTS="1")
    assert f"port {port} is taken by something else" in done.stdout
    assert "did you mean GATEWAY_PORT?" in done.stdout
    assert [] == list(tmp_path.iterdir())
