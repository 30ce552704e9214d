"""``python -m benchmarks.peers.programs.hook FOLDER PORT``: an auth hook that allows everything.

As small as can be, so that its share of the processor is that of a good hook. Whoever asks with a
body, as tus servers do, is answered with JSON, which they want.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

from benchmarks.children import HOST

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Hook(asyncio.Protocol):
    """Answers each head with 200."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer every question that is whole."""
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._rest, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._rest) < whole:
                return
            self._rest = self._rest[whole:]
            self._transport.write(_ANSWER if length is None else _JSON)


async def serve(port: int) -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(Hook, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[2])))
