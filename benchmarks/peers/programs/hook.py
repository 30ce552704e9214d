"""``python -m benchmarks.peers.programs.hook FOLDER PORT``: an auth hook that allows everything.

As small as can be, so that its share of the processor is that of a good hook.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

from benchmarks.children import HOST

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Hook(asyncio.Protocol):
    """Answers each head with 200."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer every head that is whole."""
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(heads))


async def serve(port: int) -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(Hook, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[2])))
