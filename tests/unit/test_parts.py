"""The body of ``multipart/byteranges``, and a store that lies about one of its parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from gateway.model.byterange import ByteRange
from gateway.web.downloads.deliver.parts import MultipartBody

CONTENT = bytes(range(256)) * 4
SPANS = (ByteRange(3, 10), ByteRange(100, 900))
PIECE = 300


class Store:
    """Gives a blob in pieces; of the part that begins at 3, ``more`` or fewer bytes than it should."""

    descriptor = None
    size = len(CONTENT)

    def __init__(self, more: int = 0) -> None:
        self._more = more

    async def read(self, offset: int, count: int) -> bytes:
        return CONTENT[offset : offset + count]

    async def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        stop = span.stop + self._more * (span.start == 3)
        for start in range(span.start, stop, PIECE):
            yield CONTENT[start : min(stop, start + PIECE)]

    def close(self) -> None:
        pass


async def read(body: MultipartBody, store: Store) -> bytes:
    async with aclosing(body.pieces(store)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_the_body_is_as_long_as_it_says_and_framed() -> None:
    body = MultipartBody.of(SPANS, len(CONTENT), "text/x-fw")
    sent = await read(body, Store())
    assert body.length == len(sent)
    mark = b"\r\n--%b" % body.boundary.encode()
    head = b"\r\nContent-Type: text/x-fw\r\nContent-Range: bytes %b/1024\r\n\r\n"
    first = mark + head % b"3-9" + CONTENT[3:10]
    assert first + mark + head % b"100-899" + CONTENT[100:900] + mark + b"--\r\n" == sent


def test_no_two_bodies_have_the_same_boundary() -> None:
    one, other = (MultipartBody.of(SPANS, len(CONTENT), "text/x-fw") for _ in range(2))
    assert one.boundary != other.boundary


@pytest.mark.parametrize("more", [-7, -1, 1, 500])
async def test_a_part_of_another_length_is_cut_although_others_might_make_up_for_it(
    more: int,
) -> None:
    with pytest.raises(ConnectionResetError):
        await read(MultipartBody.of(SPANS, len(CONTENT), "text/x-fw"), Store(more))
