"""The same requests over a socket, to a real file behind each way of sending it; and what came back, in the oracle's words.

Knows HTTP and the ways: the gateway alone, nginx told by X-Accel-Redirect, nginx in edge mode. What an answer ought to be
is the oracle's business. Rule: the bytes are compared, not only the status.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from tests.oracle import rfc9110
from tests.oracle.requests import CHOICES, Request, of_choices
from tests.oracle.rfc9110 import Answer, Resource
from tests.tools import rawhttp
from tests.tools.gateway import running_gateway
from tests.tools.mainflux import sign_in, upload
from tests.tools.nginx import ACCEL, running_nginx
from tests.tools.ports import HOST
from tests.tools.rawhttp import RawConnection, raw_connection

SIZES = (0, 1, 2, 9, 10, 11, 100, 5000, 70_000, 300_000)
WAYS = ("alone", "accel", "edge")
AT_ONCE = 20
_NEVER_SENT = ("\n", "\r", "\0")


class Difference(AssertionError):
    """What came back is not what the oracle says."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that is there."""

    path: str
    content: bytes
    resource: Resource


@dataclass(slots=True)
class Wire:
    """Files, and the ports by which they are read."""

    ports: Mapping[str, int]
    key: str
    files: Sequence[File]
    stack: AsyncExitStack
    lines: dict[str, list[RawConnection]] = field(default_factory=dict)

    async def compare(self, way: str, choice: random.Random, count: int) -> Counter[str]:
        """Ask and compare; how often each answer was right. Raises ``Difference``."""
        seen = Counter[str]()
        rounds = [[self._asked(choice) for _ in range(AT_ONCE)] for _ in range(count // AT_ONCE)]
        for answered in await asyncio.gather(*(self._ask(way, asked) for asked in rounds)):
            for request, file, answer in answered:
                found = check(way, request, file, answer)
                seen[f"{way} {found.status} {found.reason}".strip()] += 1
        return seen

    def _asked(self, choice: random.Random) -> tuple[Request, File]:
        """A reading request of a file, as a client could send it."""
        while True:
            file = choice.choice(self.files)
            request = of_choices(choice.randbytes(CHOICES), file.resource.modified)
            values = "".join(request.headers.values())
            if request.method in ("GET", "HEAD") and not set(values) & set(_NEVER_SENT):
                return _about(request, file), file

    async def _ask(
        self, way: str, asked: Sequence[tuple[Request, File]]
    ) -> list[tuple[Request, File, rawhttp.Answer]]:
        free = self.lines.setdefault(way, [])
        if free:
            line = free.pop()
        else:
            line = await self.stack.enter_async_context(raw_connection(self.ports[way]))
        await line.send(*(self._wire(request, file) for request, file in asked))
        answers = [(*one, await line.read_answer(method=one[0].method)) for one in asked]
        if "close" not in answers[-1][2].head.all("Connection"):
            free.append(line)
        return answers

    def _wire(self, request: Request, file: File) -> bytes:
        fields = {"Host": "gateway.test", "Authorization": f"Thing {self.key}", **request.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        text = f"{request.method} {file.path} HTTP/1.1\r\n{lines}\r\n"
        return text.encode("utf-8", "surrogateescape")


def _about(request: Request, file: File) -> Request:
    """The request, of that file: its entity tag takes the place of the one that was made up."""
    tags = ("if-match", "if-none-match", "if-range")
    headers = {
        name: value.replace('"a"', file.resource.etag) if name in tags else value
        for name, value in request.headers.items()
    }
    return replace(request, headers=headers, resource=file.resource, strict=False, several=True)


def check(way: str, request: Request, file: File, answer: rawhttp.Answer) -> Answer:
    """The answer in the oracle's words, which it must be in. Raises ``Difference``."""
    expected = rfc9110.answer(
        request.method, request.headers, file.resource, now=datetime.now(UTC), several=True
    )
    try:
        found = _understood(request.method, file, answer)
    except (AssertionError, LookupError, ValueError) as wrong:
        raise Difference(f"{way}: {request}: {answer.head}: {wrong!r}") from wrong
    if found != replace(expected, reason="parts" if expected.parts else ""):
        told = f"{way}: {request} of {len(file.content)} bytes"
        raise Difference(f"{told}\noracle: {expected}\nfound: {found}")
    return found


def _understood(method: str, file: File, answer: rawhttp.Answer) -> Answer:
    head, size = answer.head, len(file.content)
    if head.status in (304, 412, 400, 416):
        assert head.status != 416 or head.one("Content-Range") == f"bytes */{size}"
        return Answer(head.status)
    assert head.one("ETag") == file.resource.etag
    if head.status == 206 and "byteranges" in head.one("Content-Type"):
        return Answer(206, reason="parts", parts=tuple(_parts(file, head, answer.body)))
    if head.status == 206:
        return Answer(206, _span(file, head.one("Content-Range"), answer.body))
    assert head.one("Content-Length") == str(size)
    assert answer.body == (b"" if method == "HEAD" else file.content)
    return Answer(head.status, range(size))


def _span(file: File, content_range: str, body: bytes) -> range:
    unit, _, told = content_range.partition(" ")
    span, _, size = told.partition("/")
    first, _, last = span.partition("-")
    assert (unit, size) == ("bytes", str(len(file.content)))
    chosen = range(int(first), int(last) + 1)
    assert body == file.content[chosen.start : chosen.stop], "other bytes"
    return chosen


def _parts(file: File, head: rawhttp.Head, body: bytes) -> list[range]:
    boundary = head.one("Content-Type").partition("boundary=")[2].encode()
    _, *parts, end = body.split(b"--" + boundary)
    assert end.strip() == b"--"
    found = []
    for part in parts:
        fields, _, content = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in fields.decode().split("\r\n") if line)
        named = {name.lower(): value for name, value in lines.items()}
        found.append(_span(file, named["content-range"], content))
    return found


@contextlib.asynccontextmanager
async def open_wire(
    folder: Path, database_server: str, ways: Sequence[str] = WAYS
) -> AsyncIterator[Wire]:
    """A gateway, an nginx for each of the other ways, and the files."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running_gateway(
                folder,
                database_server=database_server,
                accel=ACCEL,
                several_ranges=True,
                trusted_proxies=f"{HOST}/32",
                access_log=False,
                read_cache_seconds=60,
            )
        )
        ports = {"alone": gateway.port}
        for way in set(ways) - {"alone"}:
            nginx = running_nginx(
                folder / way,
                upstream=f"{HOST}:{gateway.port}",
                blobs=gateway.data_dir / "blobs",
                edge=way == "edge",
            )
            ports[way] = (await stack.enter_async_context(nginx)).port
        key, files = await _published(gateway.url)
        yield Wire(ports, key, files, stack)


async def _published(url: str) -> tuple[str, list[File]]:
    choice, files = random.Random(9110), []
    async with aiohttp.ClientSession() as session:
        thing = await (await sign_in(session, url)).thing()
        for size in SIZES:
            path, content = f"/files/f{size}", choice.randbytes(size)
            await upload(session, f"{url}/files", thing.headers, f"f{size}", content)
            async with session.head(url + path, headers=thing.headers) as said:
                modified = parsedate_to_datetime(said.headers["Last-Modified"])
                resource = Resource(said.headers["ETag"], modified, size)
            files.append(File(path, content, resource))
    return thing.key, files
