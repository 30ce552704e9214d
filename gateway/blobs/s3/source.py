"""What an upload is fed from: pieces that one side puts in and the client library takes out.

At most one piece waits. An upload is ended by raising in its source, never by cancelling it: so it
tidies up after itself.

The library asks for a piece, waits until fewer parts are being sent than may be, and adds it to the
part that fills. So a piece is asked for behind the one that filled a part while all of it may be
under way still, and the next one only when the store has a part more: it is then that its place is
free.
"""

from __future__ import annotations

import asyncio
from typing import Self

from gateway.blobs.s3.room import PartShare
from gateway.model.errors import StorageUnavailable


class Discarded(Exception):
    """The upload is not to come to its end."""


class PieceSource:
    """An asynchronous iterator of pieces, for one taker, which makes parts of ``part_bytes``."""

    def __init__(self, share: PartShare, part_bytes: int) -> None:
        self._share = share
        self._part_bytes = part_bytes
        self._filled = 0
        self._after_full: int | None = None
        self._piece: bytes | None = None
        self._ended = False
        self._discarded = False
        self._left = False
        self._changed = asyncio.Event()

    async def put(self, piece: bytes) -> None:
        """Hand over a piece, once the one before was taken.

        Raises ``StorageUnavailable`` if nobody takes any more.
        """
        while self._piece is not None and not self._left:
            await self._change()
        if self._left:
            raise StorageUnavailable()
        self._piece = piece
        self._changed.set()

    def end(self) -> None:
        """There are no more pieces."""
        self._ended = True
        self._changed.set()

    def discard(self) -> None:
        """The taker gets an exception in place of the next piece."""
        self._discarded, self._piece = True, None
        self._changed.set()

    def leave(self, _: object = None) -> None:
        """The taker is gone."""
        self._left, self._piece = True, None
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._after_full:  # a piece was taken since: the store has a part more
            self._share.pass_on()
            self._after_full = None
        await self._until_there()
        if self._after_full is None and self._piece is not None:
            await self._share.take()
        if self._discarded:
            raise Discarded
        piece, self._piece = self._piece, None
        self._changed.set()
        if piece is None:
            raise StopAsyncIteration
        self._count(len(piece))
        return piece

    async def _until_there(self) -> None:
        """A piece, or the end."""
        while self._piece is None and not (self._ended or self._discarded):
            self._share.lend()
            await self._change()

    def _count(self, size: int) -> None:
        self._filled += size
        if self._filled >= self._part_bytes:
            self._filled %= self._part_bytes
            self._after_full = 0
        elif self._after_full is not None:
            self._after_full += 1

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
