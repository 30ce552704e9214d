"""Forms cut anywhere: what the parser sees and what goes past it are one file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobWriter
from gateway.model.errors import Malformed, TooLarge
from gateway.model.file import Scope
from gateway.web.context import Limits
from gateway.web.uploads.form import Form, receive_form_parts

SCOPE = Scope("things", "t1")
BOUNDARY = "frontier-4f10"
DELIMITER = f"\r\n--{BOUNDARY}".encode()
SCRAPS = st.sampled_from(
    [
        *(DELIMITER[:length] for length in range(1, len(DELIMITER))),
        *(DELIMITER[start:] for start in range(1, len(DELIMITER))),
        *(b"firmware", b"\r", b"\n", b"-", b"\0" * 40, b"x" * 25),
    ]
)
CONTENTS = (
    st.lists(SCRAPS | st.binary(max_size=60), max_size=40)
    .map(b"".join)
    .filter(lambda content: DELIMITER not in (content + DELIMITER)[:-1])
)
CUTS = st.lists(st.integers(1, 90), min_size=1, max_size=30)


def form(content: bytes, *, length: int | None = None) -> bytes:
    """A field, a file, and another field."""
    declared = "" if length is None else f"Content-Length: {length}\r\n"
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="before"\r\n\r\none\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        f"{declared}\r\n"
    ).encode() + (
        content + DELIMITER + b'\r\nContent-Disposition: form-data; name="after"\r\n\r\ntwo'
        b"\r\n--" + BOUNDARY.encode() + b"--\r\n"
    )


def chunked(body: bytes, sizes: list[int]) -> list[bytes]:
    """``body`` in chunks of these sizes, again and again."""
    chunks, start = list[bytes](), 0
    while start < len(body):
        end = start + sizes[len(chunks) % len(sizes)]
        chunks.append(body[start:end])
        start = end
    return chunks


async def receive(chunks: list[bytes], *, file_bytes: int = 2**30) -> tuple[Form, bytes]:
    """The form, and the bytes of its file."""
    stream = StreamReader(Mock(BaseProtocol), 2**20, loop=asyncio.get_running_loop())
    for chunk in chunks:
        stream.feed_data(bytearray(chunk))  # type: ignore[arg-type]  # as an intake does
    stream.feed_eof()
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    request = make_mocked_request(
        "POST", "/files", headers={"Content-Type": content_type}, payload=stream
    )
    assert isinstance(request, web.Request)
    limits = Limits(file_bytes, stall_seconds=60, min_upload_bytes_per_second=1)
    store, taken = MemoryBlobStore(), list[bytes]()

    @asynccontextmanager
    async def stage(
        *, algorithms: Collection[str], expected_bytes: int | None
    ) -> AsyncIterator[BlobWriter]:
        async with store.stage(SCOPE, algorithms=algorithms) as writer:
            yield writer

    async with receive_form_parts(request, limits, stage, "file") as received:
        blob = await received.file.writer.seal()
        reader = await store.open(blob)
        taken.append(await reader.read(0, blob.size))
    return received, taken[0]


@given(content=CONTENTS, cuts=CUTS)
def test_a_form_is_understood_wherever_it_is_cut(content: bytes, cuts: list[int]) -> None:
    received, taken = asyncio.run(receive(chunked(form(content), cuts)))
    assert taken == content
    assert received.fields == {"before": "one", "after": "two"}


@pytest.mark.parametrize("size", [40, 1000, 100_000])
async def test_a_file_of_more_bytes_than_allowed_is_refused_however_it_comes(size: int) -> None:
    body = form(bytes(100_001))
    _, taken = await receive(chunked(body, [size]), file_bytes=100_001)
    assert len(taken) == 100_001
    with pytest.raises(TooLarge):
        await receive(chunked(body, [size]), file_bytes=100_000)


@pytest.mark.parametrize("length", [9_999, 10_001])
async def test_a_part_that_declares_another_length_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        await receive(chunked(form(bytes(10_000), length=length), [1000]))
    _, taken = await receive(chunked(form(bytes(10_000), length=10_000), [1000]))
    assert len(taken) == 10_000
