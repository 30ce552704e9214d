"""A disk without room: 507, nothing left over, and downloads and deletions go on.

As root the disk is a small one of its own, so that the system call itself fails in the middle of
a file; without that right, the watermark stands for it, which is looked at once, with the declared length.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools.clients import run
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, signed_in, upload
from tests.tools.rawhttp import multipart, raw_connection

FILES = "/filestore/files"
DISK = 8 << 20


@dataclass
class Full:
    """A gateway with one small file, and room for little more."""

    gateway: GatewayProcess
    thing: Thing
    real: bool
    free: int


@contextlib.asynccontextmanager
async def small_disk(folder: Path) -> AsyncIterator[bool]:
    """A file system of 8 MiB on ``folder``; whether we may have one."""
    options = ("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder)
    mounted = (await run("mount", *options, cwd=folder.parent)).status == 0
    try:
        yield mounted
    finally:
        if mounted:
            await run("umount", "--lazy", folder, cwd=folder.parent)


@pytest.fixture
async def full(tmp_path: Path, postgres_server: str) -> AsyncIterator[Full]:
    folder = tmp_path / "gateway"
    folder.mkdir()
    (folder / "data").mkdir()
    async with small_disk(folder / "data") as real:
        free = shutil.disk_usage(folder / "data").free
        room = {"min_free_bytes": 0 if real else free // 2, "max_file_bytes": 1 << 50}
        async with running_gateway(folder, database_server=postgres_server, **room) as gateway:
            async with signed_in(gateway.url) as admin:
                thing = await admin.thing()
                collection = f"{gateway.url}/files"
                await upload(admin.session, collection, thing.headers, "old.bin", b"old")
            yield Full(gateway, thing, real, free)


@pytest.mark.parametrize(
    "lengths", [pytest.param(True, id="length declared"), pytest.param(False, id="in chunks")]
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", FILES), ("PUT", f"{FILES}/old.bin")], ids=["new", "old"]
)
async def test_a_full_disk_refuses_an_upload(
    full: Full, lengths: bool, method: str, path: str
) -> None:
    """Known before from the length, or found out while writing."""
    [key] = full.thing.headers.items()
    part = 'Content-Disposition: form-data; name="file"; filename="new.bin"'
    headers, body = multipart([(part, bytes(DISK + (1 << 20)))])
    if not full.real:
        headers = (headers[0], ("Content-Length", str(full.free)))
    elif not lengths:
        headers = (headers[0], ("Transfer-Encoding", "chunked"))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    async with raw_connection(full.gateway.port) as raw:
        await raw.send_head(method, path, [key, *headers])

        async def push() -> None:
            with contextlib.suppress(ConnectionError):
                await raw.send(body)

        pushing = asyncio.create_task(push())
        answer = await raw.read_answer()
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
    assert (answer.status, json.loads(answer.body)) == (507, {"error": "insufficient storage"})
    assert list((full.gateway.data_dir / "incoming").iterdir()) == []
    async with raw_connection(full.gateway.port) as raw:
        assert (await raw.ask("GET", f"{FILES}/old.bin", [key])).body == b"old"
        assert (await raw.ask("GET", f"{FILES}/new.bin", [key])).status == 404
        small = multipart([(part.replace("new", "small"), b"small")])
        await raw.send_head("POST", FILES, [key, *small[0]])
        await raw.send(small[1])
        assert (await raw.read_answer()).status == 201
        assert (await raw.ask("DELETE", f"{FILES}/old.bin", [key])).status == 204
