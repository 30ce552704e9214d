"""Whole downloads that are hashed while they are sent, now and then.

The hashing is done by threads, a piece at a time, and the last piece waits for its result: a
body whose digest is another is never sent to its end.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.model.damage import Fault
from gateway.model.errors import BlobMissing
from gateway.model.file import Blob
from gateway.upkeep.examine import other_bytes


class OtherBytes(BlobMissing):
    """All of a blob was read, and what was read is not what was stored: ``fault``."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


def is_chosen(one_in: int) -> bool:
    """Whether this download is one of those that are hashed: one in so many, none for 0."""
    return one_in > 0 and random.random() * one_in < 1  # noqa: S311 - a sample, no secret


async def check_bytes(blob: Blob, content: bytes) -> None:
    """Raise ``OtherBytes`` unless ``content`` is all that the blob has."""
    hasher = hashlib.sha256()
    await asyncio.to_thread(hasher.update, content)
    digest = hasher.digest()
    if digest != blob.digest.raw:
        raise OtherBytes(other_bytes(blob, digest))


async def verified(blob: Blob, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """All the ``pieces`` of the blob; raises ``OtherBytes`` instead of giving the last one."""
    hasher, held = hashlib.sha256(), b""
    async with aclosing(pieces):
        async for piece in pieces:
            if held:
                yield held
            await asyncio.to_thread(hasher.update, piece)
            held = piece
    if hasher.digest() != blob.digest.raw:
        raise OtherBytes(other_bytes(blob, hasher.digest()))
    if held:
        yield held
