"""A disk without room: 507, nothing left over, and downloads and deletions go on.

As root the disk is a small one of its own, so that the system call itself fails in the middle of
a file; without that right, the watermark stands for it.
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
from tests.tools.mainflux import Thing, User, signed_in, upload
from tests.tools.rawhttp import multipart, raw_connection
from tests.tools.waiting import PATIENCE_SECONDS

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


WATERMARK = 3 << 20


@pytest.fixture
async def watched(tmp_path: Path, postgres_server: str) -> AsyncIterator[Full]:
    """A gateway that keeps a watermark on a small disk of its own."""
    folder = tmp_path / "gateway"
    (folder / "data").mkdir(parents=True)
    async with small_disk(folder / "data") as real:
        if not real:
            pytest.skip("needs the right to mount a small disk")
        async with running_gateway(
            folder, database_server=postgres_server, min_free_bytes=WATERMARK
        ) as gateway:
            async with signed_in(gateway.url) as admin:
                thing = await admin.thing()
                await upload(
                    admin.session, f"{gateway.url}/files", thing.headers, "old.bin", b"old"
                )
            yield Full(gateway, thing, real, free_on(folder))


def free_on(folder: Path) -> int:
    return shutil.disk_usage(folder / "data").free


async def test_what_one_upload_was_promised_is_not_promised_to_another(watched: Full) -> None:
    """Each of them fits alone; nobody has sent a byte of its file yet."""
    [key] = watched.thing.headers.items()
    length = str((watched.free - WATERMARK) * 2 // 3)
    part = 'Content-Disposition: form-data; name="file"; filename="new.bin"'
    (content_type, _), body = multipart([(part, bytes(1 << 20))])
    head = [key, content_type, ("Content-Length", length), ("Expect", "100-continue")]
    async with raw_connection(watched.gateway.port) as first:
        await first.send_head("POST", FILES, head)
        assert (await first.read_head()).status == 100
        await first.send(body[: 1 << 19])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not list((watched.gateway.data_dir / "incoming").iterdir()):
                await asyncio.sleep(0.01)
        assert await refused_at_once(watched, head, body[: 1 << 19]) == 507
    async with asyncio.timeout(PATIENCE_SECONDS):  # the first one left
        while list((watched.gateway.data_dir / "incoming").iterdir()):
            await asyncio.sleep(0.01)
    async with raw_connection(watched.gateway.port) as third:
        await third.send_head("POST", FILES, head)
        assert (await third.read_head()).status == 100


async def refused_at_once(full: Full, head: list[tuple[str, str]], begun: bytes) -> int:
    async with raw_connection(full.gateway.port) as raw:
        await raw.send_head("POST", FILES, head)
        assert (await raw.read_head()).status == 100
        await raw.send(begun)
        return (await raw.read_answer()).status


async def test_an_upload_without_a_length_stops_at_the_watermark(watched: Full) -> None:
    """However it is sent, what is kept for the database is never touched."""
    [key] = watched.thing.headers.items()
    part = 'Content-Disposition: form-data; name="file"; filename="new.bin"'
    (content_type, _), body = multipart([(part, bytes(DISK))])
    lowest = watched.free
    async with raw_connection(watched.gateway.port) as raw:
        await raw.send_head("POST", FILES, [key, content_type, ("Transfer-Encoding", "chunked")])
        answering = asyncio.create_task(raw.read_answer())
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(body), 1 << 16):
                piece = body[start : start + (1 << 16)]
                await raw.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                lowest = min(lowest, free_on(watched.gateway.data_dir.parent))
        answer = await answering
    assert answer.status == 507
    assert lowest >= WATERMARK - (1 << 16), "a batch has its folder's block beside it"
    assert list((watched.gateway.data_dir / "incoming").iterdir()) == []


async def test_below_the_watermark_no_row_is_added_and_all_else_goes_on(watched: Full) -> None:
    """The database needs what is left. It comes back by itself when there is room."""
    gateway = watched.gateway
    async with signed_in(gateway.url) as admin:
        thing = watched.thing
        channel = await made(admin, "/channels")
        await send(
            admin, 200, "POST", "/connect", {"channel_ids": [channel], "thing_ids": [thing.id]}
        )
        (gateway.data_dir / "filler").write_bytes(bytes(watched.free - WATERMARK // 2))
        await asyncio.sleep(0.15)  # it is looked at ten times a second
        adding = [
            ("POST", "/things", {"name": "t"}),
            ("PUT", f"/things/{thing.id}", {"metadata": {"a": 1}}),
            ("POST", "/channels", {"name": "c"}),
            ("POST", "/groups", {"name": "g"}),
            ("POST", "/users", {"email": "new@test.test", "password": "correct-horse"}),
            ("POST", "/keys", {"type": 2}),
            ("POST", f"/webhooks/{thing.id}", {"name": "w", "url": "http://192.0.2.1/"}),
        ]
        for method, path, body in adding:
            await send(admin, 507, method, path, body)
        message = [{"n": "a", "v": 1}]
        url = f"{gateway.url}/http/channels/{channel}/messages"
        async with admin.session.post(url, json=message, headers=thing.headers) as answer:
            assert answer.status == 507
        url = f"{gateway.url}/files/old.bin"
        async with admin.session.put(url, json={"time": 1}, headers=thing.headers) as answer:
            assert answer.status == 507
        async with admin.session.get(url, headers=thing.headers) as answer:
            assert await answer.read() == b"old"
        await send(
            admin, 200, "PUT", "/disconnect", {"channel_ids": [channel], "thing_ids": [thing.id]}
        )
        async with admin.session.delete(url, headers=thing.headers) as answer:
            assert answer.status == 204
        async with signed_in(gateway.url):
            pass
        (gateway.data_dir / "filler").unlink()
        await asyncio.sleep(0.15)
        await send(admin, 201, "POST", "/things", {"name": "t"})


async def made(user: User, path: str) -> str:
    """What was made in that collection; its id."""
    async with user.session.post(f"{user.url}{path}", json={}, headers=user.headers) as answer:
        assert answer.status == 201
        return answer.headers["Location"].rpartition("/")[2]


async def send(user: User, expected: int, method: str, path: str, body: object) -> None:
    async with user.session.request(
        method, f"{user.url}{path}", json=body, headers=user.headers
    ) as answer:
        assert answer.status == expected, (path, await answer.text())
