"""HTTP/1.x with every byte in the test's hands.

Knows how a response is framed. Does not correct, retry, redirect or decompress anything, and sends what it
is told, however wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Literal

from tests.tools.ports import HOST

_NO_BODY = frozenset({204, 304})
Ending = Literal["eof", "reset"]


@dataclass(frozen=True, slots=True)
class Head:
    """A status line and its headers, in order, names as they were sent."""

    version: str
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    size: int

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The only value of a header. Raises ``LookupError`` if there are none or several."""
        values = self.all(name)
        if len(values) != 1:
            raise LookupError(f"{name}: {values}")
        return values[0]

    @property
    def interim(self) -> bool:
        """Whether another head follows (1xx)."""
        return self.status < 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        """Its status."""
        return self.head.status


class RawConnection:
    """One TCP connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """These bytes."""
        self._writer.write(b"".join(pieces))
        await self._writer.drain()

    async def send_head(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        version: str = "1.1",
    ) -> None:
        """A request's head, with a Host unless HTTP/1.0 or given. No length is added for a body."""
        fields = list(headers)
        if version != "1.0" and not any(name.lower() == "host" for name, _ in fields):
            fields.insert(0, ("Host", "gateway.test"))
        lines = [f"{method} {target} HTTP/{version}", *(f"{n}: {v}" for n, v in fields), "", ""]
        await self.send("\r\n".join(lines).encode("utf-8", "surrogateescape"))

    async def read_head(self) -> Head:
        """The next head, be it interim or final. Raises ``asyncio.IncompleteReadError`` at the end."""
        block = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = block[:-4].decode("latin-1").split("\r\n")
        version, status, *reason = first.split(" ", 2)
        fields = tuple(
            (name, value.strip()) for name, _, value in (x.partition(":") for x in lines)
        )
        return Head(version, int(status), reason[0] if reason else "", fields, len(block))

    async def read_body(self, head: Head, *, method: str = "GET") -> bytes:
        """The body that ``head`` announces: by length, by chunks, or up to the end."""
        if method == "HEAD" or head.interim or head.status in _NO_BODY:
            return b""
        if head.all("Transfer-Encoding"):
            return await _read_chunks(self._reader)
        if head.all("Content-Length"):
            return await self._reader.readexactly(int(head.one("Content-Length")))
        return await self._reader.read()

    async def read_answer(self, *, method: str = "GET") -> Answer:
        """The final response; interim ones are passed over."""
        head = await self.read_head()
        while head.interim:
            head = await self.read_head()
        return Answer(head, await self.read_body(head, method=method))

    async def ask(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        version: str = "1.1",
    ) -> Answer:
        """Send a request without a body; the response."""
        await self.send_head(method, target, headers, version=version)
        return await self.read_answer(method=method)

    async def read_ending(self) -> tuple[bytes, Ending]:
        """Whatever still comes, and how the server ended the connection. Waits until it does."""
        received = bytearray()
        try:
            while piece := await self._reader.read(1 << 16):
                received += piece
        except ConnectionResetError:
            return bytes(received), "reset"
        return bytes(received), "eof"

    async def read_some(self, most: int = 1 << 16) -> bytes:
        """What is there, at least one byte; nothing at the end."""
        return await self._reader.read(most)

    def half_close(self) -> None:
        """Send no more; go on reading."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Vanish: RST, not FIN."""
        reset(self._writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_connection(
    port: int, *, receive_buffer: int | None = None
) -> AsyncIterator[RawConnection]:
    """A connection to a port of 127.0.0.1, closed at the end of the block.

    A small ``receive_buffer`` makes the kernel stop taking what the test does not read.
    """
    connection = socket.socket()
    connection.setblocking(False)
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(connection, (HOST, port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=receive_buffer or 1 << 20)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def multipart(
    parts: Iterable[tuple[str, bytes]], *, boundary: str = "frontier"
) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """A form: the headers of its request and its body.

    A part is its header lines, joined by CRLF, and its content.
    """
    frontier = boundary.encode()
    pieces = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (frontier, h.encode(), c) for h, c in parts]
    body = b"".join([*pieces, b"--%b--\r\n" % frontier])
    content_type = f"multipart/form-data; boundary={boundary}"
    return (("Content-Type", content_type), ("Content-Length", str(len(body)))), body


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    line = await reader.readuntil(b"\r\n")
    return int(line.partition(b";")[0], 16)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := await _chunk_size(reader):
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return bytes(body)
