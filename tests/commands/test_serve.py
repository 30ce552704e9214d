"""serve: it waits for its database, hears no SIGHUP, and hurries when told twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.tools import warm
from tests.tools.gateway import environment_of, new_database, running_gateway
from tests.tools.mainflux import signed_in
from tests.tools.ports import HOST, free_port
from tests.tools.warm import ROOT

SOME_SECONDS = 30.0


def log_lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_serve_waits_for_its_database_with_a_line_for_each_try(tmp_path: Path) -> None:
    settings = {"host": HOST, "port": free_port(), "data_dir": tmp_path / "data"}
    away = f"postgresql://me:hunter2@{HOST}:{free_port()}/files"
    environment = environment_of({**settings, "database_url": away, "database_start_seconds": 2})
    began = time.monotonic()
    done = warm.run("-m", "gateway", "serve", env=environment)
    assert 1 == done.returncode
    assert 1.0 < time.monotonic() - began
    waits = [line for line in log_lines(done.stderr) if line["event"] == "waiting for the database"]
    assert len(waits) >= 2
    assert all("user me: Connection refused" in str(line["cause"]) for line in waits)
    assert done.stderr.splitlines()[-1].startswith("filestore-gateway: PostgreSQL at")
    assert "hunter2" not in done.stderr


async def test_a_hangup_is_harmless_and_a_second_interrupt_hurries(
    tmp_path: Path, postgres_server: str
) -> None:
    async with (
        running_gateway(
            tmp_path,
            database_server=postgres_server,
            shutdown_seconds=60,
            commit="abc",
            build_time="now",
        ) as gateway,
        signed_in(gateway.url) as admin,
    ):
        os.kill(gateway.pid, signal.SIGHUP)
        thing = await admin.thing()
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{gateway.url}/health") as answer,
        ):
            body = await answer.json(content_type=None)
        assert ("abc", "now") == (body["commit"], body["build_time"])
        upload = asyncio.create_task(slow_upload(gateway.url, thing.headers))
        async with asyncio.timeout(SOME_SECONDS):
            while not list((gateway.data_dir / "incoming").iterdir()):
                await asyncio.sleep(0.02)
        os.kill(gateway.pid, signal.SIGINT)
        async with asyncio.timeout(SOME_SECONDS):
            while '"draining"' not in gateway.log:
                await asyncio.sleep(0.02)
        assert gateway.running
        os.kill(gateway.pid, signal.SIGINT)
        began = time.monotonic()
        assert 0 == await gateway.terminate()
        assert time.monotonic() - began < SOME_SECONDS
        assert "told to hurry" in gateway.log
        assert "Traceback" not in gateway.log
        upload.cancel()
    assert [] == list((gateway.data_dir / "incoming").iterdir())


async def test_who_comes_during_a_restart_waits_where_another_holds_the_port(
    tmp_path: Path, postgres_server: str
) -> None:
    """As systemd does with a socket unit: sd_listen_fds(3)."""
    environment = environment_of(
        {
            "data_dir": tmp_path,
            "database_url": await new_database(postgres_server, copied=True),
            "port": 1,
            "shutdown_seconds": 5,
        }
    )
    with socket.create_server((HOST, 0)) as held:
        port = held.getsockname()[1]
        first = handed(held, environment)
        assert b"200 OK" in await asyncio.to_thread(health, port)
        first.terminate()
        assert 0 == first.wait(30)
        waiting = asyncio.create_task(asyncio.to_thread(health, port))
        second = handed(held, environment)
        assert b"200 OK" in await waiting
        second.terminate()
        assert 0 == second.wait(30)


HANDED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "gateway", "serve"])
"""


def handed(held: socket.socket, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """``serve`` with that socket as descriptor 3."""
    return subprocess.Popen(
        [sys.executable, "-c", HANDED, str(held.fileno())],
        cwd=ROOT,
        env=environment,
        pass_fds=[held.fileno()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def health(port: int) -> bytes:
    with socket.create_connection((HOST, port), timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return connection.recv(65_536)


async def slow_upload(url: str, headers: dict[str, str]) -> None:
    """Sends something, and then nothing more."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        await asyncio.Event().wait()

    form = aiohttp.FormData()
    form.add_field("file", body(), filename="slow.bin")
    async with aiohttp.ClientSession() as session:
        await session.post(f"{url}/files", data=form, headers=headers)
