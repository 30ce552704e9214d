"""``python -m benchmarks.peers.programs.naive_upload FOLDER PORT``: as tutorials have it.

With ``naive_upload_synced`` beside it, which promises what the gateway does of the bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from uuid import uuid4

import aiofiles
import uvloop
from aiohttp import BodyPartReader, web

from benchmarks.children import HOST

_CHUNK = 64 * 1024


def main(*, synced: bool = False) -> None:
    """Take forms at ``/``; keep only the newest file, durably if it is to be ``synced``."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])

    async def upload(request: web.Request) -> web.Response:
        digest, path = hashlib.sha256(), folder / uuid4().hex
        part = await (await request.multipart()).next()
        assert isinstance(part, BodyPartReader)
        async with aiofiles.open(path, "wb") as file:
            while chunk := await part.read_chunk(_CHUNK):
                digest.update(chunk)
                await file.write(chunk)
            if synced:
                await file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        path.replace(folder / "newest")
        if synced:
            await asyncio.to_thread(_sync, folder)
        return web.Response(status=201, text=digest.hexdigest())

    app = web.Application(client_max_size=1 << 40)
    app.router.add_post("/", upload)
    loop = uvloop.new_event_loop()
    web.run_app(app, host=HOST, port=port, loop=loop, access_log=None, print=lambda _: None)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
