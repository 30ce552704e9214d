"""``python -m benchmarks.peers.programs.file_response FOLDER PORT``."""

from __future__ import annotations

import sys
from pathlib import Path

import uvloop
from aiohttp import web

from benchmarks.children import HOST


def main() -> None:
    """Serve the folder's files by name."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])

    async def download(request: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / request.match_info["name"])

    app = web.Application()
    app.router.add_get("/{name}", download)
    loop = uvloop.new_event_loop()
    web.run_app(
        app, host=HOST, port=port, loop=loop, access_log=None, print=lambda _: None, backlog=4096
    )


if __name__ == "__main__":
    main()
