"""What is sent at once and what is declined, with a transport that the test fills and drains."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiofastnet
import pytest
from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.blobs.port import BlobReader, Descriptor
from gateway.filestore import Filestore
from gateway.model.byterange import ByteRange
from gateway.model.file import FileRecord
from gateway.traffic.bandwidth import Bandwidth, bandwidth_of
from gateway.traffic.resolved import ReadCache
from gateway.traffic.resumes import ResumeGuard
from gateway.web.cors import CorsPolicy
from gateway.web.downloads.context import Downloads
from gateway.web.downloads.fastpath import MOST_BYTES, FastPath
from gateway.web.middleware import RequestMiddleware
from gateway.web.proxies import TrustedPeers
from gateway.web.server.exchange import Sent
from gateway.web.server.stall import StallWatch
from tests.unit.test_resolved import resolved

PATH = "/files/firmware.bin"
KEY = "Thing secret"
CONTENT = bytes(range(256)) * 4096
LINES = b"ETag: x\r\n"
PLAIN = {"Host": "gateway.test", "Authorization": KEY, "Range": "bytes=4-7"}


class Blob:
    """``CONTENT``, of which the test says what is in memory."""

    size = len(CONTENT)

    @property
    def descriptor(self) -> Descriptor | None:
        return None if self.without_file else self

    def __init__(self) -> None:
        self.without_file = False
        self.closed = self.cold = self.short = False

    def fileno(self) -> int:
        return -1

    async def read(self, offset: int, count: int) -> bytes:
        raise AssertionError("it would have to wait")

    def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        raise AssertionError("it would have to wait")

    def read_ready(self, offset: int, count: int) -> bytes | None:
        return None if self.cold else CONTENT[offset : offset + count]

    def is_whole(self) -> bool:
        return not self.short

    def close(self) -> None:
        self.closed = True


@dataclass(eq=False)
class Line:
    """A transport; ``rest`` is what its ``sendfile`` says."""

    written: bytes = b""
    files: list[tuple[int, int]] = field(default_factory=list)
    rest: asyncio.Future[None] | None = None
    broken: OSError | None = None
    aborted: bool = False
    extra: dict[str, object] = field(default_factory=dict)

    def get_extra_info(self, name: str) -> object:
        return self.extra.get(name)

    def write(self, data: bytes) -> None:
        self.written += data

    def sendfile(self, _: object, offset: int, count: int) -> asyncio.Future[None] | None:
        if self.broken is not None:
            raise self.broken
        self.files.append((offset, count))
        return self.rest

    def abort(self) -> None:
        self.aborted = True


@dataclass
class Files:
    """Counts the suspicions."""

    suspected: int = 0

    def suspect(self, _: FileRecord) -> None:
        self.suspected += 1


@dataclass
class Scene:
    """A fast path before a cache that knows one file."""

    fast_path: FastPath
    cache: ReadCache[BlobReader]
    guard: ResumeGuard
    blob: Blob
    line: Line = field(default_factory=Line)
    files: Files = field(default_factory=Files)

    @property
    def cache_etag(self) -> str:
        """The validator of the file that is known."""
        found = self.cache.find((PATH, (KEY,)))
        assert found is not None
        found.reader.release()
        return found.version.validators.etag

    def send(self, message: RawRequestMessage) -> Sent | None:
        return self.fast_path.send(message, cast(aiofastnet.Transport, self.line), "127.0.0.1")


def middleware(most_requests: int = 10) -> RequestMiddleware:
    return RequestMiddleware(
        {},
        (),
        cors=CorsPolicy(),
        proxies=TrustedPeers(),
        prefix="",
        log_requests=False,
        log_as=lambda _: None,
        most_requests=most_requests,
    )


async def scene(
    *, plain: bool = True, most_requests: int = 10, bandwidth: Bandwidth | None = None
) -> Scene:
    cache, blob = ReadCache[BlobReader](seconds=60, entries=8), Blob()
    cache.on_connected()
    opened: BlobReader = blob
    known = resolved(opened, size=len(CONTENT), lines=LINES, plain=plain)
    with cache.resolving((PATH, (KEY,))) as watch:
        cache.keep((PATH, (KEY,)), known, watch)
    known.reader.release()
    guard, files = ResumeGuard(8), Files()
    downloads = Downloads(
        files=cast(Filestore, files),
        reads=cache,
        stalls=StallWatch(60, lambda: None),
        watch=guard,
        bandwidth=bandwidth,
    )
    return Scene(FastPath(downloads, middleware(most_requests)), cache, guard, blob, files=files)


def message(headers: Mapping[str, str | None] | None = None, **changes: Any) -> RawRequestMessage:
    """A plain request, but for what is said; a header of ``None`` is left out."""
    chosen = {**PLAIN, **(headers or {})}
    fields = CIMultiDict({name: value for name, value in chosen.items() if value is not None})
    plain = RawRequestMessage(
        method="GET",
        path=PATH,
        version=HttpVersion11,
        headers=CIMultiDictProxy(fields),
        raw_headers=(),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
        url=URL(PATH),
    )
    return plain._replace(**changes)


async def test_a_plain_small_range_is_sent_at_once() -> None:
    there = await scene()
    assert Sent(None) == there.send(message())
    head, _, body = there.line.written.partition(b"\r\n\r\n")
    assert b"HTTP/1.1 206 Partial Content" == head.split(b"\r\n")[0]
    assert b"Content-Length: 4" in head.split(b"\r\n")
    assert b"Content-Range: bytes 4-7/1048576" in head.split(b"\r\n")
    before, _, identifier = head.rpartition(b"\r\nX-Request-Id: ")
    assert before.endswith(LINES.strip())
    assert identifier.isalnum()
    assert CONTENT[4:8] == body


DECLINED: dict[str, Callable[[], RawRequestMessage]] = {
    "no range": lambda: message({"Range": None}),
    "a malformed range": lambda: message({"Range": "bytes=7-4"}),
    "an unsatisfiable range": lambda: message({"Range": "bytes=1048576-"}),
    "several ranges": lambda: message({"Range": "bytes=0-1,3-4"}),
    "the end of the file": lambda: message({"Range": "bytes=1048572-1048575"}),
    "everything from somewhere": lambda: message({"Range": "bytes=1048572-"}),
    "a suffix": lambda: message({"Range": "bytes=-4"}),
    "another unit": lambda: message({"Range": "lines=0-1"}),
    "a large range": lambda: message({"Range": f"bytes=0-{MOST_BYTES}"}),
    "another key": lambda: message({"Authorization": "Thing other"}),
    "no key": lambda: message({"Authorization": None}),
    "another path": lambda: message(path="/files/other.bin"),
    "a query": lambda: message(path=f"{PATH}?sha256=00"),
    "another method": lambda: message(method="HEAD"),
    "HTTP/1.0": lambda: message(version=HttpVersion10),
    "a connection that ends": lambda: message(should_close=True),
    "an upgrade": lambda: message(upgrade=True),
} | {
    name: lambda name=name: message({name: "x"})
    for name in (
        *("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"),
        *("Expect", "Want-Digest", "X-Filestore-Edge", "X-Filestore-Accel", "Content-Length"),
        *("X-Hasura-User-Id", "Cookie", "Origin", "X-Nobody-Knows", "AuThOrIzAtIoN-2"),
    )
}


@pytest.mark.parametrize("ask", DECLINED.values(), ids=DECLINED.keys())
async def test_everything_else_is_declined(ask: Callable[[], RawRequestMessage]) -> None:
    there = await scene()
    assert there.send(ask()) is None
    assert b"" == there.line.written


async def test_two_range_headers_are_declined() -> None:
    there, headers = await scene(), CIMultiDict(PLAIN)
    headers.add("Range", PLAIN["Range"])
    assert there.send(message()._replace(headers=CIMultiDictProxy(headers))) is None


async def test_a_dialect_with_rules_of_its_own_is_declined() -> None:
    there = await scene(plain=False)
    assert there.send(message()) is None


@pytest.mark.parametrize(("rate", "declined"), [(0, False), (4096, True)])
async def test_what_is_limited_is_declined(*, rate: int, declined: bool) -> None:
    there = await scene(
        bandwidth=bandwidth_of(device_rate=rate, group_rate=1024, group_kind="groups")
    )
    assert declined == (there.send(message()) is None)


async def test_one_request_too_many_is_declined() -> None:
    there = await scene(most_requests=0)
    assert there.send(message()) is None


async def test_what_must_come_from_the_disk_is_declined() -> None:
    there = await scene()
    there.blob.cold = True
    assert there.send(message()) is None
    assert b"" == there.line.written


async def test_what_is_no_file_is_declined() -> None:
    there = await scene()
    there.blob.without_file = True
    assert there.send(message()) is None
    assert b"" == there.line.written


async def test_what_was_forgotten_is_declined() -> None:
    there = await scene()
    there.cache.clear()
    assert there.send(message()) is None
    assert there.blob.closed


LARGE = {"Range": f"bytes=1-{MOST_BYTES}"}


async def test_a_larger_range_is_sent_from_the_file() -> None:
    there = await scene()
    assert Sent(None) == there.send(message(LARGE))
    assert LINES + b"X-Request-Id: " in there.line.written
    assert there.line.written.endswith(b"\r\n\r\n")
    assert [(1, MOST_BYTES)] == there.line.files


@pytest.mark.parametrize("by_kernel", [False, True])
async def test_with_tls_a_file_is_sent_only_if_the_kernel_encrypts(by_kernel: bool) -> None:
    there = await scene()
    there.line.extra.update({"sslcontext": object(), "ktls_send_enabled": by_kernel})
    assert (Sent(None) if by_kernel else None) == there.send(message(LARGE))
    assert bool(there.line.written) == bool(there.line.files) == by_kernel


async def test_the_blob_stays_open_until_the_rest_is_sent() -> None:
    there = await scene()
    rest = there.line.rest = asyncio.get_running_loop().create_future()
    assert Sent(rest) == there.send(message(LARGE))
    there.cache.clear()
    await asyncio.sleep(0)
    assert not there.blob.closed
    rest.set_result(None)
    await asyncio.sleep(0)
    assert (True, False) == (there.blob.closed, there.line.aborted)


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_a_file_that_ends_early_cuts_the_connection(*, later: bool) -> None:
    there = await scene()
    there.blob.short = True
    if later:
        there.line.rest = asyncio.get_running_loop().create_future()
    assert there.send(message(LARGE)) is not None
    if there.line.rest is not None:
        there.line.rest.set_result(None)
        await asyncio.sleep(0)
    assert (True, 1) == (there.line.aborted, there.files.suspected)


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_a_disk_that_fails_is_a_suspicion_against_the_blob(*, later: bool) -> None:
    there, fault = await scene(), OSError(errno.EIO, "the disk")
    rest = asyncio.get_running_loop().create_future()
    there.line.rest, there.line.broken = rest, None if later else fault
    assert there.send(message(LARGE)) is not None
    if later:
        rest.set_exception(fault)
        await asyncio.sleep(0)
    assert 1 == there.files.suspected


async def test_a_client_that_left_is_nobodys_fault() -> None:
    there = await scene()
    there.line.broken = ConnectionResetError()
    assert Sent(None) == there.send(message(LARGE))
    there.line.broken = None
    rest = there.line.rest = asyncio.get_running_loop().create_future()
    assert Sent(rest) == there.send(message(LARGE))
    there.cache.clear()
    rest.set_exception(ConnectionResetError())
    await asyncio.sleep(0)
    assert (True, 0) == (there.blob.closed, there.files.suspected)


async def test_a_small_range_is_remembered_and_what_would_mix_is_declined() -> None:
    there = await scene()
    key, version = b"", there.cache_etag
    there.guard.record_response(key, "an older version", ByteRange(0, 4), len(CONTENT))
    assert there.send(message({"Range": "bytes=4-7"})) is None
    assert there.send(message({"Range": "bytes=0-3"})) is not None
    assert there.send(message({"Range": "bytes=4-7"})) is not None
    assert there.guard.continues_other_version(key, "a newer version", "bytes=8-11")
    assert not there.guard.continues_other_version(key, version, "bytes=8-11")
