"""A real, small authorisation hook whose every word is the test's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, urlsplit

from tests.tools.ports import HOST
from tests.tools.rawhttp import reset


@dataclass(frozen=True, slots=True)
class HookRequest:
    """What the gateway asked. Header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def phase(self) -> str:
        """``authorise`` or ``commit``."""
        return self.headers.get("x-filestore-phase", "")

    @property
    def operation(self) -> str:
        """``create``, ``read`` or ``delete``."""
        return self.query.get("file_op", "")


@dataclass(frozen=True, slots=True)
class Say:
    """An answer in good form."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Misbehave(Enum):
    """What a hook should never do."""

    HANG = "accept the request and never answer"
    DROP = "reset the connection instead of answering"
    CLOSE = "close the connection instead of answering"
    ENDLESS_HEAD = "send headers for ever"
    ENDLESS_BODY = "send a body for ever"
    HALF = "announce a body and close within it"
    GARBAGE = "answer in something that is not HTTP"


Decision = Say | Misbehave
ALLOW = Say()


def deny(message: str = "") -> Say:
    """403, with the message that the client shall see."""
    return Say(403, message.encode(), {"Content-Type": "text/plain"})


class HookServer:
    """The hook: ``decide`` is asked about each request, ``requests`` are all of them so far."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[HookRequest] = []
        self.decide: Callable[[HookRequest], Decision] = lambda _: ALLOW
        self._connections: set[asyncio.Task[None]] = set()

    def always(self, decision: Decision) -> None:
        """Answer every request alike."""
        self.decide = lambda _: decision

    def at(self, phase: str, decision: Decision) -> None:
        """Answer one phase with ``decision`` and allow the other."""
        self.decide = lambda request: decision if request.phase == phase else ALLOW

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as many requests as it brings."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()
            self._connections.discard(task)

    async def stop(self) -> None:
        """End every connection, hanging ones included."""
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = _parse(await reader.readuntil(b"\r\n\r\n"))
        self.requests.append(request)
        decision = self.decide(request)
        if isinstance(decision, Misbehave):
            await _misbehave(decision, writer)
            return False
        fields = {"Content-Length": str(len(decision.body)), **decision.headers}
        head = [f"HTTP/1.1 {decision.status} Said", *(f"{n}: {v}" for n, v in fields.items())]
        writer.write("\r\n".join([*head, "", ""]).encode() + decision.body)
        await writer.drain()
        return True


@contextlib.asynccontextmanager
async def running_hook() -> AsyncIterator[HookServer]:
    """A hook on a free port of 127.0.0.1, which allows everything until told otherwise."""
    hook = HookServer()
    server = await asyncio.start_server(hook.serve, HOST, 0)
    hook.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield hook
    finally:
        server.close()
        await hook.stop()


async def _misbehave(how: Misbehave, writer: asyncio.StreamWriter) -> None:
    match how:
        case Misbehave.HANG:
            await asyncio.Event().wait()
        case Misbehave.DROP:
            reset(writer)
        case Misbehave.CLOSE:
            pass
        case Misbehave.ENDLESS_HEAD:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            await _repeat(writer, b"X-More: and more\r\n" * 100)
        case Misbehave.ENDLESS_BODY:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n")
            await _repeat(writer, b"and more " * 1000)
        case Misbehave.HALF:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf of")
            await writer.drain()
        case Misbehave.GARBAGE:
            writer.write(b"\x16\x03\x01 no HTTP here\r\n\r\n")
            await writer.drain()


async def _repeat(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


def _parse(head: bytes) -> HookRequest:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    address = urlsplit(target)
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    return HookRequest(method, address.path, dict(parse_qsl(address.query, True)), headers)
