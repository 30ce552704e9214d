"""Several parts of a blob in one body: ``multipart/byteranges`` (RFC 9110, 14.6 and 15.3.7.2).

Knows how the parts are framed, to the letter that those parse who fetch deltas. SWUpdate splits the
header at white space and at ``=``, and takes no quotation marks; its parser of part headers knows
letters and dashes in names. zchunk puts the boundary into a regular expression. So the boundary is
hexadecimal and unquoted, one space stands before it, and a part has the two headers that it needs.

Does not know requests, nor how bytes are sent. Rule: the body has exactly ``length`` bytes, and
each part exactly its span's, or it is not given to its end.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Self

from gateway.blobs.port import BlobReader
from gateway.model.byterange import ByteRange
from gateway.web.downloads.transfer import BlobCut

_BOUNDARY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class MultipartBody:
    """The body: each of ``spans`` behind its frame of ``frames``, and the end."""

    boundary: str
    spans: Sequence[ByteRange]
    frames: Sequence[bytes]
    end: bytes

    @classmethod
    def of(cls, spans: Sequence[ByteRange], size: int, content_type: str) -> Self:
        """Of these parts of ``size`` bytes, at least two, which are ``content_type`` as a whole.

        The boundary is drawn anew, so that no file can have it in it.
        """
        boundary = secrets.token_hex(_BOUNDARY_BYTES)
        head = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: "
        frames = [f"{head}{span.content_range(size)}\r\n\r\n".encode("ascii") for span in spans]
        return cls(boundary, spans, frames, f"\r\n--{boundary}--\r\n".encode("ascii"))

    @property
    def content_type(self) -> str:
        """The value of ``Content-Type``."""
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """How many bytes the body has."""
        return sum(map(len, self.frames)) + sum(s.length for s in self.spans) + len(self.end)

    async def pieces(self, reader: BlobReader) -> AsyncGenerator[bytes, None]:
        """The body, a frame together with the first piece of its part.

        Raises as ``BlobReader.chunks``, and ``BlobCut`` if the store gives another number of bytes
        than it was asked for.
        """
        for frame, span in zip(self.frames, self.spans, strict=True):
            before, left = frame, span.length
            async with aclosing(reader.chunks(span)) as chunks:
                async for chunk in chunks:
                    left -= len(chunk)
                    if left < 0:
                        break
                    yield before + chunk
                    before = b""
            if left != 0:
                raise BlobCut("the store gave another number of bytes than asked for")
        yield self.end
