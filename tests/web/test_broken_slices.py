"""A store that breaks off in the middle of a slice: nginx's client gets a part of the blob, and no hole in it.

nginx by itself goes on with the next slice, as the test of the bare module shows; ``filestore-s3-fetch.conf`` sees to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools.nginx import running_nginx
from tests.tools.ports import HOST

SLICE = 4 * 1024 * 1024
BLOB = b"".join(bytes([65 + n]) * SLICE for n in range(3))
_RANGE = re.compile(rb"range: bytes=([0-9]+)-([0-9]+)", re.IGNORECASE)
_LOCATION = """
location /blob/ {
    set $filestore_object $uri; set $filestore_signature ""; set $filestore_slice "";
    include filestore-s3-fetch.conf;
}
location /bare/ {
    slice 4m; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Range $slice_range;
    proxy_pass http://filestore_store;
}
"""


@dataclass
class BreakingStore:
    """Has one object; the next time that ``breaks_at`` is asked for, it breaks off half-way."""

    port: int = 0
    breaks_at: int | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while found := _RANGE.search(await reader.readuntil(b"\r\n\r\n")):
                start, stop = int(found[1]), min(int(found[2]) + 1, len(BLOB))
                head = f'206 OK\r\nETag: "e"\r\nContent-Range: bytes {start}-{stop - 1}/{len(BLOB)}'
                writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {stop - start}\r\n\r\n".encode())
                if breaks := start == self.breaks_at:
                    self.breaks_at = None
                writer.write(BLOB[start : (start + stop) // 2 if breaks else stop])
                await writer.drain()
                if breaks:
                    break
        writer.close()


@pytest.fixture
async def store() -> AsyncIterator[BreakingStore]:
    store = BreakingStore()
    server = await asyncio.start_server(store.serve, HOST, 0)
    store.port = server.sockets[0].getsockname()[1]
    async with server:
        yield store


async def body_of(port: int, path: str) -> bytes:
    """As much of the body as comes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        return await reader.read(-1)
    finally:
        writer.close()


async def test_what_comes_is_a_beginning_of_the_blob_and_the_next_who_asks_gets_it_whole(
    tmp_path: Path, store: BreakingStore
) -> None:
    async with running_nginx(
        tmp_path / "nginx",
        upstream="127.0.0.1:9",
        blobs=tmp_path,
        store=f"{HOST}:{store.port}",
        server=_LOCATION,
    ) as nginx:
        for number, breaks_at in enumerate((0, SLICE, 2 * SLICE)):
            store.breaks_at = breaks_at
            got = await body_of(nginx.port, f"/blob/{number}")
            assert breaks_at + SLICE // 2 == len(got)
            assert BLOB.startswith(got)
            assert BLOB == await body_of(nginx.port, f"/blob/{number}")
        store.breaks_at = SLICE
        assert not BLOB.startswith(await body_of(nginx.port, "/bare/x")), (
            "it is not needed any more"
        )
